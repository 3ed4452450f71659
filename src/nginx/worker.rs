//! Helper threads of a worker, and the way back from them into the event loop.
//!
//! Whatever may block (DNS, HTTP to credential sources, Redis, files) runs on a helper thread, started once the worker is
//! forked. Threads never touch requests: they [`post`] a closure, an eventfd wakes the loop, the loop runs it.

use super::guard::guard;
use super::log;
use nginx_sys::{
    NGX_ERROR, NGX_OK, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, NGX_USE_CLEAR_EVENT,
    ngx_connection_t, ngx_cycle_t, ngx_event_flags, ngx_event_t, ngx_get_connection,
    ngx_handle_read_event, ngx_int_t, ngx_process,
};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

static JOBS: Mutex<Vec<Job>> = Mutex::new(Vec::new());
/// Held for reading by work that is to be done before the worker ends.
static WORKING: RwLock<()> = RwLock::new(());
const LONGEST_WORK_AT_EXIT: Duration = Duration::from_secs(1);
static EVENT_FD: AtomicI32 = AtomicI32::new(-1);
static THREADS_RUN: AtomicBool = AtomicBool::new(false);

/// True in a process that serves requests.
pub(super) fn serves_requests() -> bool {
    // SAFETY: set before processes are forked and never changed in a worker.
    let process = unsafe { ngx_process };
    process == NGX_PROCESS_WORKER as usize || process == NGX_PROCESS_SINGLE as usize
}

/// Makes the eventfd a connection of the event loop; called in init_process, before threads are started.
///
/// # Safety
/// `cycle` is the worker's.
pub(super) unsafe fn open_mailbox(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: the cycle's log is live; nginx owns the connection from here on.
    unsafe {
        let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
        if fd < 0 {
            return NGX_ERROR as ngx_int_t;
        }
        let connection = ngx_get_connection(fd, (*cycle).log);
        if connection.is_null() {
            libc::close(fd);
            return NGX_ERROR as ngx_int_t;
        }
        let read = &mut *(*connection).read;
        read.handler = Some(run_jobs);
        read.log = (*cycle).log;
        // Without `channel` nginx reports an open socket when the worker ends.
        read.set_channel(1);
        (*(*connection).write).set_channel(1);
        EVENT_FD.store(fd, Ordering::Release);
        if ngx_handle_read_event(read, 0) != NGX_OK as ngx_int_t {
            return NGX_ERROR as ngx_int_t;
        }
    }
    NGX_OK as ngx_int_t
}

unsafe extern "C" fn run_jobs(event: *mut ngx_event_t) {
    guard("mailbox", (), || {
        // SAFETY: the event is our connection's, whose descriptor is the eventfd.
        unsafe {
            if ngx_event_flags & NGX_USE_CLEAR_EVENT as usize == 0 {
                empty((*(*event).data.cast::<ngx_connection_t>()).fd);
            }
            (*event).set_ready(0);
            ngx_handle_read_event(event, 0);
        }
        for job in std::mem::take(&mut *JOBS.lock()) {
            guard("a helper thread's result", (), job);
        }
    });
}

/// Resets the counter of an eventfd. Where nginx is told of each write (epoll), nobody needs to: the counter is too large to
/// overflow.
///
/// Source: ngx_epoll_notify_handler.
fn empty(fd: i32) {
    let mut counter = 0_u64;
    // SAFETY: eight bytes are read into eight.
    unsafe { libc::read(fd, std::ptr::from_mut(&mut counter).cast(), size_of::<u64>()) };
}

/// Has the event loop run `job` soon.
pub(super) fn post(job: impl FnOnce() + Send + 'static) {
    let is_awake = {
        let mut jobs = JOBS.lock();
        jobs.push(Box::new(job));
        jobs.len() > 1
    };
    if is_awake {
        // Whoever pushed the first of them wakes the loop, or has done so.
        return;
    }
    let one = 1_u64;
    // SAFETY: eight bytes of a live integer; a full counter still wakes the loop.
    unsafe {
        let fd = EVENT_FD.load(Ordering::Acquire);
        libc::write(fd, std::ptr::from_ref(&one).cast(), size_of::<u64>());
    }
}

/// Has a helper thread do what would hold the event loop up; it comes back through [`post`].
pub(super) fn offload(work: impl FnOnce() + Send + 'static) {
    static QUEUE: OnceLock<Sender<Job>> = OnceLock::new();
    let queue = QUEUE.get_or_init(|| {
        let (sender, receiver) = channel::<Job>();
        spawn("apigate-work", move || {
            while let Ok(job) = receiver.recv() {
                guard("a helper thread", (), job);
            }
        });
        sender
    });
    if let Err(rejected) = queue.send(Box::new(work)) {
        // The thread is gone, or was never started: late is better than never.
        guard("offloaded work", (), rejected.0);
    }
}

/// Starts a helper thread that no signal reaches. It ends with the process, whenever that ends.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    THREADS_RUN.store(true, Ordering::Relaxed);
    // SAFETY: plain signal sets; the mask is restored before anything else happens on this thread.
    let started = unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let started = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || guard("a helper thread", (), body));
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        started
    };
    if let Err(error) = started {
        log::process(log::Level::Alert, format_args!("helper thread \"{name}\": {error}"));
    }
}

/// Marks a helper thread's piece of work that the worker's end waits for, for a while.
pub(super) fn working() -> RwLockReadGuard<'static, ()> {
    WORKING.read()
}

/// Waits for pieces of work in hand, but not for long; called in exit_process.
pub(super) fn finish_work() {
    if let Some(guard) = WORKING.try_write_for(LONGEST_WORK_AT_EXIT) {
        std::mem::forget(guard);
    }
}

/// Called in exit_process: from here on the process may end whatever helper threads are in the middle of.
///
/// nginx unmaps this library, and exit(3) undoes OpenSSL, while they run. So the library stays, and the process ends before
/// that: what is registered last is called first. A worker that comes to its exit_process ends with status 0.
pub(super) fn let_threads_be_cut() {
    if !THREADS_RUN.load(Ordering::Relaxed) {
        return;
    }
    extern "C" fn end() {
        // SAFETY: takes the process down as it is.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: dladdr fills `info` in for an address of this library; NOLOAD and NODELETE only mark what is loaded.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        let address = let_threads_be_cut as *const libc::c_void;
        if libc::dladdr(address, &mut info) == 0 {
            return;
        }
        let flags = libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
        // Else a library that is unmapped would be called at exit.
        if !libc::dlopen(info.dli_fname, flags).is_null() {
            libc::atexit(end);
        }
    }
}

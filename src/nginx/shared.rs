//! Zones: memory that all workers share and a reload keeps.
//!
//! A zone is one run of words, taken whole from nginx's slab pool. Policies lay it out themselves, over `&[AtomicU64]`, so
//! that they are tested without nginx. What protects a zone is the slab pool's mutex alone: nginx frees it when a worker is
//! killed (ngx_unlock_mutexes), and no other lock.

use super::guard::guard;
use super::module::ngx_http_apigate_module;
use super::{log, memory};
use nginx_sys::{
    NGX_ERROR, NGX_OK, ngx_conf_t, ngx_int_t, ngx_pagesize, ngx_shared_memory_add, ngx_shm_zone_t,
    ngx_shmtx_lock, ngx_shmtx_unlock, ngx_slab_alloc_locked, ngx_slab_pool_t,
};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// A zone by the name it has in nginx.conf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zone(NonNull<ngx_shm_zone_t>);

// SAFETY: what a zone points to is shared by processes already; words are atomic, the mutex works between threads too.
unsafe impl Send for Zone {}
// SAFETY: as above.
unsafe impl Sync for Zone {}

impl Zone {
    /// Declares a zone; `None` when nginx refuses (it has said why) or another zone has this name.
    ///
    /// # Safety
    /// `cf` is nginx's.
    pub(super) unsafe fn declare(cf: *mut ngx_conf_t, name: &str, bytes: usize) -> Option<Self> {
        // SAFETY: cf's pool is live as long as the zone; the tag is the module's record.
        unsafe {
            let mut name = memory::copy((*cf).pool, name.as_bytes())?;
            let tag = (&raw mut ngx_http_apigate_module).cast();
            let zone = NonNull::new(ngx_shared_memory_add(cf, &mut name, bytes, tag))?;
            if !(*zone.as_ptr()).data.is_null() {
                return None;
            }
            (*zone.as_ptr()).init = Some(init);
            // Marks the zone as declared, as nginx's modules do with their contexts.
            (*zone.as_ptr()).data = zone.as_ptr().cast();
            Some(Self(zone))
        }
    }

    /// The zone's words; empty before nginx has made the memory.
    pub(super) fn words(&self) -> &'static [AtomicU64] {
        // SAFETY: `init` leaves a Words block in the pool's `data`; the mapping lives as long as its processes.
        unsafe {
            let pool = self.0.as_ref().shm.addr.cast::<ngx_slab_pool_t>();
            match pool.as_ref().and_then(|pool| pool.data.cast::<Words>().as_ref()) {
                Some(words) => std::slice::from_raw_parts(words.first(), words.count),
                None => &[],
            }
        }
    }

    /// Holds the zone's mutex, which spins and is not re-entrant: briefly, and several zones' in one order everywhere.
    pub(super) fn lock(&self) -> ZoneGuard {
        // SAFETY: the pool's mutex is made by nginx with the zone; nginx frees it if the process is killed here.
        unsafe {
            let pool = self.0.as_ref().shm.addr.cast::<ngx_slab_pool_t>();
            let mutex = &raw mut (*pool).mutex;
            ngx_shmtx_lock(mutex);
            ZoneGuard(mutex)
        }
    }

    /// True for one process of the host in each such time: who may say what all have to say.
    pub(super) fn may_speak(&self, now_s: u64, every_s: u64) -> bool {
        // SAFETY: as in `words`.
        let head = unsafe {
            let pool = self.0.as_ref().shm.addr.cast::<ngx_slab_pool_t>();
            pool.as_ref().and_then(|pool| pool.data.cast::<Words>().as_ref())
        };
        head.is_some_and(|head| {
            let spoke_s = head.spoke_s.load(Ordering::Relaxed);
            let is_due = now_s >= spoke_s.saturating_add(every_s);
            is_due
                && head
                    .spoke_s
                    .compare_exchange(spoke_s, now_s, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
        })
    }

    /// The size of the zone of this name in the configuration before this one, which nginx keeps only with the same size.
    ///
    /// # Safety
    /// `cf` is nginx's.
    pub(super) unsafe fn size_before(cf: *mut ngx_conf_t, name: &str) -> Option<usize> {
        // SAFETY: the old cycle lives while nginx configures the new one; its list of zones is linked until null.
        unsafe {
            let old = (*(*cf).cycle).old_cycle.as_ref()?;
            let tag = (&raw mut ngx_http_apigate_module).cast();
            let mut part = Some(&old.shared_memory.part);
            while let Some(current) = part {
                let zones = current.elts.cast::<ngx_shm_zone_t>();
                for index in 0..current.nelts {
                    let zone = &*zones.add(index);
                    if zone.tag == tag && memory::bytes(zone.shm.name) == name.as_bytes() {
                        return Some(zone.shm.size);
                    }
                }
                part = current.next.as_ref();
            }
            None
        }
    }
}

/// A zone's mutex, held.
pub(super) struct ZoneGuard(*mut nginx_sys::ngx_shmtx_t);

impl Drop for ZoneGuard {
    fn drop(&mut self) {
        // SAFETY: locked by `Zone::lock`, by this thread.
        unsafe { ngx_shmtx_unlock(self.0) };
    }
}

/// The head of the one block in the slab pool; the words follow it.
#[repr(C, align(64))]
struct Words {
    count: usize,
    /// When a process last said what all have to say; seconds since 1970.
    spoke_s: AtomicU64,
}

impl Words {
    fn first(&self) -> *const AtomicU64 {
        // SAFETY: `init` made the block larger than its head by `count` words.
        unsafe { std::ptr::from_ref(self).add(1).cast() }
    }
}

/// Called by nginx when the zone's memory is there; `old` is set when a reload has kept it.
unsafe extern "C" fn init(zone: *mut ngx_shm_zone_t, old: *mut c_void) -> ngx_int_t {
    guard("zone", NGX_ERROR as ngx_int_t, || {
        // SAFETY: nginx hands a zone with its mapping; nobody else uses the pool before workers run.
        unsafe {
            let pool = (*zone).shm.addr.cast::<ngx_slab_pool_t>();
            if !old.is_null() && !(*pool).data.is_null() {
                return NGX_OK as ngx_int_t;
            }
            let Some(words) = take_all(pool) else {
                let name = String::from_utf8_lossy(memory::bytes((*zone).shm.name)).into_owned();
                log::process(log::Level::Alert, format_args!("zone \"{name}\" is too small"));
                return NGX_ERROR as ngx_int_t;
            };
            (*pool).data = words.as_ptr().cast();
            // A full zone is the policies' business, not the slab allocator's.
            (*pool).set_log_nomem(0);
        }
        NGX_OK as ngx_int_t
    })
}

/// All pages of a fresh pool as one block. Its memory is zero: the mapping is new.
unsafe fn take_all(pool: *mut ngx_slab_pool_t) -> Option<NonNull<Words>> {
    // SAFETY: a fresh slab pool; ngx_slab_alloc_locked may be called unlocked while nobody else has the zone.
    unsafe {
        let mut pages = (*pool).pfree;
        while pages > 0 {
            let bytes = pages * ngx_pagesize;
            let block = ngx_slab_alloc_locked(pool, bytes).cast::<Words>();
            if let Some(block) = NonNull::new(block) {
                let count = (bytes - size_of::<Words>()) / size_of::<AtomicU64>();
                block.write(Words { count, spoke_s: AtomicU64::new(0) });
                return Some(block);
            }
            pages -= 1;
        }
        None
    }
}

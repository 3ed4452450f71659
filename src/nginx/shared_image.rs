//! Images of consumer sets that workers share: in memory files, sealed, handed on by a socket that the master keeps open.
#![allow(clippy::disallowed_methods, reason = "called on helper threads")]

use super::shared::Zone;
use crate::consumers::{Carrier, Image};
use std::fs::File;
use std::io::{Error, Result, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::net::UnixDatagram;
use std::ptr::NonNull;
use std::sync::Arc;

/// What makes a mapping safe: nobody, this process included, can change or shorten the file.
const SEALS: i32 = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
const VERSION_BYTES: usize = size_of::<u64>();

/// More than ever lie there: one, and another while it takes its place.
const MOST_ON_SHELF: usize = 16;

/// Where the last image of a set lies: on its way between two sockets that the master has made and never reads. Every worker
/// inherits them, and what lies there outlives all workers.
#[derive(Debug)]
pub(super) struct Shelf {
    front: UnixDatagram,
    back: UnixDatagram,
}

impl Shelf {
    /// `None` when the system has no sockets to spare.
    pub(super) fn new() -> Option<Self> {
        let (front, back) = UnixDatagram::pair().ok()?;
        Some(Self { front, back })
    }

    fn add(&self, version: u64, file: &File) -> Result<()> {
        let mut version = version.to_le_bytes();
        let mut control = Control { bytes: [0; Control::BYTES] };
        with_message(&mut version, &mut control, |message| {
            let descriptor = file.as_raw_fd();
            // SAFETY: the control buffer has room for the one header with its descriptor; both sockets are open.
            unsafe {
                message.msg_controllen = libc::CMSG_SPACE(DESCRIPTOR_BYTES) as _;
                let header = libc::CMSG_FIRSTHDR(message);
                (*header).cmsg_level = libc::SOL_SOCKET;
                (*header).cmsg_type = libc::SCM_RIGHTS;
                (*header).cmsg_len = libc::CMSG_LEN(DESCRIPTOR_BYTES) as _;
                libc::CMSG_DATA(header).cast::<i32>().write_unaligned(descriptor);
                match libc::sendmsg(self.front.as_raw_fd(), message, libc::MSG_DONTWAIT) {
                    -1 => Err(Error::last_os_error()),
                    _ => Ok(()),
                }
            }
        })
    }

    /// The first image and its version, left there with `MSG_PEEK` in `flags`; without its file when this process can have no
    /// more files.
    fn first(&self, flags: i32) -> Option<(u64, Option<File>)> {
        let mut version = [0; VERSION_BYTES];
        let mut control = Control { bytes: [0; Control::BYTES] };
        let file = with_message(&mut version, &mut control, |message| {
            let flags = flags | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
            // SAFETY: both buffers outlive the call; what is read as a header was written by the kernel, and a descriptor that
            // comes with a message is nobody else's.
            unsafe {
                if libc::recvmsg(self.back.as_raw_fd(), message, flags) != VERSION_BYTES as isize {
                    return None;
                }
                let header = libc::CMSG_FIRSTHDR(message).as_ref();
                let header = header.filter(|header| header.cmsg_type == libc::SCM_RIGHTS);
                Some(header.map(|header| {
                    let descriptor = libc::CMSG_DATA(header).cast::<i32>().read_unaligned();
                    File::from_raw_fd(descriptor)
                }))
            }
        })?;
        Some((u64::from_le_bytes(version), file))
    }
}

const DESCRIPTOR_BYTES: u32 = size_of::<i32>() as u32;

/// Room for a message's descriptor, aligned as its header must be.
#[repr(C)]
union Control {
    header: libc::cmsghdr,
    bytes: [u8; Self::BYTES],
}

impl Control {
    // SAFETY: plain arithmetic.
    const BYTES: usize = unsafe { libc::CMSG_SPACE(DESCRIPTOR_BYTES) } as usize;
}

fn with_message<T>(
    version: &mut [u8; VERSION_BYTES],
    control: &mut Control,
    exchange: impl FnOnce(&mut libc::msghdr) -> T,
) -> T {
    let mut data = libc::iovec { iov_base: version.as_mut_ptr().cast(), iov_len: VERSION_BYTES };
    // SAFETY: all zeros is an empty message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    message.msg_control = std::ptr::from_mut(control).cast();
    message.msg_controllen = Control::BYTES as _;
    exchange(&mut message)
}

/// One memory file for each version, the last of which lies on the shelf.
pub(super) struct MemoryFiles {
    pub(super) shelf: Arc<Shelf>,
    /// Whoever changes what lies there holds its lock.
    pub(super) zone: Zone,
}

impl Carrier for MemoryFiles {
    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn is_alive(&self, pid: u32) -> bool {
        let Ok(pid) = i32::try_from(pid) else { return false };
        // SAFETY: signal 0 only asks.
        let status = unsafe { libc::kill(pid, 0) };
        status == 0 || Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
    }

    fn put(&mut self, version: u64, image: &[u8]) -> Option<Image> {
        let file = write(image).ok();
        let _guard = self.zone.lock();
        let file = file.filter(|file| self.shelf.add(version, file).is_ok());
        // An old one is worse than none.
        for _ in 0..MOST_ON_SHELF {
            let first = self.shelf.first(libc::MSG_PEEK).map(|(version, _)| version);
            if first.is_none() || file.is_some() && first == Some(version) {
                break;
            }
            self.shelf.first(0);
        }
        Some(Box::new(Mapping::of(&file?)?))
    }

    fn last(&mut self) -> Option<(u64, Image)> {
        let (version, file) = self.shelf.first(libc::MSG_PEEK)?;
        Some((version, Box::new(Mapping::of(&file?)?)))
    }
}

/// A sealed file of these bytes.
fn write(image: &[u8]) -> Result<File> {
    let mut file = create()?;
    file.write_all(image)?;
    // SAFETY: the descriptor is the file's.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } {
        0 => Ok(file),
        _ => Err(Error::last_os_error()),
    }
}

/// An empty memory file.
fn create() -> Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // hosts may insist on NOEXEC; kernels before 6.3 do not know it
    for flags in [flags | libc::MFD_NOEXEC_SEAL, flags] {
        // SAFETY: the name ends with NUL; a descriptor that was made is nobody else's.
        unsafe {
            let descriptor = libc::memfd_create(c"apigate-consumers".as_ptr(), flags);
            if descriptor >= 0 {
                return Ok(File::from_raw_fd(descriptor));
            }
        }
    }
    Err(Error::last_os_error())
}

/// A sealed file in memory.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: sealed memory is read by all and written by none.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `None` for a file that is not sealed, or cannot be mapped.
    fn of(file: &File) -> Option<Self> {
        let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
        let descriptor = file.as_raw_fd();
        // SAFETY: the descriptor is the file's; a new mapping of it disturbs nobody.
        let address = unsafe {
            let seals = libc::fcntl(descriptor, libc::F_GET_SEALS);
            if length == 0 || seals < 0 || seals & SEALS != SEALS {
                return None;
            }
            let (access, kind) = (libc::PROT_READ, libc::MAP_SHARED);
            libc::mmap(std::ptr::null_mut(), length, access, kind, descriptor, 0)
        };
        if address == libc::MAP_FAILED {
            return None;
        }
        Some(Self { start: NonNull::new(address.cast())?, length })
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: mapped with this length until it is dropped; the seals keep the file as long and its bytes as they are.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and nobody borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

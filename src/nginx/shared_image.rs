//! Images of consumer sets that workers share: in memory files, sealed, had from one another by way of /proc.
#![allow(clippy::disallowed_methods, reason = "called on helper threads")]

use crate::consumers::{Carrier, Image, Offer};
use std::fs::File;
use std::io::{Error, Result, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::ptr::NonNull;

/// What makes a mapping safe: nobody, this process included, can change or shorten the file.
const SEALS: i32 = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
const VERSION_BYTES: usize = size_of::<u64>();

/// One memory file for each version: its number, then the image.
pub(super) struct MemoryFiles;

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

    fn put(&mut self, version: u64, image: &[u8]) -> Option<(Offer, Image)> {
        let file = write(version, image).ok()?;
        let descriptor = u32::try_from(file.as_raw_fd()).ok()?;
        let offer = Offer { pid: self.pid(), descriptor };
        Some((offer, Box::new(Mapping::of(file)?)))
    }

    fn get(&mut self, version: u64, offer: Offer) -> Option<Image> {
        let file = File::open(format!("/proc/{}/fd/{}", offer.pid, offer.descriptor)).ok()?;
        let mapping = Mapping::of(file)?;
        (mapping.version() == version).then(|| Box::new(mapping) as Image)
    }
}

/// A sealed file with a version in it.
fn write(version: u64, image: &[u8]) -> Result<File> {
    let mut file = create()?;
    file.write_all(&version.to_le_bytes())?;
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

/// A sealed file in memory. The file stays open, so that others can have it.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
    _file: File,
}

// SAFETY: sealed memory is read by all and written by none.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `None` for a file that is not sealed, or cannot be mapped.
    fn of(file: File) -> Option<Self> {
        let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
        let descriptor = file.as_raw_fd();
        // SAFETY: the descriptor is the file's; a new mapping of it disturbs nobody.
        let address = unsafe {
            let seals = libc::fcntl(descriptor, libc::F_GET_SEALS);
            if length < VERSION_BYTES || seals < 0 || seals & SEALS != SEALS {
                return None;
            }
            let (access, kind) = (libc::PROT_READ, libc::MAP_SHARED);
            libc::mmap(std::ptr::null_mut(), length, access, kind, descriptor, 0)
        };
        if address == libc::MAP_FAILED {
            return None;
        }
        Some(Self { start: NonNull::new(address.cast())?, length, _file: file })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped with this length until it is dropped; the seals keep the file as long and its bytes as they are.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    fn version(&self) -> u64 {
        self.bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self.bytes().get(VERSION_BYTES..).unwrap_or_default()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and nobody borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

//! Whether workers will be able to read what the master reads: the files that they watch.
//!
//! The master is root and reads everything; its workers are not. Their first look at a changed file would be the first sign,
//! so `nginx -t` says it.
#![allow(clippy::disallowed_methods, reason = "files are looked at while nginx starts")]

use super::log;
use nginx_sys::{ngx_core_conf_t, ngx_core_module, ngx_cycle_t};
use std::ffi::CStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A user by number, with its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    name: String,
    id: libc::uid_t,
    groups: Vec<libc::gid_t>,
}

impl User {
    /// The user of the workers; `None` when it is the master's own, or root.
    ///
    /// # Safety
    /// `cycle` is live and its configuration is read.
    pub(super) unsafe fn of_workers(cycle: *mut ngx_cycle_t) -> Option<Self> {
        const ROOT: libc::uid_t = 0;
        // SAFETY: the core module has a conf in every cycle; nginx sets the name wherever it sets the user.
        unsafe {
            let core = *(*cycle).conf_ctx.add(ngx_core_module.index);
            let core = core.cast::<ngx_core_conf_t>().as_ref()?;
            if libc::geteuid() != ROOT || core.user == ROOT || core.username.is_null() {
                return None;
            }
            let name = CStr::from_ptr(core.username);
            Some(Self {
                name: name.to_string_lossy().into_owned(),
                id: core.user,
                groups: groups_of(name, core.group),
            })
        }
    }

    /// Warns of a file that this user cannot read.
    pub(super) fn warn_of(&self, file: &Path) {
        if let Some(obstacle) = self.obstacle(file) {
            let (user, file, obstacle) = (&self.name, file.display(), obstacle.display());
            log::process(
                log::Level::Warn,
                format_args!(
                    "consumers file \"{file}\" is watched by workers, whose user \"{user}\" has no access to \"{obstacle}\""
                ),
            );
        }
    }

    /// The first directory on the way to a file that this user may not search, or the file if it may not read that.
    ///
    /// By permission bits; what else a system may grant or withhold is not looked at.
    fn obstacle(&self, file: &Path) -> Option<PathBuf> {
        let real = file.canonicalize().ok()?;
        for path in [file, &*real] {
            let mut directories: Vec<&Path> = path.ancestors().skip(1).collect();
            directories.reverse();
            let closed = directories
                .into_iter()
                .find(|it| !it.as_os_str().is_empty() && !self.may(it, Access::Search));
            if let Some(closed) = closed {
                return Some(closed.to_owned());
            }
        }
        (!self.may(&real, Access::Read)).then_some(real)
    }

    fn may(&self, path: &Path, access: Access) -> bool {
        let Ok(found) = std::fs::metadata(path) else { return true };
        let shift = match () {
            () if found.uid() == self.id => 6,
            () if self.groups.contains(&found.gid()) => 3,
            () => 0,
        };
        found.mode() >> shift & access as u32 != 0
    }
}

/// A bit of a permission's triple.
#[derive(Clone, Copy)]
enum Access {
    Search = 1,
    Read = 4,
}

/// The groups that `initgroups` gives a worker.
fn groups_of(name: &CStr, group: libc::gid_t) -> Vec<libc::gid_t> {
    const MOST: libc::c_int = 1_024;
    let mut count = MOST;
    let mut groups = vec![group; MOST as usize];
    // SAFETY: room for `count` groups; the call sets it to how many there are.
    unsafe { libc::getgrouplist(name.as_ptr(), group, groups.as_mut_ptr(), &mut count) };
    groups.truncate(usize::try_from(count).unwrap_or(0).max(1));
    groups
}

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
use std::sync::atomic::AtomicU64;

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

    /// Runs with the zone's mutex held. Short, and never inside another zone's: the mutex spins and is not re-entrant.
    #[allow(dead_code, reason = "for zones whose words change together")]
    pub(super) fn locked<T>(&self, run: impl FnOnce(&'static [AtomicU64]) -> T) -> T {
        // SAFETY: the pool's mutex is made by nginx with the zone; nginx frees it if the process is killed here.
        unsafe {
            let pool = self.0.as_ref().shm.addr.cast::<ngx_slab_pool_t>();
            let mutex = &raw mut (*pool).mutex;
            struct Unlock(*mut nginx_sys::ngx_shmtx_t);
            impl Drop for Unlock {
                fn drop(&mut self) {
                    // SAFETY: locked below, by this thread.
                    unsafe { ngx_shmtx_unlock(self.0) };
                }
            }
            ngx_shmtx_lock(mutex);
            let _unlock = Unlock(mutex);
            run(self.words())
        }
    }
}

/// The head of the one block in the slab pool; the words follow it.
#[repr(C, align(64))]
struct Words {
    count: usize,
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
                block.write(Words { count });
                return Some(block);
            }
            pages -= 1;
        }
        None
    }
}

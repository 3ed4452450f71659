//! Configuration: what merging levels does not do for blocks.

use super::{Level, core, modules, ours};
use crate::directive::DirectiveError;
use crate::nginx::guard::guard;
use crate::nginx::log;
use crate::nginx::main_conf::MainConf;
use crate::nginx::memory;
use crate::nginx::module::ngx_http_apigate_module;
use nginx_sys::{
    NGX_ERROR, NGX_OK, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t,
    ngx_http_core_module, ngx_http_max_module, ngx_int_t, ngx_palloc,
};
use std::ffi::{CStr, c_void};

const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;

/// Completes all locations that have blocks: NGX_OK, or NGX_ERROR with a line in the log.
///
/// # Safety
/// Called in postconfiguration with nginx's cf, when all levels are merged.
pub(in crate::nginx) unsafe fn finish(cf: *mut ngx_conf_t) -> ngx_int_t {
    guard("configuration", ERROR, || {
        // SAFETY: cf->ctx is the http context here; main and location confs are distinct objects.
        unsafe {
            let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
            let main = *(*http).main_conf.add(ngx_http_apigate_module.ctx_index);
            let main = &*main.cast::<MainConf>();
            let try_files = modules(cf)
                .find(|module| {
                    !module.name.is_null()
                        && CStr::from_ptr(module.name) == c"ngx_http_try_files_module"
                })
                .map(|module| module.ctx_index);
            for location in main.with_blocks.iter().copied() {
                if let Err(error) = check(cf, location) {
                    log::configuration(cf, &error);
                    return ERROR;
                }
                if let Some(index) = try_files {
                    share_try_files(location, index);
                }
                if lift_body_limit(cf, location).is_none() {
                    return ERROR;
                }
            }
        }
        NGX_OK as ngx_int_t
    })
}

/// # Safety
/// `location` is a merged level with blocks.
unsafe fn check(cf: *mut ngx_conf_t, location: Level) -> Result<(), DirectiveError> {
    // SAFETY: the caller's; one conf at a time.
    let (core, place) = unsafe { (&*core(location), &ours(location).blocks.place) };
    // SAFETY: a name of the configuration.
    let name = String::from_utf8_lossy(unsafe { memory::bytes(core.name) });
    if core.limit_except != 0 {
        // nginx would switch to its block first, and the request's own would never be found
        let text = format!("\"limit_except\" is beside \"method\" in location \"{name}\"");
        return Err(DirectiveError::new(text).at(place));
    }
    if !core.static_locations.is_null() || !core.regex_locations.is_null() {
        // SAFETY: cf->log is set for all of the configuration's time.
        let log = unsafe { (*cf).log };
        let text = "locations inside do not inherit the \"method\" blocks of location";
        let level = log::Level::Warn;
        log::write(log, level, format_args!("{text} \"{name}\" in {}:{}", place.file, place.line));
    }
    Ok(())
}

/// Gives a block without `try_files` the location's: nginx's module has no merge.
///
/// # Safety
/// `location` is a level with blocks, and `index` the try_files module's.
unsafe fn share_try_files(location: Level, index: usize) {
    // SAFETY: the caller's. The module's conf begins with its pointer to the files, null when none are written.
    unsafe {
        for block in &ours(location).blocks.levels {
            let slot = block.add(index);
            if (*(*slot).cast::<*const c_void>()).is_null() {
                *slot = *location.add(index);
            }
        }
    }
}

/// Lifts the location's limit, which nginx tests before it knows of blocks: a block's refusal is then the block's own, with its
/// headers and its error page. Methods without a block get a copy of the location with the true limit. `None` when memory is
/// short.
///
/// # Safety
/// `location` is a merged level with blocks.
unsafe fn lift_body_limit(cf: *mut ngx_conf_t, location: Level) -> Option<()> {
    // SAFETY: the caller's; the copy has the size of a level, and is made before the original is changed.
    unsafe {
        if core(location).client_max_body_size != 0 {
            let others = copy(cf, location, ngx_http_max_module)?;
            let conf: *mut ngx_http_core_loc_conf_t = copy(cf, core(location), 1)?;
            (*conf).loc_conf = others;
            *others.add(ngx_http_core_module.ctx_index) = conf.cast();
            ours(location).blocks.others = Some(others);
            core(location).client_max_body_size = 0;
        }
    }
    Some(())
}

/// # Safety
/// `cf` is live, and `count` values are at `from`.
unsafe fn copy<T: Copy>(cf: *mut ngx_conf_t, from: *const T, count: usize) -> Option<*mut T> {
    // SAFETY: the caller's; the block has room for them.
    unsafe {
        let to = ngx_palloc((*cf).pool, size_of::<T>() * count).cast::<T>();
        if to.is_null() {
            return None;
        }
        std::ptr::copy_nonoverlapping(from, to, count);
        Some(to)
    }
}

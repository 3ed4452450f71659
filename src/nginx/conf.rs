//! Configuration levels: made, filled by commands.rs, merged and compiled.

use super::guard::guard;
use super::{log, memory};
use crate::config::{LocationDirectives, LocationPlan, MainDirectives};
use nginx_sys::ngx_conf_t;
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use std::ffi::{c_char, c_void};

/// What `http` alone holds.
#[derive(Debug, Default)]
pub(super) struct MainConf {
    /// As written.
    pub(super) directives: MainDirectives,
}

/// One level: `http`, a server, a location, an `if` or `method` block.
#[derive(Debug, Default)]
pub(super) struct LocationConf {
    /// As written here, then merged.
    pub(super) directives: LocationDirectives,
    /// What requests are judged by; default until merged.
    pub(super) plan: LocationPlan,
}

unsafe fn create<T: Default>(cf: *mut ngx_conf_t) -> *mut c_void {
    guard("configuration", std::ptr::null_mut(), || {
        // SAFETY: cf and its pool are live while nginx configures; the pool outlives the configuration.
        let made = unsafe { memory::place((*cf).pool, T::default()) };
        made.map_or(std::ptr::null_mut(), |made| made.as_ptr().cast())
    })
}

/// create_main_conf
pub(super) unsafe extern "C" fn create_main(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: called by nginx with a live cf.
    unsafe { create::<MainConf>(cf) }
}

/// create_loc_conf
pub(super) unsafe extern "C" fn create_location(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: called by nginx with a live cf.
    unsafe { create::<LocationConf>(cf) }
}

/// merge_loc_conf: outer levels first, so that `outer` is merged when its locations are.
pub(super) unsafe extern "C" fn merge_location(
    cf: *mut ngx_conf_t,
    outer: *mut c_void,
    inner: *mut c_void,
) -> *mut c_char {
    guard("configuration", NGX_CONF_ERROR, || {
        // SAFETY: both were made by `create_location`, are distinct, and nobody else has them now.
        let (outer, inner) =
            unsafe { (&*outer.cast::<LocationConf>(), &mut *inner.cast::<LocationConf>()) };
        inner.directives.merge(&outer.directives);
        match inner.directives.compile() {
            Ok(plan) => {
                inner.plan = plan;
                NGX_CONF_OK
            }
            Err(error) => {
                log::configuration(cf, &error);
                NGX_CONF_ERROR
            }
        }
    })
}

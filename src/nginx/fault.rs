//! Panics on demand, for the test that none of them leaves a callback. Only with the feature `fault-injection`, which no
//! shipped module has.
//!
//! ```text
//! Syntax:  apigate_fault "panic_in=CALLBACK";
//! Context: location
//! ```
//! A request of the location makes the next call of CALLBACK, by the name that [`guard`] is given, panic: once.

use super::commands::with_words;
use super::conf::LocationConf;
use super::guard::guard;
use super::log;
use crate::directive::{DirectiveError, Words};
use nginx_sys::{
    NGX_CONF_TAKE1, NGX_HTTP_LOC_CONF, NGX_HTTP_LOC_CONF_OFFSET, ngx_command_t, ngx_conf_t,
    ngx_str_t, ngx_uint_t,
};
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::ptr::null_mut;

const NAME: &std::ffi::CStr = c"apigate_fault";

thread_local! {
    /// The callback that is to panic. Helper threads have none.
    static ARMED: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// For the table of commands.
pub(super) const fn command() -> ngx_command_t {
    ngx_command_t {
        name: ngx_str_t { len: NAME.count_bytes(), data: NAME.as_ptr().cast_mut().cast() },
        type_: (NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1) as ngx_uint_t,
        set: Some(set),
        conf: NGX_HTTP_LOC_CONF_OFFSET,
        offset: 0,
        post: null_mut(),
    }
}

fn parse(words: &Words<'_>) -> Result<Box<str>, DirectiveError> {
    let text = words.first()?;
    let name = text.strip_prefix("panic_in=").filter(|name| !name.is_empty());
    let invalid = || DirectiveError::new(format!("invalid parameter \"{text}\""));
    Ok(name.ok_or_else(invalid)?.into())
}

unsafe extern "C" fn set(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    guard("configuration", NGX_CONF_ERROR, || {
        // SAFETY: nginx hands its cf, and the location's conf.
        let (parsed, level) = unsafe { (with_words(cf, parse), &mut *conf.cast::<LocationConf>()) };
        match parsed {
            Ok(name) => {
                level.fault = Some(name);
                NGX_CONF_OK
            }
            Err(error) => {
                log::configuration(cf, &error);
                NGX_CONF_ERROR
            }
        }
    })
}

/// Called when a request comes to its location.
pub(super) fn arm(conf: &LocationConf) {
    if let Some(name) = &conf.fault {
        ARMED.set(Some(name.clone()));
    }
}

/// Called in every callback.
#[allow(clippy::panic, reason = "what it is for")]
pub(super) fn strike(callback: &str) {
    let hit = |armed: &mut Option<Box<str>>| armed.take_if(|name| &**name == callback).is_some();
    if ARMED.with_borrow_mut(hit) {
        panic!("on demand");
    }
}

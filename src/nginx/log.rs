//! nginx's logs.

use crate::directive::DirectiveError;
use nginx_sys::{
    NGX_LOG_ALERT, NGX_LOG_EMERG, NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_NOTICE, NGX_LOG_WARN,
    ngx_conf_log_error, ngx_conf_t, ngx_cycle, ngx_log_t,
};
use ngx::ngx_log_error;
use std::fmt::Arguments;

/// Levels of `error_log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Our own fault.
    Alert = NGX_LOG_ALERT as isize,
    /// A dependency's fault.
    Error = NGX_LOG_ERR as isize,
    /// Something an operator should look at.
    Warn = NGX_LOG_WARN as isize,
    /// Worth knowing.
    Notice = NGX_LOG_NOTICE as isize,
    /// A client's mistake.
    Info = NGX_LOG_INFO as isize,
}

/// Writes a line to a connection's or cycle's log, which is live: all callers take it from one that is.
pub(super) fn write(log: *mut ngx_log_t, level: Level, text: Arguments<'_>) {
    ngx_log_error!(level as isize, log, "{}", text);
}

/// Writes a line as [`write`] does, without what nginx is doing just then.
pub(super) fn write_without_action(log: *mut ngx_log_t, level: Level, text: Arguments<'_>) {
    // SAFETY: callers' logs are live, and nobody else writes to them meanwhile.
    let action = unsafe { std::mem::replace(&mut (*log).action, std::ptr::null_mut()) };
    write(log, level, text);
    // SAFETY: as above.
    unsafe { (*log).action = action };
}

/// Writes a line to the process's log.
pub(super) fn process(level: Level, text: Arguments<'_>) {
    // SAFETY: nginx sets ngx_cycle before it loads modules, and its log lives as long.
    let log = unsafe { (*ngx_cycle).log };
    write(log, level, text);
}

/// Writes a configuration error as nginx does, ` in FILE:LINE` behind it.
pub(super) fn configuration(cf: *mut ngx_conf_t, error: &DirectiveError) {
    let text = error.to_string();
    match error.place() {
        // SAFETY: nginx calls configuration callbacks with a live cf; the text outlives the call.
        None => unsafe {
            let format = c"%*s".as_ptr();
            ngx_conf_log_error(NGX_LOG_EMERG as _, cf, 0, format, text.len(), text.as_ptr());
        },
        Some(place) => {
            // SAFETY: as above; cf->log is set for all of the configuration's time.
            let log = unsafe { (*cf).log };
            ngx_log_error!(NGX_LOG_EMERG, log, "{} in {}:{}", text, place.file, place.line);
        }
    }
}

//! Texts with nginx variables, compiled while nginx reads its configuration.

use super::memory;
use crate::directive::{DirectiveError, Place};
use nginx_sys::{
    NGX_OK, ngx_conf_t, ngx_http_compile_complex_value, ngx_http_compile_complex_value_t,
    ngx_http_complex_value_t, ngx_int_t,
};

/// The text of a directive that stands at `place`, compiled.
///
/// # Safety
/// `cf` is nginx's.
pub(super) unsafe fn compile(
    cf: *mut ngx_conf_t,
    text: &str,
    place: &Place,
) -> Result<Box<ngx_http_complex_value_t>, DirectiveError> {
    let failed = || DirectiveError::new(format!("invalid variables in \"{text}\"")).at(place);
    // SAFETY: cf's pool is live and keeps the text and the compiled codes.
    unsafe {
        let mut value: Box<ngx_http_complex_value_t> = Box::new(std::mem::zeroed());
        let mut source = memory::copy((*cf).pool, text.as_bytes()).ok_or_else(failed)?;
        let mut compile: ngx_http_compile_complex_value_t = std::mem::zeroed();
        compile.cf = cf;
        compile.value = &mut source;
        compile.complex_value = &mut *value;
        let status = ngx_http_compile_complex_value(&mut compile);
        if status == NGX_OK as ngx_int_t { Ok(value) } else { Err(failed()) }
    }
}

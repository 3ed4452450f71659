//! TLS contexts for connections to AWS.

use crate::directive::DirectiveError;
use crate::nginx::memory;
use nginx_sys::{
    NGX_OK, NGX_SSL_TLSv1_2, NGX_SSL_TLSv1_3, SSL_CTX_set_default_verify_paths, ngx_conf_t,
    ngx_int_t, ngx_pcalloc, ngx_pool_cleanup_add, ngx_ssl_cleanup_ctx,
    ngx_ssl_client_session_cache, ngx_ssl_create, ngx_ssl_t, ngx_ssl_trusted_certificate,
};
use std::path::Path;

const VERIFY_DEPTH: ngx_int_t = 9;

/// A client context that trusts the given file's certificates, or the system's.
///
/// nginx writes the reason of a failure to its log itself.
///
/// # Safety
/// `cf` is nginx's; the context lives as long as its pool.
pub(in crate::nginx) unsafe fn create_context(
    cf: *mut ngx_conf_t,
    trusted_certificate: Option<&Path>,
) -> Result<*mut ngx_ssl_t, DirectiveError> {
    let failed = || DirectiveError::new("TLS context for AWS could not be made");
    // SAFETY: cf's pool is live; nginx's functions get the context they made.
    unsafe {
        let ssl = ngx_pcalloc((*cf).pool, size_of::<ngx_ssl_t>()).cast::<ngx_ssl_t>();
        if ssl.is_null() {
            return Err(failed());
        }
        (*ssl).log = (*cf).log;
        let protocols = (NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3) as usize;
        if ngx_ssl_create(ssl, protocols, std::ptr::null_mut()) != NGX_OK as ngx_int_t {
            return Err(failed());
        }
        let cleanup = ngx_pool_cleanup_add((*cf).pool, 0);
        if cleanup.is_null() {
            ngx_ssl_cleanup_ctx(ssl.cast());
            return Err(failed());
        }
        (*cleanup).handler = Some(ngx_ssl_cleanup_ctx);
        (*cleanup).data = ssl.cast();
        let trusted = match trusted_certificate {
            Some(file) => {
                let shown = file.display().to_string();
                let mut name = memory::copy((*cf).pool, shown.as_bytes()).ok_or_else(failed)?;
                ngx_ssl_trusted_certificate(cf, ssl, &mut name, VERIFY_DEPTH) == NGX_OK as ngx_int_t
            }
            None => SSL_CTX_set_default_verify_paths((*ssl).ctx.cast()) == 1,
        };
        if let (false, Some(file)) = (trusted, trusted_certificate) {
            let text = format!("cannot load certificates of \"{}\"", file.display());
            return Err(DirectiveError::new(text));
        }
        if !trusted || ngx_ssl_client_session_cache(cf, ssl, 1) != NGX_OK as ngx_int_t {
            return Err(failed());
        }
        Ok(ssl)
    }
}

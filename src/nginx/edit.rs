//! Changes to a request on its way on: headers, query and body, for whatever comes after.
//!
//! Every function answers `None` when memory is short; the request must then end, because what was to be hidden is not.
//! Bytes of the request that were borrowed before a change stay valid: nothing is freed or moved before the request ends.

use super::memory;
use super::request::{Request, lines};
use crate::request::{Header, hash_lowercase};
use nginx_sys::{
    ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_variable_t, ngx_list_push, ngx_str_t,
    ngx_table_elt_t,
};

mod body;
mod header_list;

pub(super) use body::set_body;
use header_list::remove_lines;

/// Removes the request's header lines for which `goes` is true.
///
/// The lines leave nginx's list, not only its lookups: upstream modules send on all that the list has.
pub(super) fn remove_headers(
    request: Request<'_>,
    goes: impl Fn(&Header<'_>) -> bool,
) -> Option<()> {
    let mut removed = Vec::new();
    // SAFETY: live; the list is not changed while its lines are read.
    for line in unsafe { lines(&(*request.raw().as_ptr()).headers_in.headers.part) } {
        if goes(&header(line)) {
            removed.push(std::ptr::from_ref(line).cast_mut());
        }
    }
    if removed.is_empty() {
        return Some(());
    }
    // SAFETY: live, and no line is borrowed any more.
    unsafe { remove_lines(&mut (*request.raw().as_ptr()).headers_in, &removed)? };
    forget_variables(request, |name| name.starts_with(b"http_"));
    Some(())
}

/// Adds a line to the request's headers, beside lines of the same name.
pub(super) fn add_header(request: Request<'_>, name: &'static str, value: &str) -> Option<()> {
    let raw = request.raw().as_ptr();
    // SAFETY: live; the list takes a line of the pool's.
    unsafe {
        let lowercase = memory::copy((*raw).pool, name.as_bytes())?;
        std::slice::from_raw_parts_mut(lowercase.data, lowercase.len).make_ascii_lowercase();
        let value = memory::copy((*raw).pool, value.as_bytes())?;
        let line = ngx_list_push(&mut (*raw).headers_in.headers).cast::<ngx_table_elt_t>();
        if line.is_null() {
            return None;
        }
        line.write_bytes(0, 1);
        (*line).hash = hash_lowercase(memory::bytes(lowercase));
        (*line).key = memory::static_str(name);
        (*line).lowcase_key = lowercase.data;
        (*line).value = value;
    }
    Some(())
}

/// Replaces the values of header lines for which `edit` has another, and removes lines whose new value is empty.
pub(super) fn edit_headers(
    request: Request<'_>,
    edit: impl Fn(&Header<'_>) -> Option<Vec<u8>>,
) -> Option<()> {
    let raw = request.raw().as_ptr();
    let mut edited = Vec::new();
    // SAFETY: live; the list is not changed while its lines are read.
    for line in unsafe { lines(&(*raw).headers_in.headers.part) } {
        if let Some(value) = edit(&header(line)) {
            // SAFETY: live.
            let value = unsafe { memory::copy((*raw).pool, &value)? };
            edited.push((std::ptr::from_ref(line).cast_mut(), value));
        }
    }
    for (line, value) in &edited {
        // SAFETY: a line of the list, which nobody borrows any more.
        unsafe { (**line).value = *value };
    }
    let emptied: Vec<_> =
        edited.iter().filter(|(_, value)| value.len == 0).map(|(line, _)| *line).collect();
    if !emptied.is_empty() {
        // SAFETY: as above.
        unsafe { remove_lines(&mut (*raw).headers_in, &emptied)? };
    }
    if !edited.is_empty() {
        let is_of_headers =
            |name: &[u8]| name.starts_with(b"http_") || name.starts_with(b"cookie_");
        forget_variables(request, is_of_headers);
    }
    Some(())
}

/// Replaces the query (without `?`) and the URI as received (with it). `proxy_pass` without a URI goes on sending the latter
/// byte for byte.
pub(super) fn set_query(request: Request<'_>, query: &[u8], raw_uri: &[u8]) -> Option<()> {
    let raw = request.raw().as_ptr();
    // SAFETY: live; valid_unparsed_uri stays as it is, because the path does.
    unsafe {
        // without a query nginx has no string, not an empty one
        let query = match query {
            [] => ngx_str_t::default(),
            query => memory::copy((*raw).pool, query)?,
        };
        let raw_uri = memory::copy((*raw).pool, raw_uri)?;
        (*raw).args = query;
        (*raw).unparsed_uri = raw_uri;
    }
    forget_variables(request, |name| name == b"request_uri");
    Some(())
}

fn header(line: &ngx_table_elt_t) -> Header<'_> {
    // SAFETY: nginx's parsers and `add_header` set lowcase_key for every request header, of key's length.
    unsafe {
        let name = ngx_str_t { len: line.key.len, data: line.lowcase_key };
        let (lowercase_name, value) = (memory::bytes(name), memory::bytes(line.value));
        Header { hash: line.hash, lowercase_name, value }
    }
}

/// Makes nginx evaluate variables of these names anew: it keeps values of most for all of the request.
fn forget_variables(request: Request<'_>, is_stale: impl Fn(&[u8]) -> bool) {
    let raw = request.raw().as_ptr();
    // SAFETY: a request has as many values as its main conf has indexed variables, in their order.
    unsafe {
        if (*raw).variables.is_null() {
            return;
        }
        let main = *(*raw).main_conf.add(ngx_http_core_module.ctx_index);
        let main = &*main.cast::<ngx_http_core_main_conf_t>();
        for (index, variable) in main.variables.as_slice::<ngx_http_variable_t>().iter().enumerate()
        {
            if is_stale(memory::bytes(variable.name)) {
                let value = &mut *(*raw).variables.add(index);
                value.set_valid(0);
                value.set_not_found(0);
            }
        }
    }
}

//! Changes to a request on its way on: headers, query and body, for whatever comes after.
//!
//! Every function answers `None` when memory is short; the request must then end, because what was to be hidden is not.
//! Bytes of the request that were borrowed before a change stay valid: nothing is freed or moved before the request ends.

use super::memory;
use super::request::{Request, lines};
use crate::request::{Header, SentName};
use nginx_sys::{
    NGX_HTTP_VAR_CHANGEABLE, NGX_HTTP_VAR_WEAK, ngx_hash_find, ngx_hash_key,
    ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_variable_t, ngx_list_push,
    ngx_list_t, ngx_str_t, ngx_table_elt_t,
};
use smallvec::SmallVec;

mod body;
mod header_list;

pub(super) use body::set_body;

/// Removes the request's header lines for which `goes` is true.
///
/// The lines leave nginx's list, not only its lookups: upstream modules send on all that the list has.
pub(super) fn remove_headers(
    request: Request<'_>,
    goes: impl Fn(&Header<'_>) -> bool,
) -> Option<()> {
    replace_headers(request, goes, |_| {})
}

/// Adds a line to the request's headers, beside lines of the same name.
pub(super) fn add_header(request: Request<'_>, name: SentName, value: &[u8]) -> Option<()> {
    replace_headers(request, |_| false, |lines| lines.add(name, value))
}

/// Removes the request's header lines for which `goes` is true, and adds those that `add` hands over, in their places first.
pub(super) fn replace_headers(
    request: Request<'_>,
    goes: impl Fn(&Header<'_>) -> bool,
    add: impl FnOnce(&mut NewLines<'_>),
) -> Option<()> {
    let raw = request.raw().as_ptr();
    let mut removed: SmallVec<[*mut ngx_table_elt_t; 4]> = SmallVec::new();
    // SAFETY: live; the list is not changed while its lines are read.
    for line in unsafe { lines(&(*raw).headers_in.headers.part) } {
        if goes(&header(line)) {
            removed.push(std::ptr::from_ref(line).cast_mut());
        }
    }
    // SAFETY: live, and no line is borrowed any more.
    unsafe {
        let headers = &mut (*raw).headers_in;
        if !removed.is_empty() {
            header_list::forget(headers, &removed);
        }
        let list = &mut headers.headers;
        let mut lines = NewLines { list, places: &removed, added: 0, room: Some(()) };
        add(&mut lines);
        let NewLines { list, places, added, room } = lines;
        room?;
        if !places.is_empty() {
            header_list::unlink(list, places)?;
        }
        if !removed.is_empty() || added > 0 {
            header_list::relink_names(headers);
            forget_header_variables(request);
        }
    }
    Some(())
}

/// Header lines that a request gets.
pub(super) struct NewLines<'a> {
    list: &'a mut ngx_list_t,
    /// Lines of the list that nobody needs any more.
    places: &'a [*mut ngx_table_elt_t],
    added: usize,
    /// `None` once memory was short.
    room: Option<()>,
}

impl NewLines<'_> {
    /// Adds a line, beside lines of the same name.
    pub(super) fn add(&mut self, name: SentName, value: &[u8]) {
        // SAFETY: `replace_headers` has the list of a live request, of whose pool everything is; its places are lines of it.
        let line = unsafe {
            memory::copy(self.list.pool, value).and_then(|value| {
                let line = match self.places.split_first() {
                    Some((line, rest)) => {
                        self.places = rest;
                        *line
                    }
                    None => ngx_list_push(self.list).cast(),
                };
                Some((line.as_mut()?, value))
            })
        };
        let Some((line, value)) = line else {
            self.room = None;
            return;
        };
        // SAFETY: all-zero is a line without anything.
        *line = unsafe { std::mem::zeroed() };
        line.hash = name.hash();
        line.key = memory::static_str(name.as_str());
        line.lowcase_key = name.lowercase().as_ptr().cast_mut();
        line.value = value;
        self.added += 1;
    }
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
        unsafe {
            let headers = &mut (*raw).headers_in;
            header_list::forget(headers, &emptied);
            header_list::unlink(&mut headers.headers, &emptied)?;
            header_list::relink_names(headers);
        }
    }
    if !edited.is_empty() {
        forget_header_variables(request);
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
    // SAFETY: nginx's parsers and `NewLines` set lowcase_key for every request header, of key's length.
    unsafe {
        let name = ngx_str_t { len: line.key.len, data: line.lowcase_key };
        let (lowercase_name, value) = (memory::bytes(name), memory::bytes(line.value));
        Header { hash: line.hash, lowercase_name, value }
    }
}

/// Makes nginx evaluate variables of these names anew: it keeps values of most for all of the request.
fn forget_variables(request: Request<'_>, is_stale: impl Fn(&[u8]) -> bool) {
    forget_values(request, indexes(request, is_stale));
}

/// The same for all variables that are made of header lines.
fn forget_header_variables(request: Request<'_>) {
    let is_of_headers = |name: &[u8]| {
        name.starts_with(b"http_")
            || name.starts_with(b"cookie_")
            || name == b"proxy_add_x_forwarded_for"
    };
    let known = &request.main_conf().header_variables;
    let known = known.get_or_init(|| indexes(request, is_of_headers).collect());
    forget_values(request, known.iter().copied());
}

/// The variables with such names that have an index, those excepted that the configuration sets itself.
fn indexes(request: Request<'_>, is_one: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = usize> {
    // SAFETY: the core module's main conf outlives requests.
    let main: *mut ngx_http_core_main_conf_t = unsafe {
        (*(*request.raw().as_ptr()).main_conf.add(ngx_http_core_module.ctx_index)).cast()
    };
    // SAFETY: variables and their names are the configuration's; nginx hashes those that have been declared, and keeps the flags
    // that they were declared with nowhere else.
    let is_stale = move |name: ngx_str_t| unsafe {
        let declared = || {
            let key = ngx_hash_key(name.data, name.len);
            let found = ngx_hash_find(&raw mut (*main).variables_hash, key, name.data, name.len);
            found.cast::<ngx_http_variable_t>().as_ref()
        };
        let set = (NGX_HTTP_VAR_CHANGEABLE | NGX_HTTP_VAR_WEAK) as usize;
        is_one(memory::bytes(name)) && declared().is_none_or(|it| it.flags & set == 0)
    };
    // SAFETY: as above.
    let variables = unsafe { (*main).variables.as_slice::<ngx_http_variable_t>() };
    let names = variables.iter().map(|variable| variable.name).enumerate();
    names.filter(move |(_, name)| is_stale(*name)).map(|(index, _)| index)
}

fn forget_values(request: Request<'_>, indexes: impl Iterator<Item = usize>) {
    let raw = request.raw().as_ptr();
    // SAFETY: live.
    if unsafe { (*raw).variables.is_null() } {
        return;
    }
    for index in indexes {
        // SAFETY: a request has as many values as its main conf has indexed variables, in their order.
        unsafe {
            let value = &mut *(*raw).variables.add(index);
            value.set_valid(0);
            value.set_not_found(0);
        }
    }
}

//! The module's record: what nginx looks up when it loads the shared object.

use super::commands::COMMANDS;
use super::guard::guard;
use super::main_conf::MainConf;
use super::readable::User;
use super::worker;
use super::{
    conf, error_pages, main_conf, method, phases, response_headers, response_json, variables,
};
use nginx_sys::{
    NGX_ERROR, NGX_HTTP_MODULE, NGX_OK, ngx_conf_t, ngx_cycle_t, ngx_http_module_t, ngx_int_t,
    ngx_module_t,
};
use std::ffi::c_char;
use std::ptr::{addr_of, addr_of_mut, null};

/// Directives, phases and variables.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "nginx's naming")]
pub(super) static mut ngx_http_apigate_module: ngx_module_t = ngx_module_t {
    ctx: addr_of!(MAIN_CONTEXT).cast_mut().cast(),
    commands: addr_of_mut!(COMMANDS).cast(),
    type_: NGX_HTTP_MODULE as _,
    init_module: Some(init_module),
    init_process: Some(init_process),
    exit_process: Some(exit_process),
    ..ngx_module_t::default()
};

/// Bodies of error pages; a module of its own for its place among the filters, before all that changes bodies.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "nginx's naming")]
pub(super) static mut ngx_http_apigate_error_filter_module: ngx_module_t = ngx_module_t {
    ctx: addr_of!(ERROR_CONTEXT).cast_mut().cast(),
    type_: NGX_HTTP_MODULE as _,
    ..ngx_module_t::default()
};

/// Headers of every response, and edits of JSON bodies; its place among the filters is before compression and behind all that
/// writes headers and bodies.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "nginx's naming")]
pub(super) static mut ngx_http_apigate_json_filter_module: ngx_module_t = ngx_module_t {
    ctx: addr_of!(JSON_CONTEXT).cast_mut().cast(),
    type_: NGX_HTTP_MODULE as _,
    ..ngx_module_t::default()
};

static MAIN_CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: Some(main_conf::create_main),
    init_main_conf: Some(main_conf::init_main),
    create_srv_conf: Some(conf::create_server),
    create_loc_conf: Some(conf::create_location),
    merge_loc_conf: Some(conf::merge_location),
    ..EMPTY_CONTEXT
};

static ERROR_CONTEXT: ngx_http_module_t =
    ngx_http_module_t { postconfiguration: Some(error_pages::postconfiguration), ..EMPTY_CONTEXT };

static JSON_CONTEXT: ngx_http_module_t =
    ngx_http_module_t { postconfiguration: Some(json_filters), ..EMPTY_CONTEXT };

const EMPTY_CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: None,
    postconfiguration: None,
    create_main_conf: None,
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: None,
    merge_loc_conf: None,
};

unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx calls it once a configuration, before it reads `http`.
    unsafe { variables::register(cf) }
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx calls it once a configuration, when all levels are merged.
    unsafe {
        match method::finish(cf) {
            0 => phases::register(cf),
            failed => failed,
        }
    }
}

/// Called when a configuration is taken, by `nginx -t` too.
unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    guard("configuration", NGX_ERROR as ngx_int_t, || {
        // SAFETY: nginx hands a cycle whose configuration is read; nobody else has the main conf now.
        unsafe {
            if let (Some(main), Some(user)) = (MainConf::of_cycle(&*cycle), User::of_workers(cycle))
            {
                main.watched_files().for_each(|file| user.warn_of(file));
            }
        }
        NGX_OK as ngx_int_t
    })
}

unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    guard("worker's start", NGX_ERROR as ngx_int_t, || {
        if !worker::serves_requests() {
            return NGX_OK as ngx_int_t;
        }
        // SAFETY: the worker's cycle.
        unsafe {
            let status = worker::open_mailbox(cycle);
            if status != NGX_OK as ngx_int_t {
                return status;
            }
            MainConf::leave_sets_to_cells(&*cycle);
            if let Some(main) = MainConf::of_cycle(&*cycle) {
                main.start();
            }
            NGX_OK as ngx_int_t
        }
    })
}

unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    guard("worker's end", (), || {
        // SAFETY: the worker's cycle, whose configuration is there still.
        if let Some(main) = unsafe { MainConf::of_cycle(&*cycle) } {
            main.stop();
            worker::finish_work();
        }
        worker::let_threads_be_cut();
    });
}

/// The filter that is registered last runs first.
unsafe extern "C" fn json_filters(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx's main thread, once a configuration.
    unsafe {
        response_json::postconfiguration(cf);
        response_headers::postconfiguration(cf)
    }
}

/// A null-terminated table that nginx finds by its name.
#[repr(transparent)]
pub(super) struct Table<T, const N: usize>([*const T; N]);

// SAFETY: read by nginx's main thread alone.
unsafe impl<T, const N: usize> Sync for Table<T, N> {}

/// The modules of this shared object. `ngx_modules!` would export an empty order, which puts filters in the wrong place.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "nginx's naming")]
pub(super) static ngx_modules: Table<ngx_module_t, 4> = Table([
    addr_of!(ngx_http_apigate_module),
    addr_of!(ngx_http_apigate_json_filter_module),
    addr_of!(ngx_http_apigate_error_filter_module),
    null(),
]);

/// Their names.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "nginx's naming")]
pub(super) static ngx_module_names: Table<c_char, 4> = Table([
    c"ngx_http_apigate_module".as_ptr(),
    c"ngx_http_apigate_json_filter_module".as_ptr(),
    c"ngx_http_apigate_error_filter_module".as_ptr(),
    null(),
]);

/// Their places: each named module goes before the first of the names that follow its own, and filters run in the reverse
/// order of the list. Source: ngx_module.c, ngx_module_order.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "nginx's naming")]
pub(super) static ngx_module_order: Table<c_char, 7> = Table([
    c"ngx_http_apigate_json_filter_module".as_ptr(),
    c"ngx_http_gunzip_filter_module".as_ptr(),
    c"ngx_http_userid_filter_module".as_ptr(),
    c"ngx_http_headers_filter_module".as_ptr(),
    c"ngx_http_apigate_error_filter_module".as_ptr(),
    c"ngx_http_copy_filter_module".as_ptr(),
    null(),
]);

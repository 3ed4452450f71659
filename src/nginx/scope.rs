//! What a level calls itself in the identity of its counters: the same over reloads and on every node, whatever lines and
//! listening addresses there are.

use super::conf::LocationConf;
use super::memory;
use nginx_sys::{
    ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_main_conf_t,
    ngx_http_core_module, ngx_http_core_srv_conf_t, ngx_http_server_name_t,
};
use std::fmt::Write as _;

/// The level's name behind those of the levels around it, such as `server api.example.com location /v1/ method GET`.
///
/// Servers with the same names, and locations with the same regular expression, are told apart by their order.
///
/// # Safety
/// `cf` is nginx's, in the merge of the level, whose core conf is `core`.
pub(super) unsafe fn of(
    cf: *mut ngx_conf_t,
    core: &ngx_http_core_loc_conf_t,
    outer: &LocationConf,
) -> String {
    // SAFETY: a name of the configuration.
    let bytes = unsafe { memory::bytes(core.name) };
    let name = String::from_utf8_lossy(bytes);
    let mut scope = outer.scope().to_owned();
    if core.noname() != 0 {
        match outer.blocks.position(core.loc_conf) {
            Some(block) => {
                scope.push_str(" method");
                for name in outer.directives.method.names(block) {
                    let _ = write!(scope, " {name}");
                }
            }
            None => {
                let _ = write!(scope, " block {}", outer.next_nameless());
            }
        }
    } else if name.is_empty() {
        // SAFETY: the caller's.
        scope = unsafe { server(cf) };
    } else {
        let modifier = if core.exact_match() != 0 {
            "= "
        } else if !core.regex.is_null() {
            "~ "
        } else {
            ""
        };
        let _ = write!(scope, " location {modifier}{name}");
        let before = if core.regex.is_null() { 0 } else { outer.next_of_pattern(bytes) };
        if before > 0 {
            let _ = write!(scope, " #{before}");
        }
    }
    scope
}

/// True when a pattern of the level or of one around it has a capture of this name; nginx's variables know no case.
pub(super) fn captures(scope: &str, name: &str) -> bool {
    let (scope, name) = (scope.to_ascii_lowercase(), name.to_ascii_lowercase());
    let written = [format!("(?<{name}>"), format!("(?p<{name}>"), format!("(?'{name}'")];
    written.iter().any(|written| scope.contains(written))
}

/// # Safety
/// `cf` is nginx's, and its `ctx` a server's.
unsafe fn server(cf: *mut ngx_conf_t) -> String {
    // SAFETY: the core module's confs are in every context; its own merge, which completes the names, came before ours.
    unsafe {
        let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let index = ngx_http_core_module.ctx_index;
        let this = (*(*http).srv_conf.add(index)).cast::<ngx_http_core_srv_conf_t>();
        let main = (*(*http).main_conf.add(index)).cast::<ngx_http_core_main_conf_t>();
        let servers = (*main).servers.as_slice::<*mut ngx_http_core_srv_conf_t>();
        let before = servers.iter().take_while(|server| **server != this);
        let own = names(this);
        let same = before.filter(|server| names(**server) == own).count();
        let mut scope = String::from("server");
        for name in &own {
            let _ = write!(scope, " {}", String::from_utf8_lossy(name));
        }
        if same > 0 {
            let _ = write!(scope, " #{same}");
        }
        scope
    }
}

/// # Safety
/// The server is live.
unsafe fn names<'a>(server: *mut ngx_http_core_srv_conf_t) -> Vec<&'a [u8]> {
    // SAFETY: an array of names, in the configuration's pool.
    unsafe {
        let names = (*server).server_names.as_slice::<ngx_http_server_name_t>();
        names.iter().map(|name| memory::bytes(name.name)).filter(|name| !name.is_empty()).collect()
    }
}

//! `method` blocks: configuration levels of their own, to which the rewrite phase hands requests over.
//!
//! A block is made as nginx's `if` makes its own: a nameless location, not found by any URI, merged with the location around
//! it. Stock modules know such levels and let them inherit what they keep from nested locations.

use super::commands::{parse_block, set};
use super::conf::LocationConf;
use super::guard::guard;
use super::main_conf::MainConf;
use super::module::ngx_http_apigate_module;
use super::{log, memory};
use crate::config::METHOD;
use crate::directive::{DirectiveError, Place};
use nginx_sys::{
    NGX_HTTP_LOC_CONF, NGX_HTTP_MODULE, NGX_OK, ngx_command_t, ngx_conf_t, ngx_http_add_location,
    ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_http_location_queue_t,
    ngx_http_max_module, ngx_http_module_t, ngx_int_t, ngx_module_t, ngx_pcalloc,
};
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use std::ffi::{CStr, c_char, c_void};

mod finish;
mod switch;

pub(super) use finish::finish;
pub(super) use switch::switch;

/// One level's confs, one of each HTTP module by its `ctx_index`.
type Level = *mut *mut c_void;

/// The `method` blocks of one location.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The blocks' levels, in the order of the plan's.
    levels: Vec<Level>,
    /// The level of methods without a block, where it is not the location's own.
    others: Option<Level>,
    /// True for a level that is a block itself.
    is_block: bool,
    /// Where the first block stands.
    place: Place,
}

impl Blocks {
    /// Which of the blocks a level is.
    pub(super) fn position(&self, level: Level) -> Option<usize> {
        self.levels.iter().position(|block| *block == level)
    }
}

/// nginx's own conf of a level.
///
/// # Safety
/// `level` is one that nginx or [`create_level`] made, and nothing else refers to its core conf during `'a`.
unsafe fn core<'a>(level: Level) -> &'a mut ngx_http_core_loc_conf_t {
    // SAFETY: the core module has a conf in every level.
    unsafe { &mut *(*level.add(ngx_http_core_module.ctx_index)).cast() }
}

/// Our conf of a level.
///
/// # Safety
/// As [`core`], of our conf.
unsafe fn ours<'a>(level: Level) -> &'a mut LocationConf {
    // SAFETY: conf.rs makes a conf for every level.
    unsafe { &mut *(*level.add(ngx_http_apigate_module.ctx_index)).cast() }
}

/// The setter of `method`.
pub(super) unsafe extern "C" fn read_block(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    _conf: *mut c_void,
) -> *mut c_char {
    guard("configuration", NGX_CONF_ERROR, || {
        // SAFETY: nginx calls the setter while it reads a location, whose context is cf->ctx.
        let read = unsafe { read(cf) };
        match read {
            Ok(()) => NGX_CONF_OK,
            Err(Failure::Logged) => NGX_CONF_ERROR,
            Err(Failure::Error(error)) => {
                log::configuration(cf, &error);
                NGX_CONF_ERROR
            }
        }
    })
}

/// Why a block cannot be read.
enum Failure {
    /// nginx, or the setter of a directive, has said so.
    Logged,
    Error(DirectiveError),
}

impl From<DirectiveError> for Failure {
    fn from(error: DirectiveError) -> Self {
        Self::Error(error)
    }
}

/// # Safety
/// `cf` is live and its `ctx` a location's.
unsafe fn read(cf: *mut ngx_conf_t) -> Result<(), Failure> {
    // SAFETY: the caller's; no reference to a conf is held while the block is parsed.
    unsafe {
        let outer = *(*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let location = outer.loc_conf;
        if ours(location).blocks.is_block {
            let text = "\"method\" cannot be inside a \"method\" block";
            return Err(DirectiveError::new(text).into());
        }
        if set(cf, METHOD, &mut ours(location).directives) != NGX_CONF_OK {
            return Err(Failure::Logged);
        }
        ours(location).directives.is_written = true;
        let place = place(cf);
        let level = create_level(cf).ok_or(Failure::Logged)?;
        let inner = ngx_pcalloc((*cf).pool, size_of::<ngx_http_conf_ctx_t>());
        let inner = inner.cast::<ngx_http_conf_ctx_t>().as_mut().ok_or(Failure::Logged)?;
        *inner = ngx_http_conf_ctx_t { loc_conf: level, ..outer };
        pose_as_location(core(level), core(location));
        let parsed = parse_block(cf, |cf| {
            cf.ctx = std::ptr::from_mut(inner).cast();
            cf.cmd_type = NGX_HTTP_LOC_CONF as _;
        });
        if parsed != NGX_CONF_OK {
            return Err(Failure::Logged);
        }
        become_nameless(core(level), core(location));
        refuse_locations(core(level))?;
        if ngx_http_add_location(cf, &mut core(location).locations, core(level))
            != NGX_OK as ngx_int_t
        {
            return Err(Failure::Logged);
        }
        let blocks = &mut ours(location).blocks;
        if blocks.levels.is_empty() {
            blocks.place = place;
            let main = *outer.main_conf.add(ngx_http_apigate_module.ctx_index);
            (*main.cast::<MainConf>()).with_blocks.push(location);
        }
        blocks.levels.push(level);
    }
    Ok(())
}

/// Where the directive that nginx has just read stands.
///
/// # Safety
/// `cf` is live.
unsafe fn place(cf: *mut ngx_conf_t) -> Place {
    // SAFETY: the caller's; a file's name lives as long as its conf_file.
    unsafe {
        (*cf).conf_file.as_ref().map_or_else(Place::default, |file| Place {
            file: String::from_utf8_lossy(memory::bytes(file.file.name)).into(),
            line: file.line,
        })
    }
}

/// A level with a fresh conf of every module; `None` when memory is short or a module fails.
///
/// *Source*: ngx_http_rewrite_if.
///
/// # Safety
/// `cf` is live and nginx reads `http` with it.
unsafe fn create_level(cf: *mut ngx_conf_t) -> Option<Level> {
    // SAFETY: the array has room for all HTTP modules; modules are listed until null.
    unsafe {
        let level: Level =
            ngx_pcalloc((*cf).pool, size_of::<*mut c_void>() * ngx_http_max_module).cast();
        if level.is_null() {
            return None;
        }
        for module in modules(cf).filter(|module| module.type_ == NGX_HTTP_MODULE as usize) {
            if let Some(create) = (*module.ctx.cast::<ngx_http_module_t>()).create_loc_conf {
                let made = create(cf);
                if made.is_null() {
                    return None;
                }
                *level.add(module.ctx_index) = made;
            }
        }
        core(level).loc_conf = level;
        ours(level).blocks.is_block = true;
        Some(level)
    }
}

/// The modules of nginx.
///
/// # Safety
/// `cf` is live during `'a`.
unsafe fn modules<'a>(cf: *mut ngx_conf_t) -> impl Iterator<Item = &'a ngx_module_t> {
    // SAFETY: the list ends with null, and modules are static.
    let mut next = unsafe { (*(*cf).cycle).modules };
    std::iter::from_fn(move || {
        // SAFETY: as above.
        unsafe {
            let module = (*next).as_ref()?;
            next = next.add(1);
            Some(module)
        }
    })
}

/// While the block is parsed it looks like the location itself, so that `proxy_pass` with a URI and `alias` judge as there.
fn pose_as_location(block: &mut ngx_http_core_loc_conf_t, location: &ngx_http_core_loc_conf_t) {
    block.name = location.name;
    block.regex = location.regex;
    block.set_named(location.named());
}

/// From here on it is sorted, found and merged as an `if` is; `noname` must be set before it is added to the location.
fn become_nameless(block: &mut ngx_http_core_loc_conf_t, location: &mut ngx_http_core_loc_conf_t) {
    if block.auto_redirect() != 0 {
        // "/x" redirects to "/x/" though nothing but the block has a handler
        location.set_auto_redirect(1);
    }
    block.regex = std::ptr::null_mut();
    block.set_named(0);
    block.set_noname(1);
}

/// A location inside the block would be parsed and never found.
///
/// # Safety
/// The conf's queue of locations is as nginx made it.
unsafe fn refuse_locations(block: &ngx_http_core_loc_conf_t) -> Result<(), DirectiveError> {
    let head = block.locations;
    if head.is_null() {
        return Ok(());
    }
    // SAFETY: a ring of entries whose first member is their queue link; either `exact` or `inclusive` is set.
    unsafe {
        let mut link = (*head).next;
        while link != head {
            let entry = &*link.cast::<ngx_http_location_queue_t>();
            let found = if entry.exact.is_null() { entry.inclusive } else { entry.exact };
            if (*found).noname() == 0 {
                let name = String::from_utf8_lossy(memory::bytes((*found).name));
                let file = CStr::from_ptr(entry.file_name.cast()).to_string_lossy();
                let text = format!("\"location\" \"{name}\" cannot be inside a \"method\" block");
                let place = Place { file: file.into(), line: entry.line };
                return Err(DirectiveError::new(text).at(&place));
            }
            link = (*link).next;
        }
    }
    Ok(())
}

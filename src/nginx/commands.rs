//! nginx's command table, made from the entries of config.rs, and the one setter behind it.

use super::conf::{LocationConf, set_handler};
use super::guard::guard;
use super::main_conf::MainConf;
use super::{content, log, memory, method};
use crate::config::{CONSUMERS, Entry, LOCATION, LocationDirectives, MAIN, METHOD, MainDirectives};
use crate::directive::{Context, DirectiveError, Place, Takes, Words};
use nginx_sys::{
    NGX_CONF_1MORE, NGX_CONF_2MORE, NGX_CONF_ANY, NGX_CONF_BLOCK, NGX_CONF_NOARGS, NGX_CONF_TAKE1,
    NGX_CONF_TAKE12, NGX_HTTP_LIF_CONF, NGX_HTTP_LOC_CONF, NGX_HTTP_LOC_CONF_OFFSET,
    NGX_HTTP_MAIN_CONF, NGX_HTTP_MAIN_CONF_OFFSET, NGX_HTTP_SRV_CONF, ngx_command_t,
    ngx_conf_include, ngx_conf_parse, ngx_conf_t, ngx_str_t, ngx_uint_t,
};
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use std::ffi::{OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const COUNT: usize = LOCATION.len() + MAIN.len();
const BLOCKS: usize = 2;
const FAULTS: usize = cfg!(feature = "fault-injection") as usize;

/// The table, closed by an empty command.
#[allow(clippy::indexing_slicing, reason = "an index out of bounds does not compile")]
pub(super) static mut COMMANDS: [ngx_command_t; COUNT + BLOCKS + FAULTS + 1] = {
    let mut table = [const { ngx_command_t::empty() }; COUNT + BLOCKS + FAULTS + 1];
    let mut index = 0;
    while index < LOCATION.len() {
        table[index] = command(&LOCATION[index], set_location, NGX_HTTP_LOC_CONF_OFFSET);
        index += 1;
    }
    while index < COUNT {
        let entry = &MAIN[index - LOCATION.len()];
        table[index] = command(entry, set_main, NGX_HTTP_MAIN_CONF_OFFSET);
        index += 1;
    }
    table[COUNT] = block(METHOD, method::read_block, NGX_HTTP_LOC_CONF_OFFSET);
    table[COUNT + 1] = block(CONSUMERS, read_consumers, NGX_HTTP_MAIN_CONF_OFFSET);
    #[cfg(feature = "fault-injection")]
    {
        table[COUNT + BLOCKS] = super::fault::command();
    }
    table
};

type Setter = unsafe extern "C" fn(*mut ngx_conf_t, *mut ngx_command_t, *mut c_void) -> *mut c_char;

const fn command<Level>(
    entry: &'static Entry<Level>,
    set: Setter,
    conf: ngx_uint_t,
) -> ngx_command_t {
    let name = entry.name.to_bytes();
    ngx_command_t {
        name: ngx_str_t { len: name.len(), data: name.as_ptr().cast_mut() },
        type_: (contexts(entry.context) | words(entry.takes)) as ngx_uint_t,
        set: Some(set),
        conf,
        offset: 0,
        post: std::ptr::from_ref(entry).cast_mut().cast(),
    }
}

const fn block<Level>(
    entry: &'static Entry<Level>,
    set: Setter,
    conf: ngx_uint_t,
) -> ngx_command_t {
    let mut command = command(entry, set, conf);
    command.type_ |= NGX_CONF_BLOCK as ngx_uint_t;
    command
}

const fn contexts(context: Context) -> u32 {
    let mut bits = 0;
    if context.contains(Context::HTTP) {
        bits |= NGX_HTTP_MAIN_CONF;
    }
    if context.contains(Context::SERVER) {
        bits |= NGX_HTTP_SRV_CONF;
    }
    if context.contains(Context::LOCATION) {
        bits |= NGX_HTTP_LOC_CONF;
    }
    if context.contains(Context::IF) {
        bits |= NGX_HTTP_LIF_CONF;
    }
    bits
}

const fn words(takes: Takes) -> u32 {
    match takes {
        Takes::Nothing => NGX_CONF_NOARGS,
        Takes::One => NGX_CONF_TAKE1,
        Takes::OneOrTwo => NGX_CONF_TAKE12,
        Takes::Any => NGX_CONF_ANY,
        Takes::OneOrMore => NGX_CONF_1MORE,
        Takes::TwoOrMore => NGX_CONF_2MORE,
    }
}

unsafe extern "C" fn set_location(
    cf: *mut ngx_conf_t,
    command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: LOCATION's commands carry such an entry, and nginx hands them the location's conf.
    let (entry, level) = unsafe {
        let entry = &*(*command).post.cast::<Entry<LocationDirectives>>();
        (entry, &mut *conf.cast::<LocationConf>())
    };
    // SAFETY: nginx's cf, live for the call; `conf` is its level's.
    unsafe {
        let result = set(cf, entry, &mut level.directives);
        level.directives.is_written |= result == NGX_CONF_OK;
        if entry.handles && result == NGX_CONF_OK {
            set_handler(cf, level, Some(content::handler));
        }
        result
    }
}

unsafe extern "C" fn set_main(
    cf: *mut ngx_conf_t,
    command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: MAIN's commands carry such an entry, and nginx hands them the main conf.
    let (entry, level) = unsafe {
        let entry = &*(*command).post.cast::<Entry<MainDirectives>>();
        (entry, &mut (*conf.cast::<MainConf>()).directives)
    };
    // SAFETY: nginx's cf, live for the call.
    unsafe { set(cf, entry, level) }
}

/// Reads a directive's words into its level: NGX_CONF_OK, or NGX_CONF_ERROR with a line in the log.
///
/// # Safety
/// `cf` is live and `cf->args` holds a directive.
pub(super) unsafe fn set<Level>(
    cf: *mut ngx_conf_t,
    entry: &Entry<Level>,
    level: &mut Level,
) -> *mut c_char {
    guard("configuration", NGX_CONF_ERROR, || {
        // SAFETY: nginx's cf, live for the call.
        let done = unsafe { with_words(cf, |words| (entry.parse)(words, level)) };
        match done {
            Ok(()) => NGX_CONF_OK,
            Err(error) => {
                log::configuration(cf, &error);
                NGX_CONF_ERROR
            }
        }
    })
}

/// Reads `consumers NAME { }`: its name here, its lines one by one in [`consumers_line`].
unsafe extern "C" fn read_consumers(
    cf: *mut ngx_conf_t,
    command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: as in `set_main`; the block's lines come with the same conf.
    unsafe {
        let result = set_main(cf, command, conf);
        if result != NGX_CONF_OK {
            return result;
        }
        parse_block(cf, |cf| {
            cf.handler = Some(consumers_line);
            cf.handler_conf = conf.cast();
        })
    }
}

unsafe extern "C" fn consumers_line(
    cf: *mut ngx_conf_t,
    dummy: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    guard("configuration", NGX_CONF_ERROR, || {
        // SAFETY: cf->args holds the line's words; the handler for lines is inherited by the files that are read.
        unsafe {
            if let [name, _] = (*(*cf).args).as_slice::<ngx_str_t>()
                && memory::bytes(*name) == b"include"
            {
                return ngx_conf_include(cf, dummy, conf);
            }
        }
        // SAFETY: `read_consumers` set the conf; nginx's cf is live for the call.
        let done = unsafe {
            let main = &mut (*conf.cast::<MainConf>()).directives;
            with_words(cf, |words| main.consumers_line(words))
        };
        match done {
            Ok(()) => NGX_CONF_OK,
            Err(error) => {
                log::configuration(cf, &error);
                NGX_CONF_ERROR
            }
        }
    })
}

/// Reads the block behind the directive that nginx has just read, with `cf` changed for its time: another `ctx` and
/// `cmd_type` for a level of its own, or a `handler` for lines that are no directives. What nginx answers.
///
/// # Safety
/// `cf` is live, and `change` leaves it so.
pub(super) unsafe fn parse_block(
    cf: *mut ngx_conf_t,
    change: impl FnOnce(&mut ngx_conf_t),
) -> *mut c_char {
    // SAFETY: the caller's; nginx reads the block from cf->conf_file when it is given no file name.
    unsafe {
        let before = *cf;
        change(&mut *cf);
        let result = ngx_conf_parse(cf, std::ptr::null_mut());
        *cf = before;
        result
    }
}

/// Calls a parser with the words of the directive that nginx has just read.
///
/// # Safety
/// `cf` is live and `cf->args` holds a directive.
pub(super) unsafe fn with_words<T>(
    cf: *mut ngx_conf_t,
    parse: impl FnOnce(&Words<'_>) -> Result<T, DirectiveError>,
) -> Result<T, DirectiveError> {
    // SAFETY: cf->args is an array of strings, in a pool that outlives the call; so do file and prefix.
    let (texts, file, line, prefix) = unsafe {
        let cf = &*cf;
        let texts = (*cf.args).as_slice::<ngx_str_t>();
        let place = cf.conf_file.as_ref();
        let file = place.map_or(&[][..], |place| memory::bytes(place.file.name));
        let line = place.map_or(0, |place| place.line);
        (texts, file, line, memory::bytes((*cf.cycle).conf_prefix))
    };
    let mut words = Vec::with_capacity(texts.len());
    for (number, text) in (1..).zip(texts) {
        // SAFETY: as above.
        let bytes = unsafe { memory::bytes(*text) };
        // not repeated: it may be a key or a password
        words.push(
            std::str::from_utf8(bytes)
                .map_err(|_| DirectiveError::new(format!("invalid UTF-8 in word {number}")))?,
        );
    }
    let (name, arguments) =
        words.split_first().ok_or_else(|| DirectiveError::new("no directive"))?;
    let place = Place { file: String::from_utf8_lossy(file).into(), line };
    parse(&Words::new(name, arguments, place, Path::new(OsStr::from_bytes(prefix))))
}

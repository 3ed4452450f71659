//! All directives of all rooms, level by level, and the plans they are compiled to.
//!
//! nginx reads a directive, [`LOCATION`] or [`MAIN`] finds its room's parser, the level keeps what it parsed. When nginx
//! merges levels, so does [`LocationDirectives::merge`]; then [`LocationDirectives::compile`] makes the [`LocationPlan`] that
//! requests are judged by. Nothing of this happens while a request waits.

use crate::directive::{Context, Directive, DirectiveError, Takes, Words};
use crate::pipeline::{self, PipelineDirectives, PipelinePlan};
use std::ffi::CStr;

/// A directive as nginx's command table needs it. `Level` is [`LocationDirectives`] or [`MainDirectives`].
pub struct Entry<Level> {
    /// The name in nginx.conf, as C compares it.
    pub name: &'static CStr,
    /// Where it may stand.
    pub context: Context,
    /// How many words it takes.
    pub takes: Takes,
    /// True when the directive makes us the location's content handler.
    pub handles: bool,
    /// Reads the words into the level.
    pub parse: fn(&Words<'_>, &mut Level) -> Result<(), DirectiveError>,
}

macro_rules! entries {
    ($level:ty; $($directive:ty => $field:ident),* $(,)?) => {
        &[$(Entry::<$level> {
            name: {
                const NAME: &str = <$directive as Directive>::NAME;
                const BYTES: &[u8] = &nul_terminated::<{ NAME.len() + 1 }>(NAME);
                match CStr::from_bytes_with_nul(BYTES) {
                    Ok(name) => name,
                    Err(_) => panic!("a directive's name has a NUL"),
                }
            },
            context: <$directive as Directive>::CONTEXT,
            takes: <$directive as Directive>::TAKES,
            handles: <$directive as Directive>::HANDLES,
            parse: |words, level| <$directive as Directive>::parse(words, &mut level.$field),
        }),*]
    };
}

const fn nul_terminated<const LENGTH: usize>(name: &str) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let (head, _) = bytes.split_at_mut(name.len());
    head.copy_from_slice(name.as_bytes());
    bytes
}

/// The directives that may stand in a location.
pub const LOCATION: &[Entry<LocationDirectives>] = entries![LocationDirectives;
    pipeline::PolicyMode => pipeline,
    pipeline::PolicyErrors => pipeline,
];

/// The directives that stand in `http` alone. (`consumers NAME { }` is a block and read by nginx/conf.rs.)
pub const MAIN: &[Entry<MainDirectives>] = entries![MainDirectives;];

/// What `http` alone holds.
#[derive(Debug, Default)]
pub struct MainDirectives {}

/// What one level (`http`, a server, a location, a `method` block) has written.
#[derive(Clone, Debug, Default)]
pub struct LocationDirectives {
    /// `policy_mode`, `policy_errors`
    pub pipeline: PipelineDirectives,
}

/// What requests of a location are judged by.
#[derive(Clone, Debug, Default)]
pub struct LocationPlan {
    /// True when any directive of the module is in force: identity headers of clients are removed.
    pub in_force: bool,
    /// True when errors of the location have our body.
    pub owns_errors: bool,
    /// How refusals are carried out and written.
    pub pipeline: PipelinePlan,
}

impl LocationDirectives {
    /// Takes from the outer level what is not written here.
    pub fn merge(&mut self, outer: &Self) {
        self.pipeline.merge(&outer.pipeline);
    }

    /// The plan of a merged level, or which directive cannot be carried out and where it stands.
    pub fn compile(&self) -> Result<LocationPlan, DirectiveError> {
        let owns_errors = self.pipeline.is_written();
        Ok(LocationPlan { in_force: owns_errors, owns_errors, pipeline: self.pipeline.compile() })
    }
}

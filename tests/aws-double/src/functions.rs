//! What functions there are and how each replies: the built-in ones and those that tests make.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::RwLock;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::builtins::builtin;
use crate::clock::monotonic_ns;
use crate::eventstream::Corruption;

/// Where a reply's payload comes from when it is not a fixed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub(crate) enum Like {
    /// A proxy reply whose body is the event as JSON text.
    #[serde(rename = "echo")]
    Echo,
    /// The event itself.
    #[serde(rename = "echo-raw")]
    EchoRaw,
    /// The Flask application behind serverless-wsgi.
    #[serde(rename = "flask-serverless-wsgi", alias = "flask")]
    ServerlessWsgi,
    /// ... behind apig-wsgi.
    #[serde(rename = "flask-apig-wsgi")]
    ApigWsgi,
    /// ... behind aws-wsgi.
    #[serde(rename = "flask-aws-wsgi")]
    AwsWsgi,
    /// ... behind Mangum.
    #[serde(rename = "flask-mangum")]
    Mangum,
}

impl Like {
    /// The adapter's name for the Python side, where there is one.
    pub(crate) fn adapter(self) -> Option<&'static str> {
        match self {
            Self::Echo | Self::EchoRaw => None,
            Self::ServerlessWsgi => Some("serverless-wsgi"),
            Self::ApigWsgi => Some("apig-wsgi"),
            Self::AwsWsgi => Some("aws-wsgi"),
            Self::Mangum => Some("mangum"),
        }
    }
}

/// How a connection is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CutWith {
    #[default]
    Rst,
    Fin,
}

/// A piece of a streamed reply.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Piece {
    /// The bytes, as text ...
    pub(crate) data: String,
    /// ... or in base64.
    pub(crate) base64: Option<String>,
    /// Pause before it.
    pub(crate) delay_ms: u64,
    /// Sends an exception frame of this type instead, with `data` as its payload.
    pub(crate) exception: Option<String>,
    /// Writes a check sum of its frame wrong.
    pub(crate) corrupt: Option<Corruption>,
}

/// An error answered by the API instead of an invocation: a name, or all of it.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum ApiError {
    Name(String),
    Full {
        #[serde(rename = "type")]
        kind: String,
        status: Option<u16>,
        message: Option<String>,
        #[serde(default)]
        headers: Map<String, Value>,
    },
}

/// How a function replies. The control API's page explains each field.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) like: Option<Like>,
    pub(crate) payload: Option<Value>,
    pub(crate) payload_raw_base64: Option<String>,
    pub(crate) payload_fill_bytes: Option<usize>,
    pub(crate) status: Option<u16>,
    pub(crate) function_error: Option<String>,
    pub(crate) headers: Map<String, Value>,
    pub(crate) api_error: Option<ApiError>,
    pub(crate) delay_ms: u64,
    pub(crate) hold: bool,
    pub(crate) hang: bool,
    pub(crate) chunked: bool,
    pub(crate) chunk_bytes: Option<usize>,
    pub(crate) trickle_ms: Option<u64>,
    pub(crate) trickle_bytes: Option<usize>,
    pub(crate) cut_at_byte: Option<usize>,
    pub(crate) cut_with: CutWith,
    pub(crate) close_after: bool,
    pub(crate) raw_http_base64: Option<String>,
    pub(crate) stream: Vec<Piece>,
    pub(crate) stream_error: Option<Value>,
    pub(crate) http_integration: Option<Value>,
    pub(crate) log: Option<String>,
    pub(crate) sequence: Vec<Spec>,
}

/// A function and what happened to it.
pub(crate) struct Function {
    spec: RwLock<Arc<Spec>>,
    sequence_at: AtomicUsize,
    /// Verified invocations that reached the function.
    pub(crate) invocations: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) max_in_flight: AtomicU64,
    /// Invocations that wait for a release.
    pub(crate) held: AtomicU64,
    /// Invocations whose client went away before the end of the reply.
    pub(crate) aborted: AtomicU64,
    /// When the first byte of the last reply was about to be written, on the monotonic clock; 0 before the first.
    first_byte_at_ns: AtomicU64,
    /// Permits of releases.
    pub(crate) gate: Arc<Semaphore>,
}

impl Function {
    fn new(spec: Spec) -> Self {
        Self {
            spec: RwLock::new(Arc::new(spec)),
            sequence_at: AtomicUsize::new(0),
            invocations: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            max_in_flight: AtomicU64::new(0),
            held: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            first_byte_at_ns: AtomicU64::new(0),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    /// How the next invocation is answered; moves a sequence on.
    pub(crate) fn next_spec(&self) -> Arc<Spec> {
        let spec = self.spec.read().clone();
        match spec.sequence.len() {
            0 => spec,
            len => {
                let at = self.sequence_at.fetch_add(1, Relaxed).min(len - 1);
                Arc::new(spec.sequence[at].clone())
            }
        }
    }

    /// The counts as the control API shows them.
    pub(crate) fn counts(&self) -> Value {
        json!({
            "invocations": self.invocations.load(Relaxed),
            "in_flight": self.in_flight.load(Relaxed),
            "max_in_flight": self.max_in_flight.load(Relaxed),
            "held": self.held.load(Relaxed),
            "aborted": self.aborted.load(Relaxed),
            "first_byte_at_ns": self.first_byte_at_ns.load(Relaxed),
        })
    }

    /// Sets all counts but those of the present to zero.
    pub(crate) fn reset_counts(&self) {
        for counter in [&self.invocations, &self.max_in_flight, &self.aborted] {
            counter.store(0, Relaxed);
        }
    }
}

/// Counts an invocation as running until dropped; as aborted unless `done` was called.
pub(crate) struct InFlight {
    function: Arc<Function>,
    done: bool,
}

impl InFlight {
    /// Counts one more invocation.
    pub(crate) fn enter(function: Arc<Function>) -> Self {
        function.invocations.fetch_add(1, Relaxed);
        let running = function.in_flight.fetch_add(1, Relaxed) + 1;
        function.max_in_flight.fetch_max(running, Relaxed);
        Self { function, done: false }
    }

    /// The first byte of the reply is about to be written.
    pub(crate) fn begin(&self) {
        self.function.first_byte_at_ns.store(monotonic_ns(), Relaxed);
    }

    /// The reply was written as meant.
    pub(crate) fn done(mut self) {
        self.done = true;
    }

    /// Counts the invocation as held until the guard is dropped.
    pub(crate) fn hold(&self) -> Held {
        self.function.held.fetch_add(1, Relaxed);
        Held(self.function.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.function.in_flight.fetch_sub(1, Relaxed);
        if !self.done {
            self.function.aborted.fetch_add(1, Relaxed);
        }
    }
}

/// A held invocation.
pub(crate) struct Held(Arc<Function>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Relaxed);
    }
}

/// All functions by name.
#[derive(Default)]
pub(crate) struct Functions {
    by_name: RwLock<HashMap<String, Arc<Function>>>,
}

impl Functions {
    /// The function of a name: one that was set, or a built-in one.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Function>> {
        if let Some(function) = self.by_name.read().get(name) {
            return Some(function.clone());
        }
        let spec = builtin(name)?;
        let mut by_name = self.by_name.write();
        Some(
            by_name.entry(name.to_owned()).or_insert_with(|| Arc::new(Function::new(spec))).clone(),
        )
    }

    /// Sets how a function replies from the next invocation on. Its counts stay; a sequence starts anew.
    pub(crate) fn set(&self, name: &str, spec: Spec) {
        let mut by_name = self.by_name.write();
        match by_name.get(name) {
            Some(function) => {
                *function.spec.write() = Arc::new(spec);
                function.sequence_at.store(0, Relaxed);
            }
            None => drop(by_name.insert(name.to_owned(), Arc::new(Function::new(spec)))),
        }
    }

    /// Forgets a function; a built-in one is then as it was at the start.
    pub(crate) fn remove(&self, name: &str) -> bool {
        self.by_name.write().remove(name).is_some()
    }

    /// Names and functions, for statistics.
    pub(crate) fn all(&self) -> Vec<(String, Arc<Function>)> {
        let by_name = self.by_name.read();
        by_name.iter().map(|(name, function)| (name.clone(), function.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_used_in_order_and_its_last_stays() {
        let functions = Functions::default();
        let sequence = json!({"sequence": [{"delay_ms": 1}, {"delay_ms": 2}]});
        functions.set("f", serde_json::from_value(sequence).unwrap());
        let function = functions.get("f").unwrap();
        let delays: Vec<u64> = (0..3).map(|_| function.next_spec().delay_ms).collect();
        assert_eq!(delays, [1, 2, 2]);
    }

    #[test]
    fn a_dropped_invocation_counts_as_aborted() {
        let function = Arc::new(Function::new(Spec::default()));
        InFlight::enter(function.clone()).done();
        drop(InFlight::enter(function.clone()));
        let counts = function.counts();
        assert_eq!((&counts["invocations"], &counts["aborted"]), (&json!(2), &json!(1)));
        assert_eq!((&counts["in_flight"], &counts["max_in_flight"]), (&json!(0), &json!(1)));
    }
}

//! The neighbours that cases use, and the variables by which a case names them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::Regex;

use crate::{AwsDouble, Echo, Outcome, Redis};

/// What of aws-double's addresses goes by which variable.
const AWS_VARIABLES: [(&str, &str); 11] = [
    ("IMDS", "imds"),
    ("STS", "sts"),
    ("CONTAINER", "container"),
    ("LAMBDA_HTTP", "lambda_http"),
    ("LAMBDA_HTTPS", "lambda_https"),
    ("CONTROL", "control"),
    ("ALB", "alb"),
    ("SECRETSMANAGER", "secretsmanager"),
    ("CA", "ca"),
    ("ACCESS_KEY_ID", "access_key_id"),
    ("SECRET_ACCESS_KEY", "secret_access_key"),
];

type Shared<T> = Mutex<Option<Arc<T>>>;
static AWS: Shared<AwsDouble> = Mutex::new(None);
static REDIS: Shared<Redis> = Mutex::new(None);

/// The one that `shared` holds, started if it is the first to be asked for.
fn shared<T>(shared: &Shared<T>, start: fn() -> Outcome<T>) -> Outcome<Arc<T>> {
    let mut held = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(service) = &*held {
        return Ok(Arc::clone(service));
    }
    let started = Arc::new(start()?);
    *held = Some(Arc::clone(&started));
    Ok(started)
}

/// Ends the shared neighbours; statics are never dropped.
pub(crate) fn stop_shared() {
    AWS.lock().unwrap_or_else(PoisonError::into_inner).take();
    REDIS.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// The neighbours of one case, started when they are first named.
#[derive(Default)]
pub struct Services {
    isolated: bool,
    aws: Option<Arc<AwsDouble>>,
    redis: Option<Arc<Redis>>,
    fixed: BTreeMap<&'static str, String>,
}

impl Services {
    /// Those that all cases share, or the case's own if it is to be isolated.
    pub fn new(isolated: bool) -> Self {
        Self { isolated, ..Self::default() }
    }

    /// Gives a variable its value.
    pub fn set(&mut self, name: &'static str, value: impl ToString) {
        self.fixed.insert(name, value.to_string());
    }

    /// The stand-in for AWS.
    pub fn aws(&mut self) -> Outcome<&AwsDouble> {
        if self.aws.is_none() {
            self.aws = Some(if self.isolated {
                Arc::new(AwsDouble::start()?)
            } else {
                shared(&AWS, AwsDouble::start)?
            });
        }
        self.aws.as_deref().ok_or_else(|| "no aws-double".into())
    }

    /// The Redis server.
    pub fn redis(&mut self) -> Outcome<&Redis> {
        if self.redis.is_none() {
            self.redis = Some(if self.isolated {
                Arc::new(Redis::start()?)
            } else {
                shared(&REDIS, Redis::start)?
            });
        }
        self.redis.as_deref().ok_or_else(|| "no redis-server".into())
    }

    fn value(&mut self, name: &str) -> Outcome<Option<String>> {
        if let Some(value) = self.fixed.get(name) {
            return Ok(Some(value.clone()));
        }
        if let Some((_, address)) = AWS_VARIABLES.iter().find(|(variable, _)| *variable == name) {
            return Ok(Some(self.aws()?.address(address)?.to_owned()));
        }
        Ok(match name {
            "UPSTREAM_PORT" => Some(Echo::shared()?.address.port().to_string()),
            "REDIS_PORT" => Some(self.redis()?.address().port().to_string()),
            _ => None,
        })
    }

    /// The text with our variables filled in. What is not ours, such as nginx's own `$uri`, stays.
    pub fn expand(&mut self, text: &str) -> Outcome<String> {
        static NAME: LazyLock<Result<Regex, regex::Error>> =
            LazyLock::new(|| Regex::new(r"\$(?:\{([A-Z][A-Z0-9_]*)\}|([A-Z][A-Z0-9_]*))"));
        let name = NAME.as_ref().map_err(Clone::clone)?;
        let mut expanded = String::with_capacity(text.len());
        let mut done = 0;
        for found in name.captures_iter(text) {
            let (Some(whole), Some(name)) = (found.get(0), found.get(1).or(found.get(2))) else {
                continue;
            };
            let Some(value) = self.value(name.as_str())? else { continue };
            expanded.push_str(text.get(done..whole.start()).unwrap_or_default());
            expanded.push_str(&value);
            done = whole.end();
        }
        expanded.push_str(text.get(done..).unwrap_or_default());
        Ok(expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_variables_are_filled_in() {
        let mut services = Services::new(false);
        services.set("TEST_DIR", "/d");
        services.set("SERVER_PORT", 80);
        for (text, expanded) in [
            ("$TEST_DIR/x ${TEST_DIR}y", "/d/x /dy"),
            ("$uri $TEST_DIRECTORY $NOBODY ${NOBODY}", "$uri $TEST_DIRECTORY $NOBODY ${NOBODY}"),
            ("$SERVER_PORT$SERVER_PORT", "8080"),
            ("^a$", "^a$"),
        ] {
            assert_eq!(services.expand(text).unwrap(), expanded);
        }
        let echo = Echo::shared().unwrap().address.port();
        assert_eq!(services.expand("$UPSTREAM_PORT").unwrap(), echo.to_string());
    }
}

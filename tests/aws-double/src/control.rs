//! The control API. Its page is the documentation of `main.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::credentials::NewCredential;
use crate::double::{Double, Lifetime, Record, Settings};
use crate::functions::Spec;
use crate::http1::{Request, percent_decode};
use crate::response::Response;
use crate::site::{Kind, Mode, Site};
use crate::tls::{Certificate, Version};

type Answer = Result<Value, (u16, String)>;

/// The answer to a request.
pub(crate) async fn handle(double: &Double, request: &Request) -> Response {
    let path = String::from_utf8_lossy(&percent_decode(request.path())).into_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let answer = match (request.method(), segments.as_slice()) {
        ("GET", ["stats"]) => Ok(stats(double)),
        ("POST", ["stats", "reset"]) => {
            double.reset_counts();
            Ok(json!({}))
        }
        ("GET", ["invocations"]) => Ok(invocations(double, request)),
        ("DELETE", ["invocations"]) => {
            double.records.clear();
            Ok(json!({}))
        }
        ("PUT", ["functions", name]) => parse::<Spec>(request).map(|spec| {
            double.functions.set(name, spec);
            json!({})
        }),
        ("DELETE", ["functions", name]) => Ok(json!({"removed": double.functions.remove(name)})),
        ("GET", ["functions", name]) => function(double, name, request).await,
        ("POST", ["functions", name, "release"]) => release(double, name, request),
        ("PUT", ["urls", id]) => set_url(double, id, request),
        ("PUT", ["services", name]) => set_service(double, name, request).await,
        ("POST", ["services", name, "rotate"]) => rotate(double, name, request),
        ("PUT", ["tls"]) => set_tls(double, request),
        ("GET", ["clock"]) => Ok(clock(double)),
        ("PUT", ["clock"]) => parse::<ClockBody>(request).map(|body| {
            double.clock.set_offset_ms(body.offset_ms);
            clock(double)
        }),
        ("POST", ["credentials"]) => parse::<NewCredential>(request).map(|new| {
            let credential = double.registry.add(new, double.clock.now_ms());
            json!({
                "access_key_id": credential.access_key_id,
                "secret_access_key": credential.secret_access_key,
                "session_token": credential.token,
                "expires_at_ms": credential.expires_at_ms(),
            })
        }),
        ("POST", ["credentials", id, "expire"]) => match double.registry.get(id) {
            Some(credential) => {
                credential.expire(double.clock.now_ms());
                Ok(json!({}))
            }
            None => Err((404, format!("no credential \"{id}\""))),
        },
        ("DELETE", ["credentials", id]) => Ok(json!({"removed": double.registry.remove(id)})),
        ("PUT", ["secrets", name @ ..]) => {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            double.secrets.write().insert(name.join("/"), text);
            Ok(json!({}))
        }
        _ => Err((404, format!("no such operation: {} {path}", request.method()))),
    };
    match answer {
        Ok(value) => Response::json(200, &value),
        Err((status, message)) => Response::json(status, &json!({"message": message})),
    }
}

fn parse<T: DeserializeOwned>(request: &Request) -> Result<T, (u16, String)> {
    let body: &[u8] = if request.body.is_empty() { b"{}" } else { &request.body };
    serde_json::from_slice(body).map_err(|why| (400, why.to_string()))
}

fn stats(double: &Double) -> Value {
    let sites: HashMap<_, _> =
        double.sites.iter().map(|site| (site.kind.name(), site.counts())).collect();
    let functions: HashMap<_, _> = double
        .functions
        .all()
        .into_iter()
        .map(|(name, function)| (name, function.counts()))
        .collect();
    json!({"sites": sites, "functions": functions, "events": double.events()})
}

fn invocations(double: &Double, request: &Request) -> Value {
    let count = request.arg("n").and_then(|n| n.parse().ok()).unwrap_or(100);
    let wanted = request.arg("function");
    let accept = |record: &Record| wanted.as_ref().is_none_or(|name| *name == record.function);
    let list = double.records.last(count, accept, show);
    json!({ "invocations": list })
}

fn show(record: &Record) -> Value {
    let request = &record.request;
    let headers: Vec<_> = request
        .headers()
        .map(|(name, value)| [name.to_owned(), String::from_utf8_lossy(value).into_owned()])
        .collect();
    let mut shown = json!({
        "sequence": record.sequence,
        "at_ms": record.at_ms,
        "site": record.site.name(),
        "method": request.method(),
        "target": request.target(),
        "headers": headers,
        "function": record.function,
        "qualifier": record.qualifier,
        "request_id": record.request_id,
        "access_key_id": record.access_key_id,
        "refused": record.refused,
        "response_bytes": record.response_bytes,
    });
    match std::str::from_utf8(&record.event) {
        Ok(text) => shown["event"] = text.into(),
        Err(_) => shown["event_base64"] = STANDARD.encode(&record.event).into(),
    }
    shown
}

/// The counts of a function, at once or when those asked for are reached.
async fn function(double: &Double, name: &str, request: &Request) -> Answer {
    const POLL: Duration = Duration::from_millis(1);
    let function =
        double.functions.get(name).ok_or_else(|| (404, format!("no function \"{name}\"")))?;
    let number = |arg: &str| request.arg(arg).and_then(|n| n.parse::<u64>().ok());
    let at_least = [
        (&function.invocations, number("invocations")),
        (&function.held, number("held")),
        (&function.in_flight, number("in_flight")),
        (&function.aborted, number("aborted")),
    ];
    let idle = request.arg("idle").is_some();
    let end = Instant::now() + Duration::from_millis(number("timeout_ms").unwrap_or(10_000));
    loop {
        let reached =
            at_least.iter().all(|(count, wanted)| wanted.is_none_or(|n| count.load(Relaxed) >= n));
        if reached && (!idle || function.in_flight.load(Relaxed) == 0) {
            return Ok(function.counts());
        }
        if Instant::now() >= end {
            return Err((408, format!("not reached: {}", function.counts())));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn release(double: &Double, name: &str, request: &Request) -> Answer {
    let function =
        double.functions.get(name).ok_or_else(|| (404, format!("no function \"{name}\"")))?;
    let asked = request.arg("count").and_then(|n| n.parse().ok());
    let count = asked.unwrap_or_else(|| function.held.load(Relaxed));
    function.gate.add_permits(count as usize);
    Ok(json!({"released": count}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UrlBody {
    function: String,
    #[serde(default = "yes")]
    signed: bool,
}

fn yes() -> bool {
    true
}

fn set_url(double: &Double, id: &str, request: &Request) -> Answer {
    let body: UrlBody = parse(request)?;
    double.urls.write().insert(id.to_owned(), (body.function, body.signed));
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeName {
    Ok,
    Down,
    Reset,
    Error,
    Slow,
    Hang,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ServiceBody {
    mode: Option<ModeName>,
    keep_existing: bool,
    status: Option<u16>,
    ms: Option<u64>,
    for_ms: Option<u64>,
    idle_timeout_ms: Option<u64>,
    close_after_requests: Option<u64>,
    silent_close: Option<bool>,
    lifetime_ms: Option<i64>,
    renew_before_ms: Option<i64>,
    region: Option<String>,
    regions: Option<Vec<String>>,
    role: Option<String>,
    authorization: Option<String>,
    external_id: Option<String>,
    web_identity_token: Option<String>,
}

async fn set_service(double: &Double, name: &str, request: &Request) -> Answer {
    let named = |site: &&Arc<Site>| match name {
        "lambda" => matches!(site.kind, Kind::LambdaHttp | Kind::LambdaHttps),
        _ => site.kind.name() == name && site.kind != Kind::Control,
    };
    let sites: Vec<_> = double.sites.iter().filter(named).collect();
    if sites.is_empty() {
        return Err((404, format!("no service \"{name}\"")));
    }
    let body: ServiceBody = parse(request)?;
    for site in &sites {
        set_site(site, &body);
        if let Some(lifetime_ms) = body.lifetime_ms {
            let renew_before_ms = body.renew_before_ms.unwrap_or(lifetime_ms / 4);
            let lifetime = Lifetime { lifetime_ms, renew_before_ms };
            double.settings.write().lifetimes.insert(site.kind, lifetime);
        }
    }
    set_settings(&mut double.settings.write(), body);
    for site in sites {
        site.settled().await;
    }
    Ok(json!({}))
}

fn set_settings(settings: &mut Settings, body: ServiceBody) {
    // An empty string takes a setting away.
    let optional = |text: String| Some(text).filter(|t| !t.is_empty());
    if let Some(region) = body.region {
        settings.imds_region = region;
    }
    if let Some(regions) = body.regions {
        settings.regions = regions;
    }
    if let Some(role) = body.role {
        settings.imds_role = optional(role);
    }
    if let Some(token) = body.authorization {
        settings.container_authorization = optional(token);
    }
    if let Some(id) = body.external_id {
        settings.external_id = optional(id);
    }
    if let Some(token) = body.web_identity_token {
        settings.web_identity_token = token;
    }
}

fn set_site(site: &Arc<Site>, body: &ServiceBody) {
    if let Some(ms) = body.idle_timeout_ms {
        site.idle_timeout_ms.store(ms, Relaxed);
    }
    if let Some(requests) = body.close_after_requests {
        site.close_after_requests.store(requests, Relaxed);
    }
    if let Some(silent) = body.silent_close {
        site.silent_close.store(silent, Relaxed);
    }
    let mode = match body.mode {
        None => return,
        Some(ModeName::Ok) => Mode::Ok,
        Some(ModeName::Down) => Mode::Down { keep_existing: body.keep_existing },
        Some(ModeName::Reset) => Mode::Reset,
        Some(ModeName::Error) => Mode::Error(body.status.unwrap_or(500)),
        Some(ModeName::Slow) => Mode::Slow(body.ms.unwrap_or(1000)),
        Some(ModeName::Hang) => Mode::Hang,
    };
    let generation = site.mode_generation.fetch_add(1, Relaxed) + 1;
    site.mode.send_replace(mode);
    if let Some(ms) = body.for_ms {
        let site = Arc::clone(site);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            if site.mode_generation.load(Relaxed) == generation {
                site.mode.send_replace(Mode::Ok);
            }
        });
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RotateBody {
    expire_old: bool,
}

fn rotate(double: &Double, name: &str, request: &Request) -> Answer {
    let issuer = match name {
        "imds" => &double.imds_issuer,
        "container" => &double.container_issuer,
        _ => return Err((404, format!("service \"{name}\" keeps no credentials"))),
    };
    let body: RotateBody = parse(request)?;
    issuer.rotate(body.expire_old, double.clock.now_ms());
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsBody {
    certificate: Option<Certificate>,
    newest: Option<Version>,
}

fn set_tls(double: &Double, request: &Request) -> Answer {
    let body: TlsBody = parse(request)?;
    let (certificate, newest) = double.authority.choice();
    let chosen = (body.certificate.unwrap_or(certificate), body.newest.unwrap_or(newest));
    double.authority.choose(chosen.0, chosen.1).map_err(|why| (500, why.to_string()))?;
    Ok(json!({"certificate": chosen.0, "newest": chosen.1}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockBody {
    offset_ms: i64,
}

fn clock(double: &Double) -> Value {
    json!({"now_ms": double.clock.now_ms(), "offset_ms": double.clock.offset_ms()})
}

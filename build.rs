//! Tells src/nginx about the nginx that it is compiled for, as cfgs: `ngx_feature="http_v3"` and
//! the like for what nginx was configured with, `nginx1_27_0` and the like for its version.
//!
//! nginx-sys finds both out and hands them to its direct dependents, which is why it is one. With
//! the feature `module` off there is no nginx, and no cfg is set.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "cargo talks to a build script by its environment"
)]

use std::env;

/// Versions from which on a structure or a signature of nginx is another one, with the cfg that
/// says so. 1.22.0 is the oldest that is supported.
///
/// *Source*: the tags of nginx's repository, headers compared between 1.22.1 and 1.28.3.
const VERSIONS: [(u64, &str); 5] = [
    // ngx_table_elt_t.next; headers that may repeat are linked lists and no arrays
    (1_023_000, "nginx1_23_0"),
    // ngx_http_upstream_conf_t.limit_rate is a complex value
    (1_027_000, "nginx1_27_0"),
    // ngx_http_parse_chunked() takes keep_trailers; ngx_http_upstream_conf_t.pass_trailers
    (1_027_002, "nginx1_27_2"),
    // ngx_http_upstream_srv_conf_t.resolver, resolver_timeout; peers are counted by reference
    (1_027_003, "nginx1_27_3"),
    // ngx_http_upstream_conf_t.ssl_certificate_cache; ngx_ssl_certificate() takes a cache
    (1_027_004, "nginx1_27_4"),
];

fn main() -> Result<(), &'static str> {
    println!("cargo::rerun-if-changed=build.rs");
    for (_, cfg) in VERSIONS {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
    }
    let known = read("DEP_NGINX_FEATURES_CHECK").unwrap_or_else(|| "any()".into());
    println!("cargo::rustc-check-cfg=cfg(ngx_feature, values({known}))");

    if env::var_os("CARGO_FEATURE_MODULE").is_none() {
        return Ok(());
    }
    // A missing value would quietly compile the code for the oldest nginx: stop instead.
    let features = read("DEP_NGINX_FEATURES").ok_or("nginx-sys did not tell nginx's features")?;
    for feature in features.split(',') {
        println!("cargo::rustc-cfg=ngx_feature=\"{feature}\"");
    }
    let version: u64 = read("DEP_NGINX_VERSION_NUMBER")
        .and_then(|number| number.parse().ok())
        .ok_or("nginx-sys did not tell nginx's version as a number")?;
    for (_, cfg) in VERSIONS.iter().filter(|(since, _)| version >= *since) {
        println!("cargo::rustc-cfg={cfg}");
    }
    Ok(())
}

fn read(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok()
}

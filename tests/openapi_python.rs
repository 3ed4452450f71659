//! schemathesis against a document of 57 operations, through nginx: whatever it calls invalid must be refused, whatever it
//! calls valid let through, and nothing may fail.

use std::path::PathBuf;
use std::process::Command;

use harness::flavour::project_root;
use harness::{Echo, Flavour, Nginx, Outcome};

harness::scenarios![schemathesis_finds_nothing];

/// Requests for each operation and phase. Its own seed, so that what a run finds the next finds too.
const EXAMPLES: &str = "8";
const SEED: &str = "20260101";

fn program() -> Outcome<PathBuf> {
    let program = project_root().join("target/schemathesis/bin/schemathesis");
    if program.exists() {
        return Ok(program);
    }
    Err("no target/schemathesis: scripts/test makes it".into())
}

fn schemathesis_finds_nothing(flavour: Flavour) -> Outcome {
    let document = project_root().join("tests/data/openapi/harbour.yaml");
    let up = Echo::shared()?.address;
    let server = format!(
        "client_max_body_size 16m; large_client_header_buffers 8 64k;
         location / {{
             validate_openapi {} unknown=deny;
             proxy_pass http://{up};
         }}",
        document.display()
    );
    let nginx = Nginx::builder(flavour)?.server(&server).start()?;
    let output = Command::new(program()?)
        .current_dir(nginx.directory())
        .args([
            "--config-file",
            &project_root().join("tests/data/openapi/schemathesis.toml").display().to_string(),
        ])
        .args(["run", &document.display().to_string()])
        .args(["--url", &format!("http://{}/v2", nginx.address())])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED])
        .args(["--continue-on-failure", "--warnings", "off", "--no-color"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("schemathesis ended with {}:\n{text}", output.status).into());
    }
    nginx.stop()
}

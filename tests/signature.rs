//! botocore, which is not ours, computes the same signatures for the requests that lambda_pass sends.
//!
//! The requests are those that arrived at the double of AWS, so that what was signed is what was sent.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests watch clocks and files, and tell what they have measured"
)]

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::flavour::project_root;
use harness::http::Request;
use harness::{AwsDouble, Flavour, Nginx, Outcome};
use serde_json::{Value, json};

harness::scenarios![botocore_signs_long_term_keys_alike, botocore_signs_session_tokens_alike];

/// For each kind of credentials.
const REQUESTS: usize = 500;
const SECRET: &str = "s3cr3t/with+slashes=and~more";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEA//token+with/odd=characters==";

const LOCATIONS: &str = "
    merge_slashes off;
    location ~ ^/api/(?<name>[^/]+)/(?<version>[^/]+) { lambda_pass $name:$version; }
    location ~ ^/arn/(?<partition>[^/]+)/(?<region>[^/]+)/(?<name>[^/]+) {
        lambda_pass arn:$partition:lambda:$region:123456789012:function:$name:$LATEST;
    }
    location /tail { lambda_pass echo invoke=sync; lambda_log_tail on; }
    location /async { lambda_pass echo invoke=async; }
    location /dry { lambda_pass echo invoke=dry_run; }
    location /stream { lambda_pass 123456789012:function:hello stream; }
    location / { lambda_pass https://echo.lambda-url.us-east-1.on.aws; }
    location /prefix/ { lambda_pass https://echo.lambda-url.eu-west-1.on.aws/a%20b/; }";

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // Knuth's MMIX generator; its low bits are poor.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// Up to `most` of the pieces, one behind the other.
    fn text(&mut self, of: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.pick(of)).collect()
    }
}

const PATH: [&str; 20] = [
    "a",
    "B9",
    "/",
    "/x",
    "%2F",
    "%20",
    "%C3%A9",
    "é",
    "%E2%82%AC",
    "+",
    ";",
    ":",
    "@",
    "!$'",
    "()*",
    ",=",
    "~",
    "%25",
    "%2B",
    "-._",
];
const QUERY: [&str; 24] = [
    "a", "B", "=", "&", "&a=1", "&a=0", "&A=1", "=b=c", "+", "%20", "%2B", "%C3%A9", "é", "%zz",
    "%", "*", "~", "/", "?", "'", ":", "%26", "-._", "&&",
];

fn request(numbers: &mut Numbers) -> Request {
    let method = numbers.pick(&["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
    let start = match numbers.below(9) {
        0 => format!("/api/{}/live", numbers.pick(&["f", "My-Function_1", "0"])),
        1 => format!("/api/f/{}", numbers.pick(&["1", "42", "A-b_c"])),
        2 => {
            const REGIONS: [&str; 4] = [
                "aws/us-east-1",
                "aws/eu-central-1",
                "aws-us-gov/us-gov-west-1",
                "aws-cn/cn-north-1",
            ];
            format!("/arn/{}/f", numbers.pick(&REGIONS))
        }
        3 => "/tail".to_owned(),
        4 => numbers.pick(&["/async", "/dry", "/stream"]).to_owned(),
        5 => "/prefix/".to_owned(),
        _ => "/".to_owned(),
    };
    let mut target = start + "/" + &numbers.text(&PATH, 6);
    if numbers.below(3) > 0 {
        target = format!("{target}?{}", numbers.text(&QUERY, 10));
    }
    let body: Vec<u8> = (0..numbers.below(200)).map(|_| numbers.below(256) as u8).collect();
    Request::new(method, &target)
        .body(body)
        .header("Content-Type", numbers.pick(&["text/plain", "application/octet-stream"]))
        .header("X-Own", numbers.pick(&["a", "a  b", "é", ""]))
        .header("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
        .header("Authorization", "Bearer of-the-client")
}

fn botocore_signs_long_term_keys_alike(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let key = aws.address("access_key_id")?.to_owned();
    let secret = aws.address("secret_access_key")?.to_owned();
    compare(flavour, &aws, [&key, &secret], None, 1)
}

fn botocore_signs_session_tokens_alike(flavour: Flavour) -> Outcome {
    let aws = AwsDouble::start()?;
    let made = json!({
        "access_key_id": "ASIASESSION", "secret_access_key": SECRET, "session_token": TOKEN,
    });
    aws.control("POST", "/credentials", &made.to_string())?;
    compare(flavour, &aws, ["ASIASESSION", SECRET], Some(TOKEN), 2)
}

fn compare(
    flavour: Flavour,
    aws: &AwsDouble,
    [key, secret]: [&str; 2],
    token: Option<&str>,
    seed: u64,
) -> Outcome {
    let endpoint = aws.address("lambda_http")?;
    let mut nginx = Nginx::builder(flavour)?
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .http(&format!("aws_region us-east-1; lambda_endpoint http://{endpoint};"))
        .server(LOCATIONS);
    if let Some(token) = token {
        nginx = nginx.env("AWS_SESSION_TOKEN", token);
    }
    let nginx = nginx.start()?;
    for name in ["f", "My-Function_1", "0"] {
        aws.control("PUT", &format!("/functions/{name}"), r#"{"payload":{"statusCode":200}}"#)?;
    }
    let mut numbers = Numbers(seed);
    for _ in 0..REQUESTS {
        let request = request(&mut numbers);
        let response = nginx.request(&request)?;
        if matches!(response.status, 400 | 503) {
            return Err(format!("{request:?}: {}", response.head).into());
        }
    }
    let path = format!("/invocations?n={REQUESTS}");
    let recorded = aws.control("GET", &path, "")?.json()?;
    let recorded = recorded["invocations"].as_array().ok_or("no invocations")?;
    let (mut lines, mut refused) = (String::new(), Vec::new());
    for sent in recorded {
        let refusal = sent["refused"].as_str().unwrap_or_default();
        if refusal.contains("Signature") || refusal.contains("Token") {
            refused.push(format!("{refusal}: {}", sent["target"]));
        }
        lines.push_str(&format!("{}\n", line(sent, secret, token)));
    }
    if !refused.is_empty() {
        return Err(format!("the double refuses {refused:#?}").into());
    }
    let verdict = verify(&lines)?;
    if verdict["verified"] != REQUESTS {
        return Err(
            format!("{} of {REQUESTS}: {:#}", verdict["verified"], verdict["faults"]).into()
        );
    }
    nginx.stop()
}

/// The body of a request that the double has made into an event: the event itself, or a function URL's body in it.
fn body(sent: &Value) -> String {
    let event = sent["event"].as_str().unwrap_or_default();
    let parsed: Value = serde_json::from_str(event).unwrap_or_default();
    let of_url = sent["headers"].to_string().contains(".lambda-url.");
    match (of_url, parsed["body"].as_str()) {
        (false, _) => STANDARD.encode(event),
        (true, Some(base64)) if parsed["isBase64Encoded"] == true => base64.to_owned(),
        (true, text) => STANDARD.encode(text.unwrap_or_default()),
    }
}

fn line(sent: &Value, secret: &str, token: Option<&str>) -> Value {
    json!({
        "method": sent["method"],
        "target": sent["target"],
        "headers": sent["headers"],
        "body_base64": body(sent),
        "secret_access_key": secret,
        "session_token": token,
    })
}

fn verify(lines: &str) -> Outcome<Value> {
    let mut botocore = Command::new(project_root().join("target/python/bin/python"))
        .arg(project_root().join("tests/flask/verify_signatures.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = botocore.stdin.take().ok_or("no input")?;
    input.write_all(lines.as_bytes())?;
    drop(input);
    let output = botocore.wait_with_output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

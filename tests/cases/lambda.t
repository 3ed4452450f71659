# lambda_pass: buffered invocations.

=== a function's reply is the response
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass hello; }
--- request: GET /
--- response_headers
Content-Type: text/plain
Content-Length: 5
!X-Amzn-RequestId
!X-Amzn-Trace-Id
--- response_body chomp
hello

=== over TLS, with the certificate verified
--- http_config
    aws_region us-east-1;
    lambda_endpoint https://$LAMBDA_HTTPS;
    lambda_ssl_trusted_certificate $CA;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass hello; }
--- request
["GET /", "GET /"]
--- response_body
["hello", "hello"]

=== a certificate that nobody trusts is refused
--- http_config
    aws_region us-east-1;
    lambda_endpoint https://$LAMBDA_HTTPS;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass hello; }
--- request: GET /
--- error_code: 502
--- response_json
/message = "Function endpoint is unreachable"
--- error_log
qr/upstream SSL certificate verify error/

=== a certificate for another name is refused
--- http_config
    aws_region us-west-2;
    lambda_endpoint https://$LAMBDA_HTTPS;
    lambda_ssl_trusted_certificate $CA;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass hello; }
    location /named { lambda_pass hello; lambda_ssl_name localhost; }
--- request
["GET /", "GET /named"]
--- error_code: [502, 200]
--- error_log
qr/upstream SSL certificate does not match "lambda\.us-west-2\.amazonaws\.com"/

=== statuses without a body have none
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location ~ ^/(?<shape>.+)$ { lambda_pass reply-$shape; }
    location /hello { lambda_pass hello; }
--- request
["GET /204", "GET /304", "HEAD /404", "HEAD /no-body"]
--- error_code: [204, 304, 404, 200]
--- response_headers
["!Content-Length\n!Content-Type", "!Content-Length\nETag: \"1\"", "Content-Length: 16", "!Transfer-Encoding"]
--- response_body
["", "", "", ""]

=== HEAD keeps the length that the function tells
As Flask does through serverless-wsgi, whose body is empty then.
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/lambda-head {"payload": {"statusCode": 200, "headers": {"Content-Length": "1234"}, "body": ""}}
PUT /functions/lambda-head-long {"payload": {"statusCode": 200, "headers": {"Content-Length": "1, 2"}, "body": ""}}
PUT /functions/lambda-head-204 {"payload": {"statusCode": 204, "headers": {"Content-Length": "1234"}}}
--- config
    location ~ ^/(?<name>.+)$ { lambda_pass $name; }
--- request
["HEAD /lambda-head", "GET /lambda-head", "HEAD /lambda-head-long", "HEAD /lambda-head-204"]
--- error_code: [200, 200, 200, 204]
--- response_headers
["Content-Length: 1234", "Content-Length: 0", "!Content-Length", "!Content-Length"]

=== replies of the wrong shape are refused
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format outcome "$lambda_error $policy_name $policy_reason";
    access_log logs/access.log outcome;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location ~ ^/(?<shape>.+)$ { lambda_pass $shape; }
--- request
["GET /not-json", "GET /reply-status-99", "GET /reply-header-crlf", "GET /reply-body-object", "GET /reply-base64-broken"]
--- error_code: 502
--- response_headers
Content-Type: application/json; charset=utf-8
--- response_json
/message = "An invalid response was received from the upstream function"
/request_id ~ ^[0-9a-f]{32}$
--- error_log
qr/\[error\] .* lambda: invocation failed, function=not-json, error=invalid_reply, payload is not JSON, request_id=[-0-9a-f]{36}/
--- access_log
invalid_reply lambda invalid_reply

=== what the API and the function may say
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format outcome "$lambda_error|$policy_reason|$policy_decision";
    access_log logs/access.log outcome;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/throttled-7 {"api_error": {"type": "TooManyRequestsException", "status": 429, "headers": {"Retry-After": "7"}}}
--- config
    location ~ ^/(?<name>.+)$ { lambda_pass $name; }
    location /teapot { lambda_pass error-handled; lambda_function_error 418; }
--- request
["GET /throttled-7", "GET /denied", "GET /not-found", "GET /broken", "GET /error-unhandled", "GET /error-handled", "GET /no.function"]
--- error_code: [429, 502, 502, 502, 502, 502, 502]
--- response_headers
["Retry-After: 7", "!Retry-After", null, null, null, null, null]
--- response_json
["/message = \"Function is throttled\"", "/message = \"Function could not be invoked\"", "/message = \"Function could not be invoked\"", "/message = \"Function could not be invoked\"", "/message = \"Function failed\"", "/message = \"Function failed\"", "/message = \"Function could not be invoked\""]
--- response_body_unlike: division|unknown
--- error_log
function=error-unhandled, error=ZeroDivisionError, request_id=
lambda: "no.function" names no function
--- no_error_log
division by zero
--- access_log
throttled|throttled|deny
AccessDeniedException|api|deny
ResourceNotFoundException|api|deny
ZeroDivisionError|function_error|deny

=== observing policies does not make failures successes
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    policy_mode observe;
    log_format outcome "$policy_decision";
    access_log logs/access.log outcome;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass throttled; }
    location /small { lambda_pass hello; lambda_max_request 10; }
--- request
["GET /", "POST /small\n12345678901"]
--- error_code: [429, 413]
--- access_log: deny
--- no_access_log: would_deny

=== error_page has failures of the function's, not its replies
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    error_page 404 429 502 = @sorry;
    location / { lambda_pass throttled; }
    location /reply { lambda_pass reply-404; }
    location /twice { error_page 429 @again; lambda_pass throttled; }
    location @sorry { return 200 "sorry\n"; }
    location @again { lambda_pass error-unhandled; }
--- request
["GET /", "GET /reply", "GET /twice"]
--- error_code: [200, 404, 502]
--- response_body
["sorry\n", "{\"error\":\"none\"}", null]
--- error_log
function=throttled, error=throttled
function=error-unhandled, error=ZeroDivisionError

=== a request that is too large never reaches the function
--- isolated
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/lambda-limited {"payload": {"statusCode": 200}}
--- config
    location / { lambda_pass lambda-limited payload=raw; lambda_max_request 10; }
    location /event { lambda_pass lambda-limited; lambda_max_request 10; }
--- request
["POST /\n1234567890", "POST /\n12345678901", "POST /\n12345678901", "GET /event", {"control": "GET /functions/lambda-limited", "response_json": "/invocations = 1"}]
--- more_headers
[null, null, "Transfer-Encoding: chunked", null]
--- error_code: [200, 413, 413, 413]
--- response_json
["/statusCode = 200", "/message = \"Request body is too large for the function\"", "/message = \"Request body is too large for the function\"", "/message = \"Request body is too large for the function\""]
--- error_log
qr/\[error\] .* lambda: invocation failed, function=lambda-limited, error=too_large, request_id=, client: .* "POST \/ /
qr/\[error\] .* lambda: invocation failed, function=lambda-limited, error=too_large, request_id=, client: .* "GET \/event /

=== a response that is too large is refused
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/lambda-large {"payload_fill_bytes": 3000}
PUT /functions/lambda-large-chunked {"payload_fill_bytes": 3000, "chunked": true, "chunk_bytes": 100}
--- config
    location ~ ^/(.+)$ { lambda_pass $1; lambda_max_response 2k; }
    location = /lambda-large-chunked/all { lambda_pass lambda-large-chunked; }
    location = /lambda-large/all { lambda_pass lambda-large; }
--- request
["GET /lambda-large/all", "GET /lambda-large-chunked/all", "GET /lambda-large", "GET /lambda-large-chunked"]
--- error_code: [200, 200, 502, 502]
--- response_body_like
["^x{3000}$", "^x{3000}$", "An invalid response was received from the upstream function", "An invalid response was received from the upstream function"]
--- error_log
function=lambda-large, error=invalid_reply

=== headers of the API are hidden unless they are passed
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/lambda-headers {"payload": {"statusCode": 200, "headers": {"X-Own": "1", "Server": "mine", "X-Accel-Redirect": "/x", "X-Secret": "2"}}}
--- config
    location / { lambda_pass lambda-headers; }
    location /passed { lambda_pass lambda-headers; lambda_pass_header X-Amzn-RequestId; lambda_pass_header Server; lambda_hide_header X-Secret; }
    location /async { lambda_pass lambda-headers invoke=async; lambda_pass_header X-Amzn-RequestId; }
--- request
["GET /", "GET /passed", "GET /async"]
--- error_code: [200, 200, 202]
--- response_headers
["!X-Amzn-RequestId\nX-Own: 1\n!X-Accel-Redirect\nX-Secret: 2", "X-Own: 1\nServer: mine\n!X-Secret", "!X-Own"]
--- response_headers_like
["Server: nginx.*", "X-Amzn-RequestId: [-0-9a-f]{36}", "X-Amzn-RequestId: [-0-9a-f]{36}"]

=== the log's tail is text
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format tail escape=json "$lambda_request_id $lambda_version $lambda_log";
    access_log logs/access.log tail;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/lambda-log {"payload": {"statusCode": 200}, "log": "a line\n"}
--- config
    location / { lambda_pass lambda-log:live; lambda_log_tail on; }
--- request: GET /
--- access_log
qr/^[-0-9a-f]{36} live START RequestId: [-0-9a-f]{36} Version: live\\na line\\nEND/

=== the API is told of the trace that the function sees
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass echo; }
--- request
["GET /?lambda-trace", {"control": "GET /invocations?n=1&function=echo", "response_json": "/invocations/0/headers ~ x-amzn-trace-id.{3,5}Root=1-5759e988-bd862e3fe1be46a994272793"}]
--- isolated
--- more_headers: X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793
--- response_json
/headers/x-amzn-trace-id = "Root=1-5759e988-bd862e3fe1be46a994272793"

=== asynchronous and dry invocations have statuses of their own
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location /async { lambda_pass hello invoke=async; }
    location /dry { lambda_pass hello invoke=dry_run; }
    location /denied { lambda_pass denied invoke=async; }
--- request
["POST /async\nx", "GET /dry", "POST /denied\nx"]
--- error_code: [202, 204, 502]
--- response_body_like
["^$", "^$", "could not be invoked"]

=== names may have variables, and ARNs decide the region
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- isolated
--- config
    location /region { lambda_pass arn:aws:lambda:$arg_region:123456789012:function:echo:$arg_q; }
    location /if {
        if ($arg_hello) { lambda_pass hello; }
        lambda_pass echo;
    }
--- request
["GET /region?region=eu-west-1&q=live", {"control": "GET /invocations?n=1", "response_json": "/invocations/0/headers ~ /eu-west-1/lambda/aws4_request\n/invocations/0/qualifier = \"live\""}, "GET /region?region=us-east-1&q=1", "GET /region?region=nowhere&q=1", "GET /if?hello=1", "GET /if"]
--- error_code: [200, 200, 502, 200, 200]
--- response_body_like: ["/region", "/region", "could not be invoked", "^hello$", "/if"]

=== an endpoint that does not answer is unreachable
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass hello; lambda_endpoint http://127.0.0.1:1; }
    location /name { lambda_pass hello; lambda_endpoint http://nowhere.invalid; }
    location /reset { lambda_pass reset; }
    location /fin { lambda_pass close-early; }
    location /hang { lambda_pass hang; lambda_read_timeout 100ms; }
--- request
["GET /", "GET /name", "GET /reset", "GET /fin", "GET /hang"]
--- error_code: [502, 502, 502, 502, 504]
--- response_json
["/message = \"Function endpoint is unreachable\"", "/message = \"Function endpoint is unreachable\"", "/message = \"Function endpoint is unreachable\"", "/message = \"Function endpoint is unreachable\"", "/message = \"Function timed out\""]
--- error_log
error=connect
error=timeout

=== without credentials there is nothing to sign with
--- http_config
    aws_region us-east-1;
    aws_credentials env;
    lambda_endpoint http://$LAMBDA_HTTP;
--- config
    location / { lambda_pass hello; }
--- request: GET /
--- error_code: 503
--- response_headers
Retry-After: 1
--- response_json
/message = "Function credentials are not available yet"

=== what a subrequest comes to is not the request's
--- isolated
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format outcome "$request_uri $lambda_error|$policy_decision|$lambda_request_id.";
    access_log logs/access.log outcome;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/lambda-shadow {"function_error": "Unhandled", "payload": {"errorType": "Oops"}}
--- config
    location /mirrored { mirror /shadow; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /guarded { auth_request /guard; lambda_pass reply-404; }
    location = /shadow { internal; lambda_pass lambda-shadow; }
    location = /guard { internal; lambda_pass hello; }
--- request
["GET /mirrored", "GET /guarded", {"control": "GET /functions/lambda-shadow?invocations=1", "response_json": "/invocations = 1"}]
--- error_code: [200, 404]
--- response_body_like: ["mirrored", "none"]
--- access_log
/mirrored -|allow|-.
qr/^\/guarded -\|allow\|[-0-9a-f]{36}\.$/

=== a block of servers is retried like our own connections
--- http_config
    aws_region us-east-1;
    upstream double {
        server 127.0.0.1:1;
        server 127.0.0.1:2;
        server $LAMBDA_HTTP backup;
        keepalive 4;
    }
    lambda_endpoint http://double;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass hello; }
--- request: GET /
--- response_body chomp
hello

=== throttles are retried where the operator says so
--- isolated
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/lambda-busy {"sequence": [{"api_error": "TooManyRequestsException"}, {"api_error": "TooManyRequestsException"}, {"payload": {"statusCode": 201}}]}
PUT /functions/lambda-busier {"sequence": [{"api_error": "TooManyRequestsException"}, {"payload": {"statusCode": 201}}]}
--- config
    location / { lambda_pass lambda-busy; lambda_next_upstream throttled; }
    location /not { lambda_pass lambda-busier; }
--- request
["POST /", "POST /not", "POST /not"]
--- error_code: [201, 429, 201]

=== HTTP/2 clients are answered alike
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- http2
--- config
    location / { lambda_pass echo; }
--- request
POST /a%2Fb?x=1
{"a": "b"}
--- response_json
/path = "/a%2Fb"
/httpMethod = "POST"
/body = "{\"a\": \"b\"}"

=== the environment may name the endpoint
--- http_config
    aws_region us-east-1;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
AWS_ENDPOINT_URL=http://127.0.0.1:1
AWS_ENDPOINT_URL_LAMBDA=http://$LAMBDA_HTTP
--- config
    location / { lambda_pass hello; }
--- request: GET /
--- response_body chomp
hello

=== an endpoint of the environment that is no URL is refused
--- http_config
    aws_region us-east-1;
--- env
AWS_ENDPOINT_URL=double
--- config
    location / { lambda_pass hello; }
--- must_die
--- error_log
qr/\[emerg\] .* invalid URL "double" in environment variable "AWS_ENDPOINT_URL" in .*nginx\.conf:\d+/

=== the instance's metadata tell the region and the credentials
--- isolated
--- http_config
    lambda_endpoint http://$LAMBDA_HTTP;
--- control
PUT /services/imds {"region": "eu-west-1"}
--- env
AWS_EC2_METADATA_SERVICE_ENDPOINT=http://$IMDS
--- config
    location / { lambda_pass echo; }
--- request
[{"until": "GET /", "error_code": 200}, "GET /", {"control": "GET /invocations?n=1", "response_json": "/invocations/0/headers ~ /eu-west-1/lambda/aws4_request"}]

=== a region that is known late is no error of the configuration
--- isolated
--- http_config
    lambda_endpoint http://$LAMBDA_HTTP;
--- control
PUT /services/imds {"mode": "down", "region": "eu-west-1"}
--- env
AWS_EC2_METADATA_SERVICE_ENDPOINT=http://$IMDS
--- config
    location / { lambda_pass echo; }
--- request
["GET /", {"control": "PUT /services/imds {\"mode\": \"ok\"}"}, {"until": "GET /", "error_code": 200}, {"control": "GET /invocations?n=1", "response_json": "/invocations/0/headers ~ /eu-west-1/lambda/aws4_request"}]
--- error_code: [503]
--- error_log
region for "echo" is not known until the instance's metadata tell it
--- timeout: 20

=== a name with variables may end in $LATEST
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- isolated
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass $arg_name:$LATEST; }
--- request
["GET /?name=echo", {"control": "GET /invocations?n=1", "response_json": "/invocations/0/target ~ /echo/invocations.Qualifier=%24LATEST"}]

=== an answer that is no HTTP is asked for again only where functions may run twice
--- isolated
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/lambda-garbled {"sequence": [{"raw_http_base64": "R0FSQkxFRA0KDQo="}, {"payload": {"statusCode": 201}}]}
PUT /functions/lambda-garbled-once {"sequence": [{"raw_http_base64": "R0FSQkxFRA0KDQo="}, {"payload": {"statusCode": 201}}]}
--- config
    location / { lambda_pass lambda-garbled; lambda_next_upstream invalid_header non_idempotent; }
    location /once { lambda_pass lambda-garbled-once; lambda_next_upstream invalid_header; }
--- request
["POST /", "POST /once", {"control": "GET /functions/lambda-garbled-once", "response_json": "/invocations = 1"}]
--- error_code: [201, 502]
--- response_body_like: ["^$", "invalid response"]

=== upstream variables are as with proxy_pass
--- isolated
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format upstream "$upstream_status $upstream_response_length $upstream_http_x_own $upstream_cookie_a $upstream_cookie_b to $upstream_addr";
    access_log logs/access.log upstream;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/lambda-vars {"payload": {"statusCode": 404, "headers": {"X-Own": "1"}, "multiValueHeaders": {"Set-Cookie": ["a=x; Path=/", "b=y"]}, "body": "12345"}}
PUT /functions/lambda-again {"sequence": [{"api_error": "TooManyRequestsException"}, {"payload": {"statusCode": 200, "body": "12345"}}]}
PUT /functions/urlvars {"payload": {"statusCode": 404, "headers": {"X-Own": "1"}, "body": "12345"}}
--- config
    location / { lambda_pass lambda-vars; }
    location /throttled { lambda_pass throttled; }
    location /again { lambda_pass lambda-again; lambda_next_upstream throttled; }
    location /stream { lambda_pass stream stream; }
    location /url { lambda_pass https://urlvars.lambda-url.us-east-1.on.aws; }
    location /unreachable { lambda_pass hello; lambda_endpoint http://127.0.0.1:1; }
--- request
["GET /", "GET /throttled", "GET /again", "GET /stream", "GET /url", "GET /unreachable"]
--- error_code: [404, 429, 200, 200, 404, 502]
--- access_log
qr/^200 5 1 x y to 127\.0\.0\.1:\d+$/
qr/^429 /
qr/^502, 200 0, 5 /
qr/^200 14 /
qr/^404 5 1 - - to/
qr/^502, 502 0, 0 - - - to 127\.0\.0\.1:1, 127\.0\.0\.1:1$/

# lambda_pass ... stream: InvokeWithResponseStream.

=== a stream has the prelude's status, headers and cookies
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format outcome "$lambda_error|$policy_decision|$lambda_log|";
    access_log logs/access.log outcome;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/stream-prelude {"http_integration": {"statusCode": 201, "headers": {"X-Own": "1", "content-type": "text/event-stream", "content-length": "3"}, "cookies": ["a=1", "b=2"]}, "stream": [{"data": "one,"}, {"data": "two"}]}
--- config
    location ~ ^/(?<name>.+)$ { lambda_pass $name stream; }
--- request: GET /stream-prelude
--- error_code: 201
--- response_headers
X-Own: 1
Content-Type: text/event-stream
Set-Cookie: a=1, b=2
Transfer-Encoding: chunked
!Content-Length
--- response_body chomp
one,two
--- access_log
-|allow|-|

=== a stream without a prelude is the body of a 200
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format outcome "$lambda_error|$policy_decision|$lambda_log|";
    access_log logs/access.log outcome;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/stream-bare {"stream": [{"base64": "AAECAwD/"}, {"data": "end"}]}
PUT /functions/stream-typed {"stream": [{"data": "x"}], "headers": {"content-type": "text/css"}}
PUT /functions/stream-empty {"stream": [{"data": ""}]}
--- config
    location ~ ^/(?<name>.+)$ { lambda_pass $name stream; }
--- request
["GET /stream-bare", "GET /stream-typed", "GET /stream-empty"]
--- response_headers
["Content-Type: application/octet-stream", "Content-Type: text/css", "Content-Type: application/octet-stream"]
--- response_body latin1
["\u0000\u0001\u0002\u0003\u0000\u00ffend", "x", ""]

=== streams may be cut anywhere and their connections are kept
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format outcome "$lambda_error|$policy_decision|$lambda_log|";
    access_log logs/access.log outcome;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- isolated
--- control
PUT /functions/stream-cut {"http_integration": {"statusCode": 200, "headers": {"x-a": "b"}}, "stream": [{"data": "one "}, {"data": "two "}, {"data": "three"}], "chunk_bytes": 1}
PUT /functions/stream-trickle {"http_integration": {"statusCode": 200}, "stream": [{"data": "one "}, {"data": "two"}], "trickle_ms": 1, "trickle_bytes": 3}
--- config
    location ~ ^/(?<name>.+)$ { lambda_pass $name stream; }
--- request
["GET /stream-cut", "GET /stream-trickle", "GET /stream-cut", {"control": "GET /stats", "response_json": "/sites/lambda_http/connections = 1"}]
--- response_body
["one two three", "one two", "one two three"]

=== a failure before the first byte is a refusal
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format outcome "$lambda_error|$policy_decision|$lambda_log|";
    access_log logs/access.log outcome;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/stream-error {"stream_error": {"ErrorCode": "Runtime.ExitError", "ErrorDetails": "secret"}, "stream": [{"data": ""}]}
PUT /functions/stream-exception {"stream": [{"exception": "ServiceException", "data": "{}"}]}
PUT /functions/stream-corrupt {"stream": [{"data": "x", "corrupt": "prelude_crc"}]}
PUT /functions/stream-bad-prelude {"http_integration": {"statusCode": 99}, "stream": [{"data": "x"}]}
PUT /functions/stream-no-end {"headers": {"content-type": "application/vnd.awslambda.http-integration-response"}, "stream": [{"data": "{}"}]}
--- config
    location ~ ^/(?<name>.+)$ { lambda_pass $name stream; }
--- request
["GET /stream-error", "GET /stream-exception", "GET /stream-corrupt", "GET /stream-bad-prelude", "GET /stream-no-end", "GET /throttled", "GET /not-found"]
--- error_code: [502, 502, 502, 502, 502, 429, 502]
--- response_json
["/message = \"Function failed\"", "/message = \"Function could not be invoked\"", "/message ~ invalid response", "/message ~ invalid response", "/message ~ invalid response", "/message = \"Function is throttled\"", "/message = \"Function could not be invoked\""]
--- access_log
Runtime.ExitError|deny|
ServiceException|deny|
invalid_reply|deny|
--- response_body_unlike: secret

=== HEAD, 204 and 304 have no body
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format outcome "$lambda_error|$policy_decision|$lambda_log|";
    access_log logs/access.log outcome;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/stream-204 {"http_integration": {"statusCode": 204}, "stream": [{"data": "x"}]}
PUT /functions/stream-200 {"http_integration": {"statusCode": 200, "headers": {"x-a": "1"}}, "stream": [{"data": "x"}]}
--- config
    location ~ ^/(?<name>.+)$ { lambda_pass $name stream; }
--- request
["GET /stream-204", "HEAD /stream-200"]
--- error_code: [204, 200]
--- response_headers: ["!Content-Type", "X-A: 1"]
--- response_body: ["", ""]

=== the log's tail comes at a stream's end
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    log_format outcome "$lambda_error|$policy_decision|$lambda_log|";
    access_log logs/access.log outcome;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/stream-log {"stream": [{"data": "x"}], "log": "a line\n"}
--- config
    location / { lambda_pass stream-log stream; lambda_log_tail on; }
--- request: GET /
--- response_body chomp
x
--- access_log
qr/^-\|allow\|START RequestId.*a line/

=== streams over TLS and HTTP/2
--- http2
--- ssl
--- http_config
    aws_region us-east-1;
    lambda_endpoint https://$LAMBDA_HTTPS;
    lambda_ssl_trusted_certificate $CA;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location ~ ^/(?<name>.+)$ { lambda_pass $name stream; }
--- request: GET /stream
--- response_body
one
two
three

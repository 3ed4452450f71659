# lambda_pass https://ID.lambda-url.REGION.on.aws: function URLs.

=== a function URL gets the client's request, signed for its region
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- isolated
--- config
    location / { lambda_pass https://echo.lambda-url.eu-west-1.on.aws; }
--- request
["PUT /a%2Fb/%C3%A9?b=2+3&a=%2f&b&%C3%A9=%20\n{\"a\":1}", {"control": "GET /invocations?n=1", "response_json": "/invocations/0/refused = null\n/invocations/0/headers ~ /eu-west-1/lambda/aws4_request"}]
--- more_headers
Content-Type: application/json
Cookie: a=1
Authorization: Bearer mine
X-Amz-Date: 20000101T000000Z
X-Own: 1
--- response_headers
Content-Type: application/json
!X-Amzn-RequestId
--- response_json
/rawPath = "/a%2Fb/%C3%A9"
/rawQueryString = "b=2%203&a=%2F&b=&%C3%A9=%20"
/requestContext/http/method = "PUT"
/headers/host = "echo.lambda-url.eu-west-1.on.aws"
/headers/x-forwarded-host = "localhost"
/headers/x-own = "1"
/headers/x-forwarded-for = "127.0.0.1"
/cookies = ["a=1"]
/body = "{\"a\":1}"

=== a path of the URL takes the place of the location's
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location /api/ { lambda_pass https://echo.lambda-url.us-east-1.on.aws/v1/; }
    location /whole { lambda_pass https://echo.lambda-url.us-east-1.on.aws; }
    location /method { method GET { lambda_pass https://echo.lambda-url.us-east-1.on.aws/m; } }
--- request
["GET /api/users/%20x", "GET /whole/../whole/a", "GET /method/x"]
--- response_json
["/rawPath = \"/v1/users/%20x\"", "/rawPath = \"/whole/a\"", "/rawPath = \"/m/x\""]

=== a rewritten path is sent whole, as proxy_pass does
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location /api/ { rewrite ^/api/(.*)$ /new/$1 break; lambda_pass https://echo.lambda-url.us-east-1.on.aws/v1/; }
    location /short/ { rewrite ^/short/(.*)$ /$1 break; lambda_pass https://echo.lambda-url.us-east-1.on.aws/v1/; }
    location /again/ { rewrite ^/again/(.*)$ /plain/$1 last; }
    location /plain/ { lambda_pass https://echo.lambda-url.us-east-1.on.aws/v1/; }
--- request
["GET /api/a%20b?q", "GET /short/a", "GET /again/a", "GET /plain/a"]
--- response_json
["/rawPath = \"/new/a%20b\"", "/rawPath = \"/a\"", "/rawPath = \"/v1/a\"", "/rawPath = \"/v1/a\""]

=== a path of the URL needs a prefix to stand in for
--- http_config
    aws_region us-east-1;
--- config
    location ~ /api { lambda_pass https://echo.lambda-url.us-east-1.on.aws/v1/; }
--- must_die
--- error_log
qr/\[emerg\] .* "lambda_pass" cannot have a path in location given by regular expression, or inside named location in .*:\d+/

=== responses pass as HTTP, however they are framed
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- isolated
--- control
PUT /functions/urlknown {"payload": {"statusCode": 201, "headers": {"X-Own": "1", "x-amz-meta": "2"}, "cookies": ["a=1", "b=2"], "body": "known"}}
PUT /functions/urlchunked {"payload": {"statusCode": 200, "body": "0123456789"}, "chunked": true, "chunk_bytes": 3}
PUT /functions/urlstream {"http_integration": {"statusCode": 202}, "stream": [{"data": "one,"}, {"data": "two"}]}
PUT /functions/urlclosed {"raw_http_base64": "SFRUUC8xLjEgMjAwIE9LDQpDb25uZWN0aW9uOiBjbG9zZQ0KDQp1bnRpbCB0aGUgZW5k", "close_after": true}
PUT /functions/urlempty {"payload": {"statusCode": 204}}
--- config
    location ~ ^/(.+)$ { lambda_pass https://$1.lambda-url.us-east-1.on.aws; }
--- request
["GET /urlknown", "GET /urlchunked", "GET /urlstream", "GET /urlclosed", "GET /urlempty", "HEAD /urlknown", {"control": "GET /stats", "response_json": "/sites/lambda_http/connections = 5"}]
--- error_code: [201, 200, 202, 200, 204, 201]
--- response_headers
["Content-Length: 5\nX-Own: 1\nSet-Cookie: a=1, b=2\n!X-Amz-Meta", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "!Content-Length", "Content-Length: 5"]
--- response_body
["known", "0123456789", "one,two", "until the end", "", ""]

=== what the service says in the function's place is a refusal
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location ~ ^/(.+)$ { lambda_pass https://$1.lambda-url.us-east-1.on.aws; }
    location = /big { lambda_pass https://echo.lambda-url.us-east-1.on.aws; lambda_max_request 4; }
--- request
["GET /urlthrottled", "GET /urldenied", "GET /reset", "GET /error", "POST /big\n12345"]
--- control
PUT /functions/urlthrottled {"raw_http_base64": "SFRUUC8xLjEgNDI5IFRvbyBNYW55IFJlcXVlc3RzDQp4LWFtem4tRXJyb3JUeXBlOiBUb29NYW55UmVxdWVzdHNFeGNlcHRpb24NCkNvbnRlbnQtTGVuZ3RoOiAyDQoNCnt9"}
PUT /functions/urldenied {"raw_http_base64": "SFRUUC8xLjEgNDAzIEZvcmJpZGRlbg0KeC1hbXpuLUVycm9yVHlwZTogQWNjZXNzRGVuaWVkRXhjZXB0aW9uDQpDb250ZW50LUxlbmd0aDogMg0KDQp7fQ=="}
PUT /functions/error {"payload": {"statusCode": 403, "body": "own"}}
--- error_code: [429, 502, 502, 403, 413]
--- response_body_like: ["is throttled", "could not be invoked", "is unreachable", "^own$", "too large"]

=== function URLs over TLS are verified by their own names
--- http_config
    aws_region us-east-1;
    lambda_endpoint https://$LAMBDA_HTTPS;
    lambda_ssl_trusted_certificate $CA;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass https://hello.lambda-url.eu-west-1.on.aws; }
    location /other { lambda_pass https://hello.lambda-url.us-west-2.on.aws; }
--- request
["GET /", "GET /other"]
--- error_code: [200, 502]
--- response_body_like: ["^hello$", "is unreachable"]
--- error_log
upstream SSL certificate does not match "hello.lambda-url.us-west-2.on.aws"

=== a function URL takes no parameters of the API
--- config
    location / { lambda_pass https://hello.lambda-url.eu-west-1.on.aws stream; }
--- must_die
--- error_log
"stream" cannot be used with function URL

=== a response that breaks before its first byte leaves nothing behind
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- control
PUT /functions/urlbroken {"raw_http_base64": "SFRUUC8xLjEgMjAwIE9LDQpDb250ZW50LUVuY29kaW5nOiBnemlwDQpTZXQtQ29va2llOiBhPTENClRyYW5zZmVyLUVuY29kaW5nOiBjaHVua2VkDQoNCnp6"}
--- config
    location / { lambda_pass https://urlbroken.lambda-url.us-east-1.on.aws; }
--- request: GET /
--- error_code: 502
--- response_headers
Content-Type: application/json; charset=utf-8
!Content-Encoding
!Set-Cookie
--- response_json
/message = "An invalid response was received from the upstream function"

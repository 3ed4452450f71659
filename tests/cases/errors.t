# Errors that nginx makes itself, in locations where policy_errors or a policy is in force.

=== nginx's own errors have one shape
--- server_config
    policy_errors json;
--- config
    location /forbidden { deny all; }
    location /small { client_max_body_size 1; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /bad { proxy_pass http://127.0.0.1:$UPSTREAM_PORT/close; }
    location /bare { return 404; }
    location /teapot { return 418; }
    location /busy { return 503; }
    location / { }
--- request
["GET /none", "GET /forbidden", "POST /small\nlong", "GET /bad", "GET /bare", "PUT /index.html", "GET /busy", "GET /teapot"]
--- error_code: [404, 403, 413, 502, 404, 405, 503, 418]
--- response_headers
Content-Type: application/json; charset=utf-8
--- response_json
["/message = \"Not found\"\n/request_id ~ ^[0-9a-f]{32}$", "/message = \"Forbidden\"", "/message = \"Request body is too large\"", "/message = \"Bad gateway\"", "/message = \"Not found\"", "/message = \"Method not allowed\"", "/message = \"Service unavailable\"", "/message = \"Request failed\""]

=== problem details
--- config
    location / { policy_errors problem; deny all; }
--- request: GET /
--- error_code: 403
--- response_headers
Content-Type: application/problem+json
--- response_json
/type = "about:blank"
/title = "Forbidden"
/status = 403
/detail = "Forbidden"
/request_id ~ ^[0-9a-f]{32}$
/errors absent

=== the id is the one that nginx logs and passes on
--- config
    location / { policy_errors json; add_header X-Id $request_id always; deny all; }
--- request: GET /
--- error_code: 403
--- raw_response_headers_like: X-Id: [0-9a-f]{32}
--- response_json: /request_id ~ ^[0-9a-f]{32}$

=== HEAD has the header of GET
--- config
    location / { policy_errors json; }
--- request
["GET /none", "HEAD /none"]
--- error_code: 404
--- response_headers
Content-Length: 72
Content-Type: application/json; charset=utf-8
--- response_body_like
["^.{71}\n$", "^$"]

=== an error page takes the place of the body
--- user_files
>>> 404.html
mine
--- config
    location / { policy_errors json; error_page 404 /404.html; error_page 403 =200 @named; }
    location /deny { policy_errors json; error_page 403 =200 @named; deny all; }
    location @named { return 200 "named\n"; }
--- request
["GET /none", "GET /deny"]
--- error_code: [404, 200]
--- response_body: ["mine\n", "named\n"]

=== an error page that is missing gives the error its own body
--- config
    location / { policy_errors json; error_page 403 /missing.html; }
    location /deny { policy_errors json; error_page 403 /missing.html; deny all; }
--- request: GET /deny
--- error_code: 404
--- response_json: /message = "Not found"

=== bodies of upstreams and of return stay as they are
--- server_config
    policy_errors json;
--- config
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /return { return 404 "mine\n"; }
    location /intercepted/ {
        proxy_intercept_errors on;
        error_page 404 /page;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT/;
    }
    location /page { return 200 "page\n"; }
--- request
["GET /reply?status=404&body=theirs", "GET /return", "GET /intercepted/reply?status=404&body=theirs", "GET /reply?status=404"]
--- error_code: 404
--- response_body: ["theirs", "mine\n", "page\n", ""]

=== without the directive errors are nginx's
--- config
    location / { }
    location /cors { cors; }
    location /json { response_json remove=a; }
--- request
["GET /none", "GET /cors", "GET /json"]
--- error_code: 404
--- response_headers: Content-Type: text/html
--- response_body_like: ^<html>

=== malformed requests have the server's shape
--- server_config
    policy_errors problem;
--- config
    location / { policy_errors json; }
--- raw_request json: "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
--- error_code: 400
--- response_headers: Content-Type: application/problem+json
--- response_json: /title = "Bad request"

=== redirects are no errors
--- config
    location / { policy_errors json; return 302 /x; }
--- request: GET /
--- error_code: 302
--- response_headers: Content-Type: text/html

=== a connection is kept after an error
--- config
    location / { policy_errors json; deny all; }
    location /n { return 200 "$connection_requests"; }
--- pipelined_requests
["GET /", "HEAD /", "GET /n"]
--- error_code: [403, 403, 200]
--- response_body_like
["Forbidden", "^$", "^3$"]

=== a refusal says who refuses and why, and has the headers of cors
--- http_config
    consumers partners { consumer ann key=k1; }
--- server_config
    key_auth partners;
    cors origins=https://a.example;
    response_json remove=message;
--- config
    location / { return 200; }
    location /key { empty_gif; }
    location /problem { policy_errors problem; empty_gif; }
    location /page { error_page 401 =200 @page; empty_gif; }
    location @page { return 200 "page\n"; }
--- request
["GET /key", "GET /problem", "HEAD /key", "GET /page", "OPTIONS /key"]
--- more_headers
["Origin: https://a.example", "Origin: https://a.example", "Origin: https://a.example", "Origin: https://a.example", "Origin: https://a.example\nAccess-Control-Request-Method: PUT"]
--- error_code: [401, 401, 401, 200, 204]
--- response_headers
["WWW-Authenticate: Key\nAccess-Control-Allow-Origin: https://a.example\nVary: Origin", "Content-Type: application/problem+json\nAccess-Control-Allow-Origin: https://a.example", "Access-Control-Allow-Origin: https://a.example\nContent-Type: application/json; charset=utf-8", "Access-Control-Allow-Origin: https://a.example", "Access-Control-Allow-Origin: https://a.example\n!WWW-Authenticate"]
--- response_body_like
["\"message\":\"No API key found in request\"", "\"type\":\"urn:apigate:key_auth:no_key\",\"title\":\"Unauthorized\",\"status\":401", "^$", "^page\n$", "^$"]

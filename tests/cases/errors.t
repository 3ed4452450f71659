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
--- response_json: /title = "Bad Request"

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

=== what refuses a request leads nobody into a location that would refuse it as well
--- http_config
    consumers c { consumer bob key=SECRET groups=a; }
    consumers d { consumer eve key=OTHER groups=b; }
    rate_limit_zone z:64k;
--- config
    error_page 400 401 403 405 429 = @kept;
    location /method { key_auth c; method GET { } method_not_allowed; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /path { key_auth c; path_ambiguous refuse; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /limit { rate_limit 1r/y zone=z by=service; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /parameter { validate_param query x required; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /key { key_auth d; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /same { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /group { key_auth d anonymous=eve; acl deny=b; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location @kept { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["DELETE /method", "GET /path/%2F", "GET /limit", "GET /limit", "GET /parameter", "GET /key", "GET /same", "GET /group", "GET /parameter", "GET /limit"]
--- more_headers
[null, null, "X-Api-Key: SECRET", null, null, null, "X-Api-Key: WRONG", null, "X-Api-Key: SECRET", "X-Api-Key: SECRET"]
--- error_code: [401, 401, 200, 401, 401, 401, 401, 401, 200, 200]
--- response_json
["/message = \"No API key found in request\"", null, null, null, null, null, "/message = \"No API key found in request\"", null, "/header/x-consumer-username = \"bob\"", "/header/x-consumer-username = \"bob\""]
--- response_headers
["WWW-Authenticate: Key", "WWW-Authenticate: Key", null, "WWW-Authenticate: Key", null, "WWW-Authenticate: Key", "WWW-Authenticate: Key", null, null, null]

=== a location of an error page has its own limits and rules
--- http_config
    consumers c { consumer bob key=SECRET; }
    rate_limit_zone z:64k;
--- config
    location /a { key_auth c; error_page 401 = @guests; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location @guests { rate_limit 1r/y zone=z by=service; validate_param header x-guest required; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /a", "GET /a", "GET /a"]
--- more_headers
["X-Guest: 1", "X-Guest: 1", "X-Api-Key: SECRET"]
--- error_code: [200, 429, 200]

=== an error page below the level of all policies tells of each refusal and costs nothing
--- user_files
>>> page.html
sorry
--- http_config
    consumers c { consumer bob key=SECRET groups=a; consumer eve key=OTHER; }
    rate_limit_zone z:64k;
--- server_config
    key_auth c;
    acl allow=a;
    rate_limit 1r/y zone=z by=service;
    validate_param query x required;
    error_page 400 401 403 429 /page.html;
--- config
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location = /page.html { root html; }
--- request
["GET /?x=1", "GET /?x=1", "GET /?x=1", "GET /?x=1", "GET /", "GET /page.html?x=1"]
--- more_headers
["X-Api-Key: WRONG", "X-Api-Key: OTHER", "X-Api-Key: SECRET", "X-Api-Key: SECRET", "X-Api-Key: SECRET", null]
--- error_code: [401, 403, 200, 429, 429, 401]
--- response_body_like
["^sorry$", "^sorry$", "x-consumer-username", "^sorry$", "^sorry$", "^sorry$"]

=== what refuses a subrequest does not refuse the request that made it, nor open its way
--- http_config
    consumers c { consumer bob key=SECRET; }
    log_format seen "$uri $policy_decision";
--- config
    access_log logs/access.log seen;
    location /a { auth_request /ask; key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /m { mirror /refused; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location = /ask { method_not_allowed; method POST { return 204; } error_page 405 =200 @ok; }
    location = /refused { method_not_allowed; method POST { return 204; } }
    location @ok { return 204; }
--- request
["GET /a", "GET /a", "GET /m"]
--- more_headers
[null, "X-Api-Key: SECRET", null]
--- error_code: [401, 200, 200]
--- access_log: /a allow
--- no_access_log: /m deny

=== what an error page answers stays as it is, for GET and for HEAD
--- server_config
    policy_errors json;
--- config
    location /html { error_page 404 /fb; return 404; }
    location /empty { error_page 404 /none; return 404; }
    location /loose { error_page 404 /unbuffered; return 404; }
    location = /fb { proxy_pass "http://127.0.0.1:$UPSTREAM_PORT/reply?status=200&header=Content-Type:text/html&body=<html>"; }
    location = /none { return 200 ""; }
    location = /unbuffered {
        proxy_buffering off;
        proxy_pass "http://127.0.0.1:$UPSTREAM_PORT/reply?status=200&header=Content-Type:text/html&body=<html>%0d%0a<head><title>";
    }
--- request
["GET /html", "HEAD /html", "GET /empty", "GET /loose"]
--- error_code: 404
--- response_headers
["Content-Type: text/html\nContent-Length: 6", "Content-Type: text/html\nContent-Length: 6", "Content-Length: 0", "Content-Type: text/html"]
--- response_body
["<html>", "", "", "<html>\r\n<head><title>"]

=== headers of a refusal do not stay on what an error page makes of it
--- http_config
    rate_limit_zone z:64k;
--- config
    location /t { rate_limit 1r/y zone=z by=service; error_page 429 =200 @other; empty_gif; }
    location /s { rate_limit 1r/y zone=z by=service; error_page 429 @kept; empty_gif; }
    location @other { return 200 "other\n"; }
    location @kept { return 429 "kept\n"; }
--- request
["GET /t", "GET /t", "GET /s", "GET /s"]
--- error_code: [200, 200, 200, 429]
--- response_headers_like
[null, null, null, "Retry-After: \\d+"]
--- response_headers
[null, "!Retry-After", null, null]

=== policy_mode alone leaves errors as they are
--- config
    location / { policy_mode observe; return 404; }
--- request: GET /
--- error_code: 404
--- response_body_like: <html>

=== a request that passes was allowed, and its route has a name
--- http_config
    log_format seen "$uri $policy_decision $route";
--- config
    access_log logs/access.log seen;
    location /path { path_ambiguous refuse; return 200; }
    location /method { method GET { return 200; } method_not_allowed; }
    location /plain { return 200; }
    location /v1/ { route "/v1/users/{id}"; return 200; }
    location /v2/ { route "/v2/users/{id}" name=users; return 200; }
--- request
["GET /path", "GET /method", "GET /plain", "GET /v1/users/1", "GET /v2/users/1"]
--- access_log
/path allow /path
/method allow /method
/plain - /plain
/v1/users/1 allow /v1/users/{id}
/v2/users/1 allow users

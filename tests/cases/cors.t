# cors: preflights, and headers on every response of whatever making.

=== a preflight is answered before anything else of the location
--- config
    location / {
        cors origins=https://a.example methods=GET,PUT headers=X-Key,Content-Type max_age=600 credentials;
        deny all;
        return 500;
    }
--- request: OPTIONS /x
--- more_headers
Origin: https://a.example
Access-Control-Request-Method: PUT
Access-Control-Request-Headers: x-other
--- error_code: 204
--- response_headers
Access-Control-Allow-Origin: https://a.example
Access-Control-Allow-Methods: GET,PUT
Access-Control-Allow-Headers: X-Key,Content-Type
Access-Control-Max-Age: 600
Access-Control-Allow-Credentials: true
Vary: Origin
!Content-Length
!Content-Type
!Transfer-Encoding
--- response_body:

=== without parameters every origin may read, and headers are allowed as asked
--- config
    location / { cors; return 200 "ok\n"; }
--- request
["OPTIONS /", "GET /", "GET /"]
--- more_headers
["Origin: https://a.example\nAccess-Control-Request-Method: PUT\nAccess-Control-Request-Headers: x-a, x-b", "Origin: https://a.example", null]
--- error_code: [204, 200, 200]
--- response_headers
["Access-Control-Allow-Origin: *\nAccess-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE\nAccess-Control-Allow-Headers: x-a, x-b\n!Access-Control-Max-Age\n!Vary", "Access-Control-Allow-Origin: *\n!Access-Control-Allow-Methods\n!Vary", "Access-Control-Allow-Origin: *"]

=== a foreign origin is told nothing
--- config
    location / { cors origins=https://a.example credentials expose=X-E; return 200 "ok\n"; }
--- request
["OPTIONS /", "GET /", "GET /"]
--- more_headers
["Origin: https://b.example\nAccess-Control-Request-Method: PUT", "Origin: https://b.example", null]
--- error_code: [204, 200, 200]
--- raw_response_headers_unlike: Access-Control
--- response_headers: Vary: Origin

=== origins are compared as a whole, hosts and patterns as they are written
--- config
    location / {
        cors origins=https://a.example,host.example "origins=~https://[a-z]+\.dev\.example(:\d{2,5})?";
        return 200;
    }
--- request
["GET /", "GET /", "GET /", "GET /", "GET /", "GET /"]
--- more_headers
["Origin: https://a.example:443", "Origin: https://a.example.evil", "Origin: http://host.example:81", "Origin: https://x.dev.example:3000", "Origin: https://x.dev.example.evil", "Origin: null"]
--- response_headers
["Access-Control-Allow-Origin: https://a.example", "!Access-Control-Allow-Origin", "Access-Control-Allow-Origin: http://host.example:81", "Access-Control-Allow-Origin: https://x.dev.example:3000", "!Access-Control-Allow-Origin", "!Access-Control-Allow-Origin"]

=== what is no preflight reaches the handler
--- config
    location / { cors; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["OPTIONS /a", "OPTIONS /b", "PUT /c"]
--- more_headers
["Origin: https://a.example", "Access-Control-Request-Method: PUT", "Origin: https://a.example\nAccess-Control-Request-Method: PUT"]
--- response_json
["/method = \"OPTIONS\"", "/method = \"OPTIONS\"", "/method = \"PUT\""]
--- response_headers: Access-Control-Allow-Origin: *

=== with continue the upstream answers the preflight, the origin stays ours
--- config
    location / {
        cors origins=https://a.example continue;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request
["OPTIONS /reply?status=200&header=Access-Control-Allow-Origin:*&header=Access-Control-Allow-Methods:PUT", "OPTIONS /reply?status=200&header=Access-Control-Allow-Origin:*"]
--- more_headers
["Origin: https://a.example\nAccess-Control-Request-Method: PUT", "Origin: https://b.example\nAccess-Control-Request-Method: PUT"]
--- response_headers
["Access-Control-Allow-Origin: https://a.example\nAccess-Control-Allow-Methods: PUT\nVary: Origin", "!Access-Control-Allow-Origin\nVary: Origin"]

=== private networks are opened only where the directive says so
--- config
    location /open { cors private_network; return 200; }
    location / { cors; return 200; }
--- request
["OPTIONS /open", "OPTIONS /"]
--- more_headers
Origin: https://a.example
Access-Control-Request-Method: GET
Access-Control-Request-Private-Network: true
--- error_code: 204
--- response_headers
["Access-Control-Allow-Private-Network: true", "!Access-Control-Allow-Private-Network"]

=== an upstream's own headers are replaced, its Vary is kept
--- config
    location / {
        cors origins=https://a.example expose=X-Ours;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request
["GET /reply?status=200&header=Access-Control-Allow-Origin:*&header=access-control-allow-credentials:true&header=Access-Control-Expose-Headers:X-Theirs&header=Vary:Accept", "GET /reply?status=200&header=Vary:accept,%20ORIGIN", "GET /reply?status=200&header=Vary:*", "GET /reply?status=200&header=Vary:A&header=Vary:B", "GET /reply?status=200&header=Access-Control-Allow-Origin:https://b.example&header=Access-Control-Max-Age:5"]
--- more_headers
["Origin: https://a.example", "Origin: https://a.example", "Origin: https://a.example", "Origin: https://a.example", "Origin: https://b.example"]
--- response_headers
["Access-Control-Allow-Origin: https://a.example\n!Access-Control-Allow-Credentials\nAccess-Control-Expose-Headers: X-Ours\nVary: Accept, Origin", "Vary: accept, ORIGIN", "Vary: *", "Vary: A, B, Origin", "!Access-Control-Allow-Origin\n!Access-Control-Max-Age\n!Access-Control-Expose-Headers\nVary: Origin"]

=== headers of add_header stood beside ours, and browsers refuse two origins
--- config
    location / {
        cors origins=https://a.example;
        add_header Access-Control-Allow-Origin "*" always;
        add_header Vary Accept always;
        return 200;
    }
    location /missing { cors; add_header Access-Control-Allow-Origin https://b.example always; }
--- request
["GET /", "GET /", "GET /missing", "OPTIONS /", "OPTIONS /"]
--- more_headers
["Origin: https://a.example", "Origin: https://b.example", "Origin: https://a.example", "Origin: https://a.example\nAccess-Control-Request-Method: PUT", "Origin: https://b.example\nAccess-Control-Request-Method: PUT"]
--- error_code: [200, 200, 404, 204, 204]
--- response_headers
["Access-Control-Allow-Origin: https://a.example\nVary: Accept, Origin", "!Access-Control-Allow-Origin\nVary: Accept, Origin", "Access-Control-Allow-Origin: *", "Access-Control-Allow-Origin: https://a.example\nVary: Origin, Accept", "!Access-Control-Allow-Origin\nVary: Origin, Accept"]

=== nginx's own answers carry the headers once
--- http_config
    limit_req_zone $uri zone=one:32k rate=1r/m;
--- user_files
>>> dir/index.html
index
>>> static.txt
static
--- server_config
    cors origins=https://a.example;
--- config
    location /return { return 200 "ok\n"; }
    location /moved { return 301 /elsewhere; }
    location /forbidden { deny all; }
    location /small { client_max_body_size 1; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /limited { limit_req zone=one; limit_req_status 429; empty_gif; }
    location /broken { proxy_pass http://127.0.0.1:$UPSTREAM_PORT/close; }
--- request
["GET /return", "GET /moved", "GET /dir", "GET /missing", "GET /forbidden", "POST /small\nlong", "GET /limited", "GET /limited", "GET /broken", "GET /static.txt", "HEAD /missing", "PUT /static.txt"]
--- more_headers: Origin: https://a.example
--- error_code: [200, 301, 301, 404, 403, 413, 200, 429, 502, 200, 404, 405]
--- response_headers
Access-Control-Allow-Origin: https://a.example
Vary: Origin

=== answers that nginx makes before the location runs carry the headers
--- config
    location /small { cors; client_max_body_size 1; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /folder/ { cors; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /small\nlong", "GET /folder"]
--- error_code: [413, 301]
--- response_headers
Access-Control-Allow-Origin: *

=== a gateway timeout carries the headers
--- http_config
    server {
        listen 127.0.0.1:$SECOND_PORT;
        location / { resolver 127.0.0.1:9 ipv6=off; resolver_timeout 5s; set $name "wait.invalid"; proxy_pass http://$name; }
    }
--- config
    location / {
        cors origins=https://a.example;
        proxy_read_timeout 100ms;
        proxy_pass http://127.0.0.1:$SECOND_PORT;
    }
--- request: GET /
--- more_headers: Origin: https://a.example
--- error_code: 504
--- response_headers
Access-Control-Allow-Origin: https://a.example
Vary: Origin

=== malformed requests carry the server's headers
--- server_config
    cors origins=https://a.example expose=X-E;
    large_client_header_buffers 2 1k;
--- config
    location / { cors off; return 200; }
--- raw_request json: "GET / HTTP/1.1\r\nOrigin: https://a.example\r\nHost: a\r\nHost: b\r\n\r\n"
--- error_code: 400
--- response_headers
Access-Control-Allow-Origin: https://a.example
Access-Control-Expose-Headers: X-E

=== too long requests carry the server's headers
--- server_config
    cors;
    large_client_header_buffers 2 512;
    client_header_buffer_size 512;
--- config
    location / { return 200; }
--- request: GET /012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789
--- error_code: 414
--- response_headers
Access-Control-Allow-Origin: *

=== error pages carry the headers of the location that was asked for
--- user_files
>>> 50x.html
sorry
--- config
    location /api {
        cors origins=https://a.example;
        error_page 502 /50x.html;
        error_page 403 = @fallback;
        error_page 404 /elsewhere;
        location /api/deny { deny all; }
        location /api/none { root /nonexistent; }
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        rewrite ^/api/x /close break;
    }
    location = /50x.html { }
    location @fallback { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /elsewhere { cors origins=* expose=X-E; return 200 "elsewhere\n"; }
--- request
["GET /api/x", "GET /api/deny", "GET /api/none", "GET /50x.html"]
--- more_headers: Origin: https://a.example
--- error_code: [502, 200, 404, 200]
--- response_headers
["Access-Control-Allow-Origin: https://a.example\nVary: Origin", "Access-Control-Allow-Origin: https://a.example\nVary: Origin", "Access-Control-Allow-Origin: *\nAccess-Control-Expose-Headers: X-E\n!Vary", "!Access-Control-Allow-Origin\n!Vary"]

=== internal redirects and rewrites keep the headers
--- user_files
>>> index.html
index
>>> there.txt
there
--- config
    location = / { cors; index index.html; }
    location /rewritten { cors; rewrite ^ /there.txt last; }
    location /tried { cors; try_files /none /there.txt; }
    location /accel { cors; proxy_pass http://127.0.0.1:$UPSTREAM_PORT/reply?status=200&header=X-Accel-Redirect:/there.txt; }
    location / { }
--- request
["GET /", "GET /rewritten", "GET /tried", "GET /accel"]
--- response_headers
Access-Control-Allow-Origin: *
--- response_body
["index\n", "there\n", "there\n", "there\n"]

=== a preflight in a location that is reached by a redirect is answered there
--- config
    location / { try_files /none @api; }
    location @api { cors; return 500; }
--- request: OPTIONS /
--- more_headers
Origin: https://a.example
Access-Control-Request-Method: PUT
--- error_code: 204
--- response_headers: Access-Control-Allow-Origin: *

=== a preflight's body is thrown away and the connection stays
--- config
    location / { cors; return 200 "$connection_requests\n"; }
--- pipelined_requests
["OPTIONS /\n0123456789", "GET /"]
--- more_headers
["Origin: https://a.example\nAccess-Control-Request-Method: PUT", null]
--- error_code: [204, 200]
--- response_body: ["", "2\n"]

=== off below, and nothing where nothing is said
--- server_config
    cors;
--- config
    location /off { cors off; location /off/below { return 200; } return 200; }
    location / { return 200; }
--- request
["GET /off", "GET /off/below", "GET /", "OPTIONS /off"]
--- more_headers
[null, null, null, "Origin: https://a.example\nAccess-Control-Request-Method: PUT"]
--- response_headers
["!Access-Control-Allow-Origin", "!Access-Control-Allow-Origin", "Access-Control-Allow-Origin: *", "!Access-Control-Allow-Origin"]

=== HTTP/2
--- http2
--- config
    location / { cors origins=https://a.example; return 404; }
--- request
["OPTIONS /", "GET /"]
--- more_headers
["Origin: https://a.example\nAccess-Control-Request-Method: PUT", "Origin: https://a.example"]
--- error_code: [204, 404]
--- response_headers
Access-Control-Allow-Origin: https://a.example
Vary: Origin

=== subrequests are not answered for others
--- config
    location / { auth_request /auth; cors; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location = /auth { internal; cors; return 204; }
--- request: GET /
--- response_headers: Access-Control-Allow-Origin: *

=== every origin and credentials exclude each other
--- config
    location / { cors origins=* credentials; }
--- must_die
--- error_log
qr/\[emerg\].* "credentials" requires "origins" other than "\*" in .*nginx.conf:\d+/

=== a method in lower case would never be asked for
--- config
    location / { cors methods=GET,put; return 200; }
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "methods=GET,put" in .*nginx.conf:\d+/

=== an origin that is none is named
--- config
    location / { cors origins=https://a.example/path; }
--- must_die
--- error_log
qr/\[emerg\].* invalid origin "https://a.example/path" in parameter "origins=https://a.example/path" in .*nginx.conf:\d+/

=== with method blocks preflights are answered and OPTIONS is allowed
--- config
    location / {
        cors;
        method GET { return 200 "get\n"; }
        method POST { return 201; }
        method_not_allowed;
    }
--- request
["OPTIONS /", "DELETE /", "POST /"]
--- more_headers
["Origin: https://a.example\nAccess-Control-Request-Method: POST", "Origin: https://a.example", "Origin: https://a.example"]
--- error_code: [204, 405, 201]
--- response_headers
["Access-Control-Allow-Origin: *\n!Allow", "Access-Control-Allow-Origin: *\nAllow: GET, HEAD, POST, OPTIONS", "Access-Control-Allow-Origin: *"]

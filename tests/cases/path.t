# `path_ambiguous`: paths that two programs may read in two ways.

=== ambiguous paths are refused
--- config
    path_ambiguous refuse;
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /a%2fb", "GET /a%5Cb", "GET /public/..;/admin", "GET /public/%2e%2e/admin", "GET /public/../admin", "GET /a%252e%252e/b", "GET /a%252Fb", "GET /a%c0%afb", "GET /;/admin", "GET /a%0ab", "GET /a#/../b", "POST /a%2fb\nbody"]
--- error_code: 400
--- response_headers
Content-Type: application/json; charset=utf-8
--- response_body_like: ^\{"message":"Request path is ambiguous","request_id":"[0-9a-f]{32}"\}$
--- error_log: path: refused, status=400, reason=ambiguous_path

=== ordinary paths are not, and go on byte for byte
--- config
    path_ambiguous refuse;
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /a%20b/%C3%A9?x=%2f..;%00", "GET /.well-known/a.b", "GET //a//b", "GET /a;v=1/b", "GET /50%25off"]
--- response_json
["/uri = \"/a%20b/%C3%A9?x=%2f..;%00\"", "/uri = \"/.well-known/a.b\"", "/uri = \"//a//b\"", "/uri = \"/a;v=1/b\"", "/uri = \"/50%25off\""]

=== nothing is refused unasked, and off takes it back
--- config
    location /silent { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /on { path_ambiguous refuse; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; location /on/off { path_ambiguous off; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; } }
--- request
["GET /silent/a%2fb", "GET /on/a%2fb", "GET /on/off/a%2fb", "GET /on/in/a%2fb"]
--- error_code: [200, 400, 200, 400]

=== nginx refuses an encoded NUL by itself
--- config
    location / { return 200; }
--- request: GET /a%00
--- error_code: 400

=== a fallback is not reached by an ambiguous path
--- config
    location /files { try_files /none /guarded; }
    location /guarded { path_ambiguous refuse; return 200; }
--- request
["GET /files/a%2fb", "GET /files/a"]
--- error_code: [400, 200]

=== an error_page takes the place of the refusal's body
--- config
    path_ambiguous refuse;
    error_page 400 /mine;
    location / { return 200; }
    location = /mine { return 400 "mine\n"; }
--- request: GET /a%2fb
--- error_code: 400
--- response_body
mine

=== observe refuses nothing and shows what it would have refused
--- http_config
    log_format decision "$policy_decision $policy_name $policy_reason";
--- config
    access_log logs/access.log decision;
    location / { path_ambiguous refuse; policy_mode observe; return 200; }
--- request: GET /a%2fb
--- access_log: would_deny path ambiguous_path

=== a wrong word is named
--- config
    location / { path_ambiguous on; return 200; }
--- must_die
--- error_log
qr/\[emerg\] .*invalid value "on" in "path_ambiguous" directive in .*nginx.conf:\d+/

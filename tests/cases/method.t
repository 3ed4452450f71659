# `method` blocks: what is inside holds for these methods only, all else is the location's.

=== proxy_pass of a block, with and without a URI
--- config
    location /p/ {
        method GET { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
        method POST { proxy_pass http://127.0.0.1:$UPSTREAM_PORT/x/; }
        method PUT { set $to 127.0.0.1:$UPSTREAM_PORT; proxy_pass http://$to/y/$request_method?z=1; }
        return 200 "location\n";
    }
--- request
["GET /p/a%20b?q=1", "POST /p/a%20b?q=1", "PUT /p/a%20b?q=1", "DELETE /p/a%20b?q=1"]
--- response_body_like
["\"uri\":\"/p/a%20b\\?q=1\"", "\"uri\":\"/x/a%20b\\?q=1\"", "\"uri\":\"/y/PUT\\?z=1\"", "^location$"]

=== a block in a location of a regular expression
--- config
    location ~ ^/p/ {
        method GET { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
        return 200 "location\n";
    }
--- request
["GET /p/a", "POST /p/a"]
--- response_body_like
["\"uri\":\"/p/a\"", "^location$"]

=== a URI may not stand where it may not stand in the location
--- config
    location ~ ^/p/ { method GET { proxy_pass http://127.0.0.1:$UPSTREAM_PORT/x; } }
--- must_die
--- error_log
qr/"proxy_pass" cannot have URI part in location given by regular expression.* in .*nginx.conf:\d+/

=== a block replaces the location's proxy_pass, or inherits it
--- config
    location /p/ {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT/base/;
        method GET { proxy_pass http://127.0.0.1:$UPSTREAM_PORT/get/; }
        method POST { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
        method PUT { add_header X-Block put; }
    }
--- request
["GET /p/a", "POST /p/a", "PUT /p/a", "DELETE /p/a"]
--- response_body_like
["\"uri\":\"/get/a\"", "\"uri\":\"/p/a\"", "\"uri\":\"/base/a\"", "\"uri\":\"/base/a\""]
--- response_headers
[null, null, "X-Block: put", "!X-Block"]

=== what a block writes replaces the location's, what it does not write is the location's
--- config
    location /p/ {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT/two/;
        proxy_set_header A location;
        add_header X-L location;
        method GET { add_header X-M get; }
        method POST { proxy_set_header B post; }
    }
--- request
["GET /p/a", "POST /p/a", "DELETE /p/a"]
--- more_headers
["B: client", "A: client", "B: client"]
--- response_headers
["X-M: get\n!X-L", "X-L: location\n!X-M", "X-L: location"]
--- response_json
["/header/a = \"location\"\n/header/b = \"client\"", "/header/a = \"client\"\n/header/b = \"post\"", "/header/a = \"location\""]

=== one address for all, another handler for some
--- config
    location /g { empty_gif; method POST { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; } }
--- request
["GET /g", "POST /g"]
--- response_headers
["Content-Type: image/gif", "Content-Type: application/json"]

=== set, rewrite, if and return inside a block
--- config
    location /r {
        set $v location;
        method GET { return 204; }
        method POST {
            set $v post;
            add_header X-V $v;
            rewrite ^/r/b(.*) /broken$1 break;
            rewrite ^/r/l(.*) /last$1 last;
            if ($arg_x = 1) { add_header X-If yes; return 201 "if $v\n"; }
            if ($arg_x = 2) { set $w 2; add_header X-If two; }
            proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        }
        return 200 "location v=$v\n";
    }
    location /last { return 200 "last $uri v=$v\n"; }
--- request
["GET /r", "DELETE /r", "POST /r", "POST /r/b/x", "POST /r/l/x", "POST /r?x=1", "POST /r?x=2"]
--- error_code: [204, 200, 200, 200, 200, 201, 200]
--- response_body_like
["^$", "^location v=location$", "\"uri\":\"/r\"", "\"uri\":\"/broken/x\"", "^last /last/x v=post$", "^if post$", "\"uri\":\"/r\\?x=2\""]
--- response_headers
[null, null, "X-V: post", "X-V: post", "!X-V", "X-If: yes\n!X-V", "X-If: two\n!X-V"]

=== if beside a block belongs to the methods without one
--- config
    location /r {
        if ($arg_y) { return 418; }
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method POST { add_header X-M post; }
    }
--- request
["GET /r?y=1", "GET /r", "POST /r?y=1"]
--- error_code: [418, 200, 200]
--- response_headers
["!X-M", "!X-M", "X-M: post"]

=== variables set at the server are seen inside
--- config
    set $v server;
    location /r { method GET { return 200 "$v\n"; } }
--- request: GET /r
--- response_body
server

=== access rules of a block hold for its methods
--- conf_files
>>> users
u:{PLAIN}p
--- config
    proxy_set_header X-Up yes;
    location /basic {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method POST { auth_basic r; auth_basic_user_file users; }
    }
    location /deny { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; method POST { deny all; } }
    location /allow { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; deny all; method GET { allow all; } }
    location /any {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method POST { satisfy any; allow 127.0.0.1; deny all; auth_basic r; auth_basic_user_file users; }
        method PUT { satisfy any; deny all; auth_basic r; auth_basic_user_file users; }
    }
--- request
["GET /basic", "POST /basic", "POST /basic", "GET /deny", "POST /deny", "GET /allow", "POST /allow", "POST /any", "PUT /any", "PUT /any"]
--- more_headers
[null, null, "Authorization: Basic dTpw", null, null, null, null, null, null, "Authorization: Basic dTpw"]
--- error_code: [200, 401, 200, 200, 403, 200, 403, 200, 401, 200]

=== auth_request of a block
--- config
    location /a {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method POST { auth_request /refuse; }
        method PUT { auth_request /pass; }
    }
    location = /refuse { return 401; }
    location = /pass { return 200; }
--- request
["GET /a", "POST /a", "PUT /a"]
--- error_code: [200, 401, 200]

=== subrequests come with a method of their own
auth_request asks with GET, whatever the client's method is; mirror keeps it.
--- http_config
    log_format copies "copy $request_method $uri";
--- config
    location /a { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; auth_request /check; }
    location = /check { method GET { return 200; } method POST { return 403; } return 403; }
    location /m { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; mirror /copy; }
    location = /copy {
        internal;
        log_subrequest on;
        access_log off;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method POST { access_log logs/access.log copies; }
    }
--- request
["GET /a", "POST /a", "POST /m\nx", "PUT /m\nx"]
--- response_body_like: "uri":"/[am]"
--- access_log: copy POST /copy
--- no_access_log: copy PUT /copy

=== limit_req of a block
--- http_config
    limit_req_zone $binary_remote_addr zone=lr:1m rate=1r/m;
--- config
    location /l {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method POST { limit_req zone=lr; limit_req_status 429; }
    }
--- request
["POST /l", "POST /l", "GET /l"]
--- error_code: [200, 429, 200]

=== error_page of a block
--- config
    location /e { error_page 404 = @location; method GET { error_page 404 = @block; } }
    location @location { return 200 "location\n"; }
    location @block { return 200 "block $request_method\n"; }
--- request
["GET /e/none", "PUT /e/none", "HEAD /e/none"]
--- error_code: [200, 405, 200]
--- response_body_like
["^block GET$", "405 Not Allowed", "^$"]

=== body limits of blocks, announced and chunked
0 is no limit; methods without a block keep the location's.
--- config
    location /b {
        client_max_body_size 10;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method POST { client_max_body_size 20; }
        method PATCH { client_max_body_size 5; }
    }
    location /none {
        client_max_body_size 10;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method DELETE { client_max_body_size 0; }
    }
--- request
[
 "POST /b\n12345678901234567890", "POST /b\n123456789012345678901", "PUT /b\n1234567890", "PUT /b\n12345678901",
 "PATCH /b\n12345", "PATCH /b\n123456",
 "POST /b\n12345678901234567890", "POST /b\n123456789012345678901", "PUT /b\n1234567890", "PUT /b\n12345678901",
 "PATCH /b\n12345", "PATCH /b\n123456",
 "DELETE /none\n1234567890123456789012345", "PUT /none\n12345678901", "PUT /none\n1234567890",
 "DELETE /none\n1234567890123456789012345", "PUT /none\n12345678901", "PUT /none\n1234567890"
]
--- more_headers
[null, null, null, null, null, null,
 "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked",
 null, null, null,
 "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]
--- error_code: [200, 413, 200, 413, 200, 413, 200, 413, 200, 413, 200, 413, 200, 413, 200, 200, 413, 200]
--- error_log: client intended to send too large body: 21 bytes

=== a limit is tested before what else the location does
--- config
    location /b { client_max_body_size 1; return 418; method POST { client_max_body_size 10; return 202; } }
--- request
["POST /b\n1234567890", "POST /b\n12345678901", "PUT /b\n1", "PUT /b\n12", "PUT /b\n12"]
--- more_headers
[null, null, null, null, "Expect: 100-continue"]
--- error_code: [202, 413, 418, 413, 413]

=== files: alias, index, root, expires, types of a block
--- user_files
>>> a/f.txt
in a
>>> b/f.txt
in b
>>> b/home.txt
home of b
--- config
    location /f/ {
        alias $TEST_NGINX_HTML_DIR/a/;
        method GET { alias $TEST_NGINX_HTML_DIR/b/; index home.txt; expires 1h; types { } default_type text/x-mine; }
    }
    location /rx { root $TEST_NGINX_HTML_DIR/none; method GET { root $TEST_NGINX_HTML_DIR; rewrite ^ /a/f.txt break; } }
    location ~ ^/ra/(.*)$ { method GET { alias $TEST_NGINX_HTML_DIR/b/$1; } }
    location /p/ { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; method GET { add_header X-M get; } }
--- request
["GET /f/f.txt", "GET /f/", "HEAD /f/f.txt", "POST /f/f.txt", "GET /rx/any", "GET /ra/f.txt", "POST /ra/none"]
--- error_code: [200, 200, 200, 405, 200, 200, 404]
--- response_body
["in b\n", "home of b\n", "", null, "in a\n", "in b\n", null]
--- response_headers
["Content-Type: text/x-mine\nCache-Control: max-age=3600", null, "Content-Type: text/x-mine\nContent-Length: 5", null, null, null, null]

=== try_files: the block's, or the location's
--- user_files
>>> a.txt
a
>>> b.txt
b
--- config
    location /own/ {
        try_files /a.txt =404;
        method GET { try_files /b.txt =404; }
        method HEAD { try_files /none @named; }
        method PUT { try_files /none /fall; }
    }
    location /inherited/ { try_files /none @named; method GET { add_header X-M get; } }
    location @named { return 200 "named $request_method\n"; }
    location /fall { return 200 "fallen $request_method\n"; }
--- request
["GET /own/x", "HEAD /own/x", "PUT /own/x", "GET /inherited/x", "POST /inherited/x"]
--- response_body
["b\n", "", "fallen PUT\n", "named GET\n", "named POST\n"]

=== internal of a block
--- config
    location /i { return 200 "open\n"; method POST { internal; return 200 "closed\n"; } }
    location /to { rewrite ^ /i last; }
--- request
["GET /i", "POST /i", "POST /to"]
--- error_code: [200, 404, 200]
--- response_body
["open\n", null, "closed\n"]

=== the switch is not undone by what the rewrite phase does later
--- config
    location /s {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method GET { if ($arg_z) { add_header X-Z z; } add_header X-M get; }
    }
--- request
["GET /s?z=1", "GET /s"]
--- response_headers
["X-Z: z\n!X-M", "!X-Z\nX-M: get"]

=== exact, nested, named locations have blocks
--- config
    location = /exact { return 200 "exact\n"; method POST { return 200 "exact post\n"; } }
    location /outer/ {
        return 200 "outer\n";
        location /outer/in/ { return 200 "in\n"; method GET { return 200 "in get\n"; } }
        location ~ \.q$ { return 200 "regex\n"; method PUT { return 200 "regex put\n"; } }
    }
    location /n { try_files /none @named; }
    location @named {
        return 200 "named\n";
        method GET { return 200 "named get\n"; }
        method POST { return 200 "named post\n"; }
    }
--- request
["GET /exact", "POST /exact", "GET /outer/in/x", "POST /outer/in/x", "PUT /outer/a.q", "GET /outer/a.q", "GET /outer/x", "GET /n", "POST /n", "PUT /n"]
--- response_body
["exact\n", "exact post\n", "in get\n", "in\n", "regex put\n", "regex\n", "outer\n", "named get\n", "named post\n", "named\n"]
--- no_error_log: do not inherit

=== nested locations do not inherit blocks, and nginx says so
--- config
    location /outer/ {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method POST { deny all; }
        location /outer/in/ { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    }
--- request
["POST /outer/x", "POST /outer/in/x"]
--- error_code: [403, 200]
--- error_log
qr/\[warn\] .*locations inside do not inherit the "method" blocks of location "\/outer\/" in .*nginx.conf:\d+/

=== after error_page the method is the redirected request's
--- config
    location /e { error_page 418 /page; error_page 419 = @named; if ($arg_n) { return 419; } return 418; }
    location /page { internal; return 200 "other $request_method\n"; method GET { return 200 "page get\n"; } }
    location @named { return 200 "named\n"; method PUT { return 200 "named put\n"; } }
--- request
["POST /e", "PUT /e?n=1", "POST /e?n=1", "GET /page"]
--- error_code: [418, 200, 200, 404]
--- response_body
["page get\n", "named put\n", "named\n", null]

=== HEAD goes with GET unless it is named
--- config
    location /h1 { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; method GET { add_header X-M get; } }
    location /h2 {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method GET { add_header X-M get; }
        method HEAD { add_header X-M head; }
    }
--- request
["GET /h1", "HEAD /h1", "POST /h1", "GET /h2", "HEAD /h2"]
--- response_headers
["X-M: get", "X-M: get", "!X-M", "X-M: get", "X-M: head"]

=== methods that nginx has no name for
--- config
    location /u {
        return 200 "other\n";
        method PURGE { return 200 "purge\n"; }
        method PROPFIND FOO-BAR { return 200 "two\n"; }
    }
--- request
["PURGE /u", "PROPFIND /u", "FOO-BAR /u", "FOO /u", "get /u"]
--- error_code: [200, 200, 200, 200, 400]
--- response_body
["purge\n", "two\n", "two\n", "other\n", null]

=== blocks over HTTP/2
--- http2
--- config
    location /h { return 200 "other\n"; method POST PUT { return 200 "$request_method\n"; } }
--- request
["POST /h", "PUT /h", "GET /h"]
--- response_body
["POST\n", "PUT\n", "other\n"]

=== methods without a block are refused, before authentication, with Allow
--- conf_files
>>> users
--- config
    location /m {
        auth_basic r;
        auth_basic_user_file users;
        method GET { auth_basic off; return 200 "get\n"; }
        method POST PUT { return 200 "post\n"; }
        method_not_allowed;
    }
    location /all { method_not_allowed off; method GET { return 200 "get\n"; } return 200 "all\n"; }
--- request
["GET /m", "HEAD /m", "PUT /m", "DELETE /m", "OPTIONS /m", "DELETE /all"]
--- error_code: [200, 200, 200, 405, 405, 200]
--- response_headers
["!Allow", null, null, "Allow: GET, HEAD, POST, PUT\nContent-Type: application/json; charset=utf-8", "Allow: GET, HEAD, POST, PUT", null]
--- response_body_like
["^get$", "^$", "^post$", "^\\{\"message\":\"Method not allowed\",\"request_id\":\"[0-9a-f]{32}\"\\}$", "Method not allowed", "^all$"]
--- error_log: method: refused, status=405, reason=method

=== a refusal of methods is inherited and taken back
--- config
    method_not_allowed;
    location /a { method POST { return 200; } return 200; }
    location /b { method POST { return 200; } method_not_allowed off; return 200; }
    location /c { return 200; }
--- request
["GET /a", "GET /b", "GET /c"]
--- error_code: [405, 200, 200]

=== observe shows what would have been refused
--- http_config
    log_format decision "$policy_decision $policy_name $policy_reason";
--- config
    access_log logs/access.log decision;
    location /m { policy_mode observe; method GET { return 200; } method_not_allowed; return 202; }
--- request: POST /m
--- error_code: 202
--- access_log: would_deny method method

=== an error_page takes the place of the refusal's body
--- config
    location /m { method GET { return 200; } method_not_allowed; error_page 405 /mine; }
    location = /mine { return 405 "mine\n"; }
--- request: POST /m
--- error_code: 405
--- response_body
mine
--- response_headers
Allow: GET, HEAD

=== policies of ours inside a block
--- config
    location /p { path_ambiguous refuse; return 200; method POST { path_ambiguous off; return 200; } }
--- request
["GET /p/..;/a", "POST /p/..;/a"]
--- error_code: [400, 200]

=== rewrites of a server still run once
A server without locations: nginx tells by its own rewrite handler's place that they have run.
--- http_config
    server { listen 127.0.0.1:$SECOND_PORT; rewrite ^/a(.*)$ /aa$1; root html; }
--- config
    location / { method GET { return 200; } }
--- port: $SECOND_PORT
--- request: GET /a/x
--- error_code: 404
--- error_log: /html/aa/x" failed
--- no_error_log: /html/aaa/x" failed

=== limit_except inside a block
--- config
    location /l { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; method POST PUT { limit_except POST { deny all; } } }
--- request
["GET /l", "POST /l", "PUT /l"]
--- error_code: [200, 200, 403]

=== limit_except beside a block is refused
--- config
    location /l {
        limit_except GET { deny all; }
        method POST { allow all; }
    }
--- must_die
--- error_log
qr/\[emerg\] .*"limit_except" is beside "method" in location "\/l" in .*nginx.conf:\d+/

=== a location inside a block is refused
--- config
    location /l { method POST { location /l/in { return 200; } } }
--- must_die
--- error_log
qr/\[emerg\] .*"location" "\/l\/in" cannot be inside a "method" block in .*nginx.conf:\d+/

=== a block inside a block is refused
--- config
    location /l { method POST { method GET { return 200; } } }
--- must_die
--- error_log
qr/\[emerg\] .*"method" cannot be inside a "method" block in .*nginx.conf:\d+/

=== a method has one block
--- config
    location /l { method POST { return 200; } method PUT POST { return 200; } }
--- must_die
--- error_log
qr/\[emerg\] .*duplicate method "POST" in .*nginx.conf:\d+/

=== method names are upper case
--- config
    location /l { method post { return 200; } }
--- must_die
--- error_log
qr/\[emerg\] .*invalid method "post" in .*nginx.conf:\d+/

=== a block stands in a location
--- config
    method POST { return 200; }
--- must_die
--- error_log
qr/\[emerg\] .*"method" directive is not allowed here in .*nginx.conf:\d+/

=== an unknown directive in a block is refused at its line
--- config
    location /l {
        method POST {
            retrun 200;
        }
    }
--- must_die
--- error_log
qr/\[emerg\] .*unknown directive "retrun" in .*nginx.conf:\d+/

=== a refusal of methods without blocks is refused
--- config
    location /l { method_not_allowed; return 200; }
--- must_die
--- error_log
qr/\[emerg\] .*"method_not_allowed" requires "method" in the same location in .*nginx.conf:\d+/

=== a refusal of methods inside a block is refused
--- config
    location /l { method GET { method_not_allowed; return 200; } }
--- must_die
--- error_log
qr/\[emerg\] .*"method_not_allowed" requires "method" in the same location in .*nginx.conf:\d+/

=== a body that is too large for a block is refused as the block refuses
--- config
    location /blk {
        client_max_body_size 5;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method POST {
            policy_errors json;
            add_header X-B b always;
            cors origins=https://a.example;
        }
        method PUT { error_page 413 =200 @blk; }
    }
    location @blk { return 200 "block's\n"; }
--- request
["POST /blk\n01234567890", "PUT /blk\n01234567890", "PATCH /blk\n01234567890", "PATCH /blk\n01234"]
--- more_headers: Origin: https://a.example
--- error_code: [413, 200, 413, 200]
--- response_headers
["X-B: b\nAccess-Control-Allow-Origin: https://a.example\nContent-Type: application/json; charset=utf-8", "!X-B", "!X-B", null]
--- response_body_like
["Request body is too large", "block's", "<html>", "01234"]

=== a block has keepalive of its own
--- config
    location /a { keepalive_timeout 0; return 200; method GET { keepalive_timeout 60s; return 200; } }
    location /b { return 200; method GET { keepalive_timeout 0; return 200; } }
--- request
["GET /a", "POST /a", "GET /b", "POST /b"]
--- more_headers: Connection: keep-alive
--- response_headers
["Connection: keep-alive", "Connection: close", "Connection: close", "Connection: keep-alive"]

=== a preflight is for the block of the method that it asks for
--- config
    location /p {
        return 200;
        method PUT { cors origins=https://a.example; return 200; }
        method DELETE { return 200; }
    }
--- request
["OPTIONS /p", "OPTIONS /p", "OPTIONS /p", "PUT /p"]
--- more_headers
["Origin: https://a.example\nAccess-Control-Request-Method: PUT", "Origin: https://a.example\nAccess-Control-Request-Method: DELETE", "Origin: https://a.example", "Origin: https://a.example"]
--- error_code: [204, 200, 200, 200]
--- response_headers
["Access-Control-Allow-Origin: https://a.example", "!Access-Control-Allow-Origin", "!Access-Control-Allow-Origin", "Access-Control-Allow-Origin: https://a.example"]

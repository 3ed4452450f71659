# The runner itself, on directives that nginx has without any module of ours.

=== a request is answered
--- config
    location /t { add_header X-A "1"; add_header X-A "2"; return 200 "hello\n"; }
--- request: GET /t
--- response_headers
X-A: 1, 2
!X-B
--- response_headers_like
Server: nginx/1\.\d+\.\d+
--- raw_response_headers_like: HTTP/1\.1 200 OK\r\n
--- raw_response_headers_unlike: X-B
--- response_body
hello
--- access_log: "GET /t HTTP/1.1" 200 6
--- no_access_log: "-" "curl

=== several requests have several answers
--- config
    location /a { return 200 "a\n"; }
    location /b { return 403; }
--- request
["GET /a", "POST /b\nbody", "GET /a"]
--- more_headers
["X-Y: z", null, null]
--- error_code: [200, 403, 200]
--- response_body_like
["^a$", "403 Forbidden", "^a$"]

=== the upstream shows what reached it
--- config
    location / {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        proxy_set_header X-Added "by nginx";
    }
--- request
POST /path%20x?q=1
{"some": "json"}
--- more_headers
Content-Type: application/json
X-Sent: by client
--- response_json
/method = "POST"
/uri = "/path%20x?q=1"
/body = "{\"some\": \"json\"}"
/header/x-added = "by nginx"
/header/x-sent ~ ^by
/header/x-gone absent
--- response_body_unlike: x-gone

=== the upstream answers as told
--- config
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /reply?status=418&header=X-Tea:green&body=short%20and%20stout", "GET /close"]
--- error_code: [418, 502]
--- response_headers
["X-Tea: green", "!X-Tea"]
--- response_body
["short and stout", null]
--- error_log
qr/upstream prematurely closed connection .* request: "GET \/close HTTP\/1.1"/

=== bodies arrive in chunks and as bytes
--- config
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request latin1
["POST /\n0123456789", "POST /\nÿ"]
--- more_headers
["Transfer-Encoding: chunked", null]
--- response_json
["/body = \"0123456789\"", "/body = \"\ufffd\"\n/header/content-length = \"1\""]

=== raw requests are sent as they are
--- config
    location / { return 200 "$http_x_a|$args\n"; }
--- raw_request
GET /?b HTTP/1.0
X-A:   spaced
--- response_body
spaced|b

=== malformed raw requests are sent as they are
--- config
    location / { return 200; }
--- raw_request json: "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
--- error_code: 400
--- error_log: client sent duplicate host header

=== pipelined requests share a connection
--- config
    location / { return 200 "$connection_requests\n"; }
--- pipelined_requests
["GET /", "HEAD /", "GET /"]
--- response_body
["1\n", "", "3\n"]

=== TLS
--- ssl
--- config
    location / { return 200 "$https $ssl_protocol\n"; }
--- request: GET /
--- response_body_like: ^on TLSv1

=== HTTP/2 without TLS
--- http2
--- config
    location / { add_header X-A b; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /version { return 200 "$server_protocol\n"; }
--- request
["GET /version", "POST /\nbody"]
--- more_headers
[null, "X-B: c"]
--- response_body_like
["^HTTP/2.0$", "body"]
--- response_headers
[null, "X-A: b"]

=== HTTP/2 with TLS
--- http2
--- ssl
--- config
    location / { return 200 "$server_protocol $https $http2\n"; }
--- request: GET /
--- response_body
HTTP/2.0 on h2

=== files are there for nginx
--- user_files
>>> a.txt
from a file
--- conf_files
>>> more.conf
add_header X-More yes;
--- config
    location / { include more.conf; }
--- request: GET /a.txt
--- response_headers
X-More: yes
--- response_body
from a file

=== a file changes and nginx reloads
--- conf_files
>>> answer.conf
return 200 "old\n";
--- config
    location / { include answer.conf; }
--- request
["GET /", {"write": "conf/answer.conf", "content": "return 200 'new\n';"}, "GET /", {"reload": true}, "GET /"]
--- response_body
["old\n", "old\n", "new\n"]

=== a condition is waited for
--- workers: 2
--- config
    location / { return 200 "$connection\n"; }
--- request
[{"until": "GET /", "response_body_like": "^[1-9]\\d*0$"}, {"wait_for_log": "qr/start worker process \\d+/"}, "GET /"]
--- log_level: notice

=== a second listener
--- http_config
    server { listen 127.0.0.1:$SECOND_PORT; return 200 "second\n"; }
--- config
    location / { proxy_pass http://127.0.0.1:$SECOND_PORT; }
--- request: GET /
--- response_body
second

=== requests to the second listener
--- http_config
    server { listen 127.0.0.1:$SECOND_PORT; return 200 "second\n"; }
--- port: $SECOND_PORT
--- request: GET /
--- response_body
second

=== the environment is the case's own
--- main_config
    env GIVEN;
    env HOME;
--- env
GIVEN=by the case
--- config
    location / { return 200; }
--- request: GET /
--- error_log: start worker process
--- no_error_log
[warn]
[error]

=== Redis takes commands
--- redis
SET harness:$SERVER_PORT "hello there"
--- config
    location / { return 200 $REDIS_PORT; }
--- request
[{"redis": "APPEND harness:$SERVER_PORT !", "reply": "12"}, {"redis": "GET harness:$SERVER_PORT", "reply": "hello there!"}, "GET /"]
--- response_body_like: ^\d+$

=== a configuration is refused
--- config
    location / { retrun 200; }
--- must_die
--- error_log
qr/\[emerg\] .* unknown directive "retrun" in .*\/conf\/nginx.conf:\d+/

=== warnings of a configuration that is taken
--- http_config
    server { listen 127.0.0.1:$SERVER_PORT; server_name localhost; }
--- error_log: [warn]

=== an alert that is expected is no failure
--- main_config
    worker_rlimit_nofile 2000000000;
--- config
    location / { return 200; }
--- request: GET /
--- error_log
qr/\[alert\] .* setrlimit\(RLIMIT_NOFILE, 2000000000\) failed/

=== AWS is doubled
--- isolated
--- control
PUT /functions/harness-told {"status": 429}
--- config
    location / { proxy_pass http://$LAMBDA_HTTP; }
--- request
["POST /plain-echo\nhello", {"control": "GET /functions/harness-told", "response_json": "/invocations = 0"}]
--- response_body_like: ^hello$

=== AWS is doubled for one case alone
--- isolated
--- config
    location / {
        proxy_pass https://$LAMBDA_HTTPS;
        proxy_ssl_trusted_certificate $CA;
        proxy_ssl_name localhost;
        proxy_ssl_verify on;
    }
--- request
["POST /plain-echo\nhello", {"control": "GET /stats", "response_json": "/sites/lambda_https/requests = 1"}]
--- response_body_like: ^hello$

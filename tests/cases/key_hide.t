# What of a key goes on: nothing under `hide`, and never in nginx's logs.

=== the header is gone, the others are what they were
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    key_auth c;
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- raw_request
["GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX-Api-Key: SECRET\r\nX-B: 2\r\nConnection: close\r\n\r\n",
 "GET / HTTP/1.1\r\nX-Api-Key: SECRET\r\nHost: h\r\nX-A: 1\r\nX-B: 2\r\nConnection: close\r\n\r\n",
 "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-A: 1\r\nX-B: 2\r\nX-Api-Key: SECRET\r\n\r\n"]
--- response_json
/header/x-a = "1"
/header/x-b = "2"
/header/host ~ .
/header/x-api-key absent
/header/x-consumer-username = "u"
--- response_body_unlike: SECRET

=== lines leave lists of any length, and those that stay are found
nginx keeps headers in parts of twenty; twenty-five go on, ours behind them.
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    key_auth c;
    location / {
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        proxy_set_header X-Agent $http_user_agent;
        proxy_set_header X-Last $http_x_24;
        proxy_set_header X-Own $http_x_consumer_username;
        proxy_set_header X-Referer $http_referer;
    }
--- request
["GET /first", "GET /middle", "GET /last", "GET /all", "GET /only"]
--- more_headers
[
"X-Api-Key: SECRET\nX-1: 1\nX-2: 2\nX-3: 3\nX-4: 4\nX-5: 5\nX-6: 6\nX-7: 7\nX-8: 8\nX-9: 9\nX-10: 10\nX-11: 11\nX-12: 12\nX-13: 13\nX-14: 14\nX-15: 15\nX-16: 16\nX-17: 17\nX-18: 18\nX-19: 19\nX-20: 20\nX-21: 21\nX-22: 22\nX-23: 23\nX-24: 24\nUser-Agent: a\nReferer: r",
"X-1: 1\nX-2: 2\nX-3: 3\nX-4: 4\nX-5: 5\nX-6: 6\nX-7: 7\nX-8: 8\nX-9: 9\nX-10: 10\nX-11: 11\nUser-Agent: a\nX-12: 12\nX-13: 13\nX-14: 14\nX-15: 15\nX-16: 16\nX-17: 17\nX-Api-Key: SECRET\nX-18: 18\nX-19: 19\nX_Consumer_ID: x\nX-20: 20\nX-21: 21\nX-Consumer-ID: x\nX-Consumer-Groups: x\nX-22: 22\nX-23: 23\nX-24: 24\nReferer: r",
"Referer: r\nX-1: 1\nX-2: 2\nX-3: 3\nX-4: 4\nX-5: 5\nX-6: 6\nX-7: 7\nX-8: 8\nX-9: 9\nX-10: 10\nX-11: 11\nX-12: 12\nX-13: 13\nX-14: 14\nX-15: 15\nX-16: 16\nX-17: 17\nX-18: 18\nX-19: 19\nX-20: 20\nX-21: 21\nX-22: 22\nX-23: 23\nX-24: 24\nUser-Agent: a\nX-Api-Key: SECRET",
"X-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Consumer-ID: x\nX-Api-Key: SECRET\nX-24: 24\nUser-Agent: a\nReferer: r",
"X-Api-Key: SECRET\nUser-Agent: a\nReferer: r\nX-24: 24"
]
--- response_json
/header/x-agent = "a"
/header/x-last = "24"
/header/x-own = "u"
/header/x-referer = "r"
/header/x-24 = "24"
/header/x-consumer-username = "u"
/header/x-consumer-id ~ ^[0-9a-f-]{36}$
/header/x-consumer-groups absent
/header/x_consumer_id absent
/header/x-api-key absent
--- response_body_unlike: SECRET|"x"

=== nothing is written behind a list that was full
Twenty lines fill nginx's first part. What lies behind it are the names by which it finds them.
--- http_config
    consumers c { consumer u key=SECRET custom_id=cid; }
--- config
    key_auth c;
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- raw_request
["GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-1: v\r\nX-2: v\r\nX-3: v\r\nX-4: v\r\nX-5: v\r\nX-6: v\r\nX-7: v\r\nX-8: v\r\nX-9: v\r\nX-Api-Key: SECRET\r\nX-10: v\r\nX-11: v\r\nX-12: v\r\nX-13: v\r\nX-14: v\r\nX-15: v\r\nX-Consumer-Groups: x\r\nX-17: v\r\n\r\n"]
--- response_json
/header/host ~ ^127\.0\.0\.1:[0-9]+$
/header/connection = "close"
/header/x-17 = "v"
/header/x-consumer-groups absent
/header/x-consumer-custom-id = "cid"
/header/x-api-key absent

=== every header of a long list goes on once
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    key_auth c;
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request: GET /
--- more_headers
X-1: v
X-2: v
X-3: v
X-4: v
X-5: v
X-6: v
X-7: v
X-8: v
X-9: v
X-Api-Key: SECRET
X-10: v
X-11: v
X-12: v
X-13: v
X-14: v
X-15: v
X-Consumer-ID: x
X-16: v
X-17: v
X-18: v
X-19: v
X-20: v
X-21: v
X-22: v
--- response_body_like
\["X-1","v"\],\["X-2","v"\],\["X-3","v"\],\["X-4","v"\],\["X-5","v"\],\["X-6","v"\],\["X-7","v"\],\["X-8","v"\],\["X-9","v"\],\["X-Consumer-ID","[0-9a-f-]{36}"\],\["X-10","v"\],\["X-11","v"\],\["X-12","v"\],\["X-13","v"\],\["X-14","v"\],\["X-15","v"\],\["X-16","v"\],\["X-17","v"\],\["X-18","v"\],\["X-19","v"\],\["X-20","v"\],\["X-21","v"\],\["X-22","v"\],\["X-Consumer-Username","u"\]

=== nginx's variables do not show what is hidden, whenever they were first asked for
--- http_config
    consumers c { consumer u key=SECRET; }
    map $http_x_api_key $asked { "" no; default yes; }
    log_format shown "$uri [$http_x_api_key$http_authorization$remote_user$cookie_k$http_cookie$args$request_uri$arg_k]";
--- config
    access_log logs/access.log shown;
    set $before "$asked$http_x_api_key$http_authorization$cookie_k$http_cookie$request_uri$args";
    location /h { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /b { key_auth c header=authorization scheme=Bearer; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /c { key_auth c cookie=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /q { key_auth c query=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /h", "GET /b", "GET /c", "GET /c", "GET /q?k=SECRET", "GET /q?a=1&k=SECRET"]
--- more_headers
["X-Api-Key: SECRET", "Authorization: Bearer SECRET", "Cookie: k=SECRET", "Cookie: a=1; k=SECRET; b=2", null, null]
--- response_body_unlike: SECRET
--- access_log
/h [------/h-]
/b [------/b-]
/c [------/c-]
/c [----a=1; b=2-/c-]
/q [------/q-]
/q [-----a=1/q?a=1-]
--- no_access_log: SECRET

=== cookies beside the key stay byte for byte
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    location / { key_auth c cookie=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- raw_request
["GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: a=\"x y\"; k=SECRET;b=%20\r\n\r\n",
 "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: a=1\r\nCookie: k=SECRET\r\nCookie: b=2\r\n\r\n",
 "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: k=SECRET\r\n\r\n"]
--- response_json
["/header/cookie = \"a=\\\"x y\\\";b=%20\"", "/header/cookie ~ ^a=1[;,] b=2$", "/header/cookie absent"]

=== the query beside the key stays byte for byte
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    location / { key_auth c query=apikey; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /uri/ { key_auth c query=apikey; proxy_pass http://127.0.0.1:$UPSTREAM_PORT/z/; }
    location /off/ { key_auth c query=apikey hide=off; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /a%2Fb?x=%20+&apikey=SECRET&&y", "GET /?apikey=SECRET", "GET /?%61pikey=SECRET&a=1", "GET /uri/a%20b?b&apikey=SECRET", "GET /off/?apikey=SECRET&b"]
--- response_json
["/uri = \"/a%2Fb?x=%20+&&y\"", "/uri = \"/\"", "/uri = \"/?a=1\"", "/uri = \"/z/a%20b?b\"", "/uri = \"/off/?apikey=SECRET&b\""]

=== a body without its key has a length of its own
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    key_auth c body=k;
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; proxy_set_header X-Length $content_length; }
    location /file { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; proxy_set_header X-Length $content_length; client_body_in_file_only clean; }
    location /small { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; proxy_set_header X-Length $content_length; client_body_buffer_size 8; }
--- request
["POST /\na=1&k=SECRET&b=2", "POST /\na=1&k=SECRET&b=2", "POST /file\na=1&k=SECRET&b=2", "POST /small\na=1&k=SECRET&b=2", "POST /\nk=SECRET", "POST /\n{\"a\": 1, \"k\": \"SECRET\"}"]
--- more_headers
["Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded\nTransfer-Encoding: chunked", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"]
--- response_json
["/body = \"a=1&b=2\"\n/header/content-length = \"7\"\n/header/x-length = \"7\"", "/body = \"a=1&b=2\"\n/header/content-length = \"7\"", "/body = \"a=1&b=2\"\n/header/content-length = \"7\"\n/header/x-length = \"7\"", "/body = \"a=1&b=2\"\n/header/content-length = \"7\"\n/header/x-length = \"7\"", "/body = \"\"\n/header/content-length = \"0\"", "/body = \"{\\\"a\\\": 1}\"\n/header/content-length = \"8\""]

=== a key in the query is masked in logs, right or wrong, hidden or not
Error lines of nginx itself are masked too: request, upstream and referrer.
--- http_config
    consumers c { consumer u key=SECRET; }
    upstream dead { server 127.0.0.1:1; }
--- config
    location /hide { key_auth c query=apikey; proxy_pass http://dead; }
    location /show { key_auth c query=apikey hide=off; proxy_pass http://dead; }
    location /other { root none; }
    location /bare { auth_request /sub; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location = /sub { internal; proxy_pass http://dead; }
--- request
["GET /hide?a=1&apikey=SECRET&b=2", "GET /show?a=1&apikey=SECRET&b=2", "GET /show?apikey=WRONG-SECRET", "GET /other?%61pikey=SECRET", "GET /bare?apikey=SECRET", "GET /other"]
--- more_headers
[null, null, null, null, null, "Referer: http://h/?apikey=SECRET&b=2"]
--- error_code: [502, 502, 401, 404, 500, 404]
--- access_log
"GET /hide?a=1&apikey=***&b=2 HTTP/1.1" 502
"GET /show?a=1&apikey=***&b=2 HTTP/1.1" 502
"GET /show?apikey=*** HTTP/1.1" 401
"GET /other?%61pikey=*** HTTP/1.1" 404
--- error_log
request: "GET /hide?a=1&apikey=***&b=2 HTTP/1.1", upstream: "http://127.0.0.1:1/hide?a=1&b=2"
request: "GET /show?a=1&apikey=***&b=2 HTTP/1.1", upstream: "http://127.0.0.1:1/show?a=1&apikey=***&b=2"
request: "GET /other?%61pikey=*** HTTP/1.1"
request: "GET /bare?apikey=*** HTTP/1.1", subrequest: "/sub", upstream: "http://127.0.0.1:1/sub
referrer: "http://h/?apikey=***&b=2"
--- no_error_log: SECRET

=== requests that end before they are read are masked in the access log
--- http_config
    consumers c { consumer u key=SECRET; }
    large_client_header_buffers 2 512;
    client_header_buffer_size 128;
--- config
    location / { key_auth c query=apikey; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- log_level: error
--- raw_request
["GET /twice?apikey=SECRET HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
 "GET /none?apikey=SECRET HTTP/1.1\r\n\r\n",
 "GET /bad%zz?apikey=SECRET HTTP/1.1\r\nHost: a\r\n\r\n",
 "GET /version?apikey=SECRET HTTP/9.1\r\nHost: a\r\n\r\n",
 "G:T /method?apikey=SECRET HTTP/1.1\r\nHost: a\r\n\r\n",
 "G?T /query?apikey=SECRET HTTP/1.1\r\nHost: a\r\n\r\n",
 "GET /long?apikey=SECRET&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: a\r\n\r\n"]
--- error_code: [400, 400, 400, 505, 400, 400, 414]
--- access_log
"GET /twice?apikey=*** HTTP/1.1" 400
"GET /none?apikey=*** HTTP/1.1" 400
"GET /bad%zz?apikey=***
"GET /version?apikey=***
"G?T /query?apikey=***
"GET /long?apikey=***&aaa
--- no_access_log: SECRET
--- no_error_log: SECRET

=== requests that cannot be read are masked on their way to an error page
Their first phase is that of the server's rewrites.
--- http_config
    consumers c { consumer u key=SECRET; }
    large_client_header_buffers 2 512;
    client_header_buffer_size 128;
    server { listen 127.0.0.1:$SECOND_PORT; location / { key_auth c query=other; root none; } }
--- config
    error_page 400 414 494 505 /e;
    location / { key_auth c query=apikey; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location = /e { policy_mode observe; key_auth c; root none; }
--- log_level: notice
--- raw_request
["GET /twice?apikey=SECRET HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
 "GET /none?apikey=SECRET HTTP/1.1\r\n\r\n",
 "GET /host?apikey=SECRET&other=SECRET HTTP/1.1\r\nHost: a/b\r\n\r\n",
 "GET /length?apikey=SECRET HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
 "G?T /method?apikey=SECRET HTTP/1.1\r\nHost: a\r\n\r\n",
 "GET /long?apikey=SECRET&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: a\r\n\r\n"]
--- error_code: [404, 404, 404, 404, 404, 404]
--- access_log
"GET /twice?apikey=*** HTTP/1.1" 404
"GET /none?apikey=*** HTTP/1.1" 404
"GET /host?apikey=***&other=*** HTTP/1.1" 404
"GET /length?apikey=*** HTTP/1.1" 404
"G?T /method?apikey=***
"GET /long?apikey=***&aaa
--- error_log
request: "GET /twice?apikey=*** HTTP/1.1"
request: "GET /host?apikey=***&other=*** HTTP/1.1"
qr/key_auth: would refuse.*request: "GET \/length\?apikey=\*\*\* HTTP/
--- no_access_log: SECRET
--- no_error_log: SECRET

=== a key over HTTP/2 is masked
--- http2
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    location / { key_auth c query=apikey; root none; }
--- request: GET /a?apikey=SECRET
--- error_code: 404
--- access_log: "GET /a?apikey=*** HTTP/2.0" 404
--- error_log: request: "GET /a?apikey=*** HTTP/2.0"
--- no_error_log: SECRET

=== servers without keys in queries log what they are asked
--- http_config
    consumers c { consumer u key=SECRET; }
    server { listen 127.0.0.1:$SECOND_PORT; location / { key_auth c query=apikey; root none; } }
--- config
    location / { root none; }
--- request: GET /a?apikey=seen
--- error_code: 404
--- access_log: "GET /a?apikey=seen HTTP/1.1" 404
--- error_log: request: "GET /a?apikey=seen HTTP/1.1"

=== a key in X-Forwarded-For is not in what proxies add to, whenever that was first asked for
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    location / {
        set $before $proxy_add_x_forwarded_for;
        key_auth c header=x-forwarded-for;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request: GET /
--- more_headers: X-Forwarded-For: SECRET
--- response_json
/header/x-forwarded-for = "127.0.0.1"

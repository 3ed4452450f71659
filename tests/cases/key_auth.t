# Who asks, by a key: where it may stand, what is answered without a good one, what goes on to upstreams.

=== no key, a wrong key and a good key
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "HEAD /", "POST /\nbody"]
--- more_headers
[null, "X-Api-Key: ", "X-Api-Key: WRONG", "X-Api-Key: secret", "X-Api-Key: SECRE", "X-Api-Key: SECRET1", "x-aPI-kEY: SECRET", "X-Api-Key: WRONG", "X-Api-Key: SECRET"]
--- error_code: [401, 401, 401, 401, 401, 401, 200, 401, 200]
--- response_headers
["WWW-Authenticate: Key\nContent-Type: application/json; charset=utf-8", "WWW-Authenticate: Key", "WWW-Authenticate: Key", "WWW-Authenticate: Key", "WWW-Authenticate: Key", "WWW-Authenticate: Key", "!WWW-Authenticate", "WWW-Authenticate: Key", "!WWW-Authenticate"]
--- response_json
["/message = \"No API key found in request\"\n/request_id ~ ^[0-9a-f]{32}$", "/message = \"No API key found in request\"", "/message = \"Unauthorized\"", "/message = \"Unauthorized\"", "/message = \"Unauthorized\"", "/message = \"Unauthorized\"", "/header/x-consumer-username = \"bob\"", null, "/body = \"body\"\n/header/x-consumer-username = \"bob\""]
--- no_error_log
SECRET
WRONG

=== the identity goes upstream and is in variables
--- http_config
    consumers c { consumer bob id=00000000-0000-4000-8000-0000000000b1 custom_id=crm-7 groups=g,a key=SECRET; }
    log_format identity "[$consumer|$consumer_id|$consumer_custom_id|$consumer_groups|$credential_id]";
--- config
    access_log logs/access.log identity;
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /open { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /", "GET /open"]
--- more_headers
["X-Api-Key: SECRET", "X-Api-Key: WRONG", null]
--- error_code: [200, 401, 200]
--- response_json
["/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"\n/header/x-consumer-username = \"bob\"\n/header/x-consumer-custom-id = \"crm-7\"\n/header/x-credential-identifier ~ ^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$\n/header/x-anonymous-consumer absent\n/header/x-consumer-groups absent", "/header absent", "/header/x-consumer-id absent"]
--- access_log
qr/^\[bob\|00000000-0000-4000-8000-0000000000b1\|crm-7\|g, a\|[0-9a-f-]{36}\]$/
[-|-|-|-|-]

=== identity reaches a function
--- conf_files
>>> aws.ini
[default]
aws_access_key_id = $ACCESS_KEY_ID
aws_secret_access_key = $SECRET_ACCESS_KEY
--- http_config
    consumers c { consumer bob id=00000000-0000-4000-8000-0000000000b1 groups=g key=SECRET; }
--- config
    aws_region eu-central-1;
    aws_credentials static aws.ini;
    lambda_endpoint http://$LAMBDA_HTTP;
    location / { key_auth c query=k; acl allow=g; lambda_pass echo; }
--- request
[{"until": "GET /?k=SECRET", "error_code": 200}, "GET /a?x=1&k=SECRET&y=%20"]
--- more_headers
["X_Consumer_ID: spoof\nX-Consumer-ID: spoof"]
--- response_json
["/headers/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"\n/headers/x-consumer-username = \"bob\"\n/headers/x-consumer-groups = \"g\"\n/queryStringParameters/x = \"1\"\n/queryStringParameters/y = \" \"\n/queryStringParameters/k absent"]
--- response_body_unlike: SECRET|spoof

=== names of headers: - and _ are two
--- http_config
    underscores_in_headers on;
    consumers c { consumer bob key=SECRET; }
--- config
    location /dash { key_auth c header=api-key; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /line { key_auth c header=api_key; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /dash", "GET /dash", "GET /line", "GET /line"]
--- more_headers
["Api-Key: SECRET", "Api_Key: SECRET", "Api-Key: SECRET", "Api_Key: SECRET"]
--- error_code: [200, 401, 401, 200]

=== realm and scheme are in the challenge
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location /realm { key_auth c "realm=my api"; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /quoted { key_auth c 'realm=a"b\\c'; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /bearer { key_auth c header=authorization scheme=Bearer; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /both { key_auth c header=authorization scheme=Bearer realm=r; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /realm", "GET /quoted", "GET /bearer", "GET /both", "GET /both"]
--- more_headers
[null, null, null, null, "Authorization: Bearer WRONG"]
--- error_code: 401
--- response_headers
["WWW-Authenticate: Key realm=\"my api\"", "WWW-Authenticate: Key realm=\"a\\\"b\\\\c\"", "WWW-Authenticate: Bearer", "WWW-Authenticate: Bearer realm=\"r\"", "WWW-Authenticate: Bearer realm=\"r\""]

=== the key stands behind a scheme, in any case
--- http_config
    consumers c { consumer bob key=SECRET; consumer ann key=OTHER; }
--- config
    location / { key_auth c header=authorization header=x-auth scheme=bearer; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /"]
--- more_headers
["Authorization: Bearer SECRET", "Authorization: bEARER   SECRET", "Authorization: SECRET", "Authorization: Basic SECRET", "Authorization: Bearer", "X-Auth: SECRET", "X-Auth: Bearer SECRET", "Authorization: Basic dTpw\nX-Auth: Bearer SECRET", "Authorization: Bearer SECRET\nX-Auth: Bearer OTHER"]
--- error_code: [200, 200, 401, 401, 401, 401, 200, 200, 401]
--- response_json
["/header/authorization absent", "/header/authorization absent", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/header/x-auth absent", "/header/authorization = \"Basic dTpw\"\n/header/x-auth absent", "/message = \"Duplicate API key found\""]

=== a key in the query
--- http_config
    consumers c { consumer bob "key=SE CR&T"; }
--- config
    location / { key_auth c query=apikey query=api+key; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /?apikey=SE%20CR%26T", "GET /?apikey=SE+CR%26T", "GET /?%61pikey=SE+CR%26T", "GET /?apikey", "GET /?apikey=", "GET /", "GET /?Apikey=SE+CR%26T", "GET /?apikey[]=SE+CR%26T", "GET /?apikey%5B1%5D=SE+CR%26T", "GET /?x=apikey=SE+CR%26T", "GET /?api%2Bkey=SE+CR%26T", "GET /?apikey=SE%2520CR%26T", "GET /?apikey=SE+CR%26T&apikey=SE+CR%26T", "GET /?apikey=&apikey=SE+CR%26T", "GET /?apikey=SE+CR%26T&api%2Bkey=x"]
--- error_code: [200, 200, 200, 401, 401, 401, 401, 401, 401, 401, 200, 401, 401, 200, 401]
--- response_json
["/uri = \"/\"", "/uri = \"/\"", "/uri = \"/\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/uri = \"/\"", "/message = \"Unauthorized\"", "/message = \"Duplicate API key found\"", "/uri = \"/\"", "/message = \"Duplicate API key found\""]

=== a key in a cookie, in one of several Cookie headers
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { key_auth c cookie=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /"]
--- more_headers
["Cookie: k=SECRET", "Cookie: a=1; k=SECRET", "Cookie: a=1\nCookie: k=SECRET\nCookie: b=2", "Cookie: K=SECRET", "Cookie: kk=SECRET", "Cookie: k=", "Cookie: k=SECRET; k=SECRET", "Cookie: k=SECRET\nCookie: k=SECRET", "Cookie: k=; k=SECRET", "Cookie: a=k=SECRET"]
--- error_code: [200, 200, 200, 401, 401, 401, 401, 401, 200, 401]
--- response_json
["/header/cookie absent", "/header/cookie = \"a=1\"", "/header/cookie ~ ^a=1[;,] b=2$", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"Duplicate API key found\"", "/message = \"Duplicate API key found\"", "/header/x-consumer-username = \"bob\"", "/message = \"No API key found in request\""]

=== a key in a form
--- http_config
    consumers c { consumer bob "key=SE CR"; }
--- config
    location / { key_auth c body=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /\na=%20+&k=SE+CR&b", "POST /\n%6b=SE%20CR&a", "POST /\nk=SE+CR", "POST /\nk=&k=SE+CR&a=1", "POST /\nk=SE+CR&k=SE+CR", "POST /\nk", "POST /\nK=SE+CR", "POST /\nk[]=SE+CR", "PUT /\nk=SE+CR&x=1", "GET /\nk=SE+CR&x=1"]
--- more_headers
["Content-Type: application/x-www-form-urlencoded", "Content-Type: Application/X-WWW-Form-urlencoded; charset=utf-8", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded"]
--- error_code: [200, 200, 200, 200, 401, 401, 401, 401, 200, 200]
--- response_json
["/body = \"a=%20+&b\"\n/header/content-length = \"8\"", "/body = \"a\"\n/header/content-length = \"1\"", "/body = \"\"\n/header/content-length = \"0\"", "/body = \"a=1\"", "/message = \"Duplicate API key found\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/body = \"x=1\"", "/body = \"x=1\""]

=== a key in a JSON object
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { key_auth c body=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /\n{ \"a\": [1, 2], \"k\": \"SECRET\", \"b\": {\"k\": \"SECRET\"} }", "POST /\n{\"\\u006b\": \"SECR\\u0045T\", \"a\": 1}", "POST /\n{\"k\": \"SECRET\"}", "POST /\n{\"k\": 5}", "POST /\n{\"a\": {\"k\": \"SECRET\"}}", "POST /\n[\"k\", \"SECRET\"]", "POST /\n{\"k\": \"SECRET\"", "POST /\n{\"k\": \"\"}", "POST /\n{\"k\": \"SECRET\", \"k\": \"SECRET\"}", "POST /", "POST /\n{\"k\": \"SECRET\", \"z\": \"ä\"}"]
--- more_headers
["Content-Type: application/json", "Content-Type: application/vnd.api+json; charset=utf-8", "Content-Type: application/json", "Content-Type: application/json", "Content-Type: application/json", "Content-Type: application/json", "Content-Type: application/json", "Content-Type: application/json", "Content-Type: application/json", "Content-Type: application/json", "Content-Type: application/json"]
--- error_code: [200, 200, 200, 401, 401, 401, 401, 401, 401, 401, 200]
--- response_json
["/body = \"{ \\\"a\\\": [1, 2], \\\"b\\\": {\\\"k\\\": \\\"SECRET\\\"} }\"", "/body = \"{\\\"a\\\": 1}\"", "/body = \"{}\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"Duplicate API key found\"", "/message = \"No API key found in request\"", "/body = \"{\\\"z\\\": \\\"ä\\\"}\""]

=== a key in a text field of a multipart form
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { key_auth c body=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\nSECRET\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n\u0000\u0001\r\n--b--\r\n", "POST /\n--b\r\nContent-Disposition: form-data; name=\"k\"; filename=\"k\"\r\n\r\nSECRET\r\n--b--\r\n", "POST /\n--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\nSECRET\r\n--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\nSECRET\r\n--b--\r\n"]
--- more_headers
["Content-Type: multipart/form-data; boundary=b", "Content-Type: multipart/form-data; boundary=\"b\"", "Content-Type: multipart/form-data; boundary=b"]
--- error_code: [200, 401, 401]
--- response_json
["/body = \"--b\\r\\nContent-Disposition: form-data; name=\\\"a\\\"\\r\\n\\r\\n1\\r\\n--b\\r\\nContent-Disposition: form-data; name=\\\"f\\\"; filename=\\\"f.bin\\\"\\r\\nContent-Type: application/octet-stream\\r\\n\\r\\n\\u0000\\u0001\\r\\n--b--\\r\\n\"", "/message = \"No API key found in request\"", "/message = \"Duplicate API key found\""]

=== a body of another type is not judged
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { key_auth c body=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /or { key_auth c header=x-api-key body=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /\nk=SECRET", "POST /\nk=SECRET", "POST /or\nk=SECRET", "POST /or\n{broken"]
--- more_headers
["Content-Type: text/plain", null, "Content-Type: text/plain\nX-Api-Key: SECRET", "Content-Type: application/json\nX-Api-Key: SECRET"]
--- error_code: [401, 401, 200, 200]
--- response_json
["/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/body = \"k=SECRET\"", "/body = \"{broken\""]

=== bodies of any size are read: in a file, in chunks, over HTTP/2 alike
--- http2
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    client_body_buffer_size 1k;
    location / { key_auth c body=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /file { key_auth c body=k; client_body_in_file_only clean; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /\nk=SECRET&a=0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789END", "POST /file\na=1&k=SECRET"]
--- more_headers
Content-Type: application/x-www-form-urlencoded
--- response_json
["/body ~ ^a=0.*9END$\n/header/x-consumer-username = \"bob\"", "/body = \"a=1\""]

=== a body over the limit ends the request while it is read for its key
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { key_auth c body=k; client_max_body_size 8; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /\na=1&k=SECRET", "POST /\na=1&k=SECRET", "POST /\nk=SECRET"]
--- more_headers
["Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded\nTransfer-Encoding: chunked", "Content-Type: application/x-www-form-urlencoded"]
--- error_code: [413, 413, 200]
--- response_headers_like
Content-Type: application/json.*

=== several places: they agree, or there is no key
Empty ones count as absent, beside a second one as well.
--- http_config
    consumers c { consumer bob key=SECRET key=SECOND; consumer ann key=OTHER; }
--- config
    location / { key_auth c header=x-a header=x-b query=q cookie=ck body=f; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /?q=SECRET", "GET /?q=SECRET", "GET /?q=OTHER", "GET /?q=SECOND", "GET /?q=", "GET /", "GET /", "GET /", "POST /?q=SECRET\nf=SECRET", "POST /?q=SECRET\nf=OTHER", "GET /", "GET /?q=WRONG"]
--- more_headers
["X-A: SECRET", "X-A: ", "X-A: SECRET", "X-A: SECRET", "X-A: SECRET\nX-B: ", "X-A: SECRET\nX-B: SECRET\nCookie: ck=SECRET", "X-A: SECRET\nX-A: SECRET", "X-A: \nX-A: SECRET", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", "X-A: SECRET\nX-B: OTHER", "X-A: SECRET"]
--- error_code: [200, 200, 401, 401, 200, 200, 401, 200, 200, 401, 401, 401]
--- response_json
["/uri = \"/\"\n/header/x-a absent", "/header/x-consumer-username = \"bob\"", "/message = \"Duplicate API key found\"", "/message = \"Duplicate API key found\"", "/header/x-consumer-username = \"bob\"", "/header/x-a absent\n/header/x-b absent\n/header/cookie absent", "/message = \"Duplicate API key found\"", "/header/x-consumer-username = \"bob\"", "/uri = \"/\"\n/body = \"\"", "/message = \"Duplicate API key found\"", "/message = \"Duplicate API key found\"", "/message = \"Duplicate API key found\""]

=== hide=off leaves the key where it is
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { key_auth c header=x-a query=q cookie=ck body=f hide=off; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /?a&q=SECRET\nf=SECRET&b"]
--- more_headers
["X-A: SECRET\nCookie: ck=SECRET\nContent-Type: application/x-www-form-urlencoded"]
--- response_json
/uri = "/?a&q=SECRET"
/body = "f=SECRET&b"
/header/x-a = "SECRET"
/header/cookie = "ck=SECRET"
/header/x-consumer-username = "bob"

=== a wrong key is hidden too
--- http_config
    consumers c { consumer bob key=SECRET; consumer guest id=00000000-0000-4000-8000-0000000000a1; }
--- config
    location / { key_auth c header=x-a query=q cookie=ck body=f anonymous=guest; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /?a&q=WRONG\nf=WRONG&b", "POST /?q=WRONG\nf=ELSE", "GET /?q=SECRET&q=SECRET&b"]
--- more_headers
["X-A: WRONG\nCookie: ck=WRONG; z=1\nContent-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", null]
--- response_json
["/uri = \"/?a\"\n/body = \"b\"\n/header/x-a absent\n/header/cookie = \"z=1\"\n/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000a1\"\n/header/x-anonymous-consumer = \"true\"", "/uri = \"/\"\n/body = \"\"\n/header/x-anonymous-consumer = \"true\"", "/uri = \"/?b\"\n/header/x-anonymous-consumer = \"true\""]
--- response_body_unlike: WRONG|ELSE|SECRET

=== anonymous: any failure goes on as that consumer, a good key as its own
--- http_config
    consumers c { consumer bob key=SECRET; consumer guest id=00000000-0000-4000-8000-0000000000a1 custom_id=nobody groups=public key=GUEST; }
    log_format identity "[$consumer|$credential_id|$policy_decision]";
--- config
    access_log logs/access.log identity;
    location / { key_auth c anonymous=guest; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /", "GET /", "GET /", "GET /", "OPTIONS /"]
--- more_headers
[null, "X-Api-Key: WRONG", "X-Api-Key: SECRET\nX-Api-Key: SECRET", "X-Api-Key: SECRET", "X-Api-Key: GUEST", null]
--- response_headers: !WWW-Authenticate
--- response_json
["/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000a1\"\n/header/x-consumer-username = \"guest\"\n/header/x-consumer-custom-id = \"nobody\"\n/header/x-anonymous-consumer = \"true\"\n/header/x-credential-identifier absent", "/header/x-anonymous-consumer = \"true\"\n/header/x-credential-identifier absent", "/header/x-anonymous-consumer = \"true\"", "/header/x-anonymous-consumer absent\n/header/x-consumer-username = \"bob\"\n/header/x-credential-identifier ~ .", "/header/x-anonymous-consumer absent\n/header/x-consumer-username = \"guest\"\n/header/x-credential-identifier ~ .", "/header/x-anonymous-consumer = \"true\""]
--- access_log
[guest|-|allow]

=== preflights pass without a key, other OPTIONS do not
--- http_config
    consumers c { consumer bob key=SECRET; consumer guest; }
--- config
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /on { key_auth c preflight=on; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /guest { key_auth c anonymous=guest; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["OPTIONS /", "OPTIONS /", "OPTIONS /", "OPTIONS /", "GET /", "OPTIONS /on", "OPTIONS /on", "OPTIONS /guest", "OPTIONS /"]
--- more_headers
["Origin: http://o\nAccess-Control-Request-Method: GET", "Origin: http://o", "Access-Control-Request-Method: GET", null, "Origin: http://o\nAccess-Control-Request-Method: GET", "Origin: http://o\nAccess-Control-Request-Method: GET", "Origin: http://o\nAccess-Control-Request-Method: GET\nX-Api-Key: SECRET", "Origin: http://o\nAccess-Control-Request-Method: GET", "Origin: http://o\nAccess-Control-Request-Method: GET\nX-Consumer-ID: spoof\nX-Api-Key: WRONG"]
--- error_code: [200, 401, 401, 401, 401, 401, 200, 200, 200]
--- response_json
["/header/x-consumer-id absent\n/header/x-anonymous-consumer absent", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/header/x-consumer-username = \"bob\"", "/header/x-anonymous-consumer absent", "/header/x-consumer-id absent\n/header/x-api-key absent"]

=== identity headers of clients are gone in every spelling, key or no key
--- http_config
    underscores_in_headers on;
    consumers c { consumer bob key=SECRET id=00000000-0000-4000-8000-0000000000b1; }
--- config
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /off { key_auth off; policy_mode enforce; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /stock { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /off", "GET /stock"]
--- more_headers
X-Api-Key: SECRET
X-Consumer-ID: spoof
x-consumer-id: spoof
X_Consumer_ID: spoof
X-Consumer_ID: spoof
X_Consumer-ID: spoof
X-Consumer-Username: spoof
X_CONSUMER_USERNAME: spoof
X-Consumer-Custom-ID: spoof
x_consumer_custom_id: spoof
X-Consumer_Custom-ID: spoof
X-Credential-Identifier: spoof
X_Credential_Identifier: spoof
X-Anonymous-Consumer: true-spoof
X_Anonymous_Consumer: true-spoof
X-Consumer-Groups: spoof
X-Consumer-Groups: spoof
X_Consumer_Groups: spoof
X-Kept: kept
--- response_json
["/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"\n/header/x-consumer-username = \"bob\"\n/header/x-consumer-groups absent\n/header/x-kept = \"kept\"", "/header/x-kept = \"kept\"\n/header/x-consumer-id absent", "/header/x-consumer-id = \"spoof, spoof\"\n/header/x_consumer_id = \"spoof\""]
--- response_body_unlike
["spoof", "spoof", null]

=== identity headers passed where a directive only sets something, or is off
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location /route { route "/route/{id}"; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /off { key_auth off; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /json { response_json remove=a; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /block { method POST { deny all; } proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /if { cors; if ($arg_a) { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; } }
--- request
["GET /route/1", "GET /off", "GET /json", "GET /block", "GET /if?a=1"]
--- more_headers
X-Consumer-Username: spoof
X-Consumer-Groups: spoof
--- response_body_unlike: spoof

=== identity headers of clients are gone on a kept connection
--- http_config
    consumers c { consumer bob key=SECRET id=00000000-0000-4000-8000-0000000000b1; }
--- config
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- pipelined_requests
["GET /1", "GET /2", "GET /3"]
--- more_headers
["X-Api-Key: SECRET\nX-Consumer-Username: spoof", "X-Consumer-Username: spoof\nX-Api-Key: SECRET", "X-Api-Key: SECRET"]
--- response_json
/header/x-consumer-username = "bob"
--- response_body_unlike: spoof

=== keys over HTTP/2
--- http2
--- http_config
    consumers c { consumer bob key=SECRET id=00000000-0000-4000-8000-0000000000b1; }
--- config
    location / { key_auth c header=x-api-key query=q cookie=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /", "GET /?q=SECRET&a=%20", "GET /", "GET /", "GET /", "GET /"]
--- more_headers
["X-Api-Key: SECRET\nX-Consumer-ID: spoof\nX_Consumer_ID: spoof", "X-Api-Key: WRONG", null, "Cookie: a=1\nCookie: k=SECRET\nCookie: b=2", "Cookie: k=SECRET\nCookie: k=SECRET", null, "X-Api-Key: SECRET\nX-Api-Key: SECRET"]
--- error_code: [200, 401, 200, 200, 401, 401, 401]
--- response_headers
["!WWW-Authenticate", "WWW-Authenticate: Key", null, null, "WWW-Authenticate: Key", "WWW-Authenticate: Key", "WWW-Authenticate: Key"]
--- response_json
["/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"\n/header/x-api-key absent", "/message = \"Unauthorized\"", "/uri = \"/?a=%20\"", "/header/cookie = \"a=1; b=2\"", "/message = \"Duplicate API key found\"", "/message = \"No API key found in request\"", "/message = \"Duplicate API key found\""]

=== levels: what is written replaces, off ends, silence inherits
--- http_config
    consumers c { consumer bob key=SECRET; }
    consumers d { consumer eve key=OTHER; }
    key_auth c;
--- config
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /off { key_auth off; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; location /off/in { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; } }
    location /d { key_auth d; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; location /d/in { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; } }
--- request
["GET /", "GET /", "GET /off", "GET /off/in", "GET /d", "GET /d", "GET /d/in"]
--- more_headers
["X-Api-Key: SECRET", "X-Api-Key: OTHER", null, null, "X-Api-Key: SECRET", "X-Api-Key: OTHER", "X-Api-Key: OTHER"]
--- error_code: [200, 401, 200, 200, 401, 200, 200]

=== satisfy: an allowed address or a key, or both
--- http_config
    consumers c { consumer bob key=SECRET groups=g; }
--- config
    location /any-allowed { satisfy any; allow 127.0.0.1; deny all; key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /any-denied { satisfy any; deny all; key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /any-acl { satisfy any; deny all; key_auth c; acl deny=g; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /all-allowed { satisfy all; allow 127.0.0.1; deny all; key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /all-denied { deny all; key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /any-allowed", "GET /any-denied", "GET /any-denied", "GET /any-denied", "GET /any-acl", "GET /all-allowed", "GET /all-allowed", "GET /all-denied"]
--- more_headers
[null, null, "X-Api-Key: WRONG", "X-Api-Key: SECRET", "X-Api-Key: SECRET", null, "X-Api-Key: SECRET", "X-Api-Key: SECRET"]
--- error_code: [200, 401, 401, 200, 403, 401, 200, 403]
--- response_headers
["!WWW-Authenticate", "WWW-Authenticate: Key", "WWW-Authenticate: Key", "!WWW-Authenticate", "!WWW-Authenticate", "WWW-Authenticate: Key", "!WWW-Authenticate", "!WWW-Authenticate"]
--- response_json
[null, "/message = \"No API key found in request\"", "/message = \"Unauthorized\"", "/header/x-consumer-username = \"bob\"", "/message = \"You cannot consume this service\"", "/message = \"No API key found in request\"", "/header/x-consumer-username = \"bob\"", "/message ~ ."]

=== a key that satisfy any did not ask for goes no further
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    satisfy any;
    allow 127.0.0.1;
    deny all;
    location / { key_auth c header=x-api-key query=k cookie=ck; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /shown { key_auth c hide=off; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /?a=1&k=SECRET", "GET /?k=WRONG", "GET /shown"]
--- more_headers
["X-Api-Key: SECRET\nCookie: z=1; ck=SECRET", "X-Api-Key: WRONG", "X-Api-Key: SECRET"]
--- response_json
["/uri = \"/?a=1\"\n/header/x-api-key absent\n/header/cookie = \"z=1\"\n/header/x-consumer-username absent", "/uri = \"/\"\n/header/x-api-key absent", "/header/x-api-key = \"SECRET\""]

=== an OPTIONS with empty headers of a preflight is none
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["OPTIONS /", "OPTIONS /", "OPTIONS /"]
--- more_headers
["Origin: http://o\nAccess-Control-Request-Method: PUT", "Origin: \nAccess-Control-Request-Method: PUT", "Origin: http://o\nAccess-Control-Request-Method: "]
--- error_code: [200, 401, 401]

=== broken JSON has no key, wherever it is broken
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { key_auth c body=k; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request latin1
["POST /\n{\"k\":\"SECRET\",\"x\":\"y\"}", "POST /\n{\"k\":\"SECRET\",\"x\":\"\u00ff\"}", "POST /\n{\"k\":\"SECRET\",\"x\":\"\\ud800\"}"]
--- more_headers
Content-Type: application/json
--- error_code: [200, 401, 401]

=== a mirror is sent what the request became
--- http_config
    consumers c { consumer bob key=SECRET groups=g; }
    log_format mirrored "$uri [$http_x_consumer_username|$http_x_consumer_groups|$http_x_api_key]";
    server {
        listen 127.0.0.1:$SECOND_PORT;
        access_log logs/access.log mirrored;
        location / { return 204; }
    }
--- config
    access_log off;
    location / { key_auth c; acl allow=g; mirror /mirror; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location = /mirror { internal; proxy_pass http://127.0.0.1:$SECOND_PORT; }
--- request
["GET /", "GET /"]
--- more_headers
["X-Api-Key: SECRET\nX-Consumer-Groups: spoof", null]
--- error_code: [200, 401]
--- response_json
["/header/x-consumer-groups = \"g\"", null]
--- access_log
/mirror [bob|g|-]
--- no_access_log
spoof
SECRET

=== a subrequest to a location with key_auth is authenticated once, with its main request
--- http_config
    consumers c { consumer bob key=SECRET id=00000000-0000-4000-8000-0000000000b1; }
--- config
    location / { key_auth c; mirror /mirror; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location = /mirror { internal; key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request: GET /
--- more_headers: X-Api-Key: SECRET
--- response_json
/header/x-consumer-id = "00000000-0000-4000-8000-0000000000b1"

=== auth_request is asked before, without an identity
--- http_config
    consumers c { consumer bob key=SECRET id=00000000-0000-4000-8000-0000000000b1; }
    log_format asked "$uri [$http_x_consumer_id|$http_x_kept]";
    server {
        listen 127.0.0.1:$SECOND_PORT;
        access_log logs/access.log asked;
        location / { return 204; }
        location /no { return 403; }
    }
--- config
    access_log off;
    location / { auth_request /ask; key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /refused { auth_request /ask/no; key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /ask { internal; proxy_pass http://127.0.0.1:$SECOND_PORT/yes; }
    location /ask/no { internal; proxy_pass http://127.0.0.1:$SECOND_PORT/no; }
--- request
["GET /", "GET /", "GET /refused"]
--- more_headers
["X-Api-Key: SECRET\nX-Consumer-ID: spoof\nX-Kept: 1", "X-Kept: 2", "X-Api-Key: SECRET\nX-Kept: 3"]
--- error_code: [200, 401, 403]
--- access_log
/yes [-|1]
/yes [-|2]
/no [-|3]

=== a subrequest strips what its main request's location does not
--- http_config
    consumers c { consumer bob key=SECRET id=00000000-0000-4000-8000-0000000000b1; }
    log_format asked "$uri [$http_x_consumer_id|$http_x_last]";
    server { listen 127.0.0.1:$SECOND_PORT; access_log logs/access.log asked; location / { return 204; } }
--- config
    access_log off;
    location / { auth_request /ask; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /ask { internal; policy_mode enforce; proxy_pass http://127.0.0.1:$SECOND_PORT; }
--- request: GET /
--- more_headers
X-Consumer-ID: spoof
X-1: 1
X-2: 1
X-3: 1
X-4: 1
X-5: 1
X-6: 1
X-7: 1
X-8: 1
X-9: 1
X-10: 1
X-11: 1
X-12: 1
X-13: 1
X-14: 1
X-15: 1
X-16: 1
X-17: 1
X-18: 1
X-Consumer-ID: spoof
X-19: 1
X-Last: last
--- response_json
/header/x-last = "last"
--- access_log: /ask [-|last]

=== internal redirects keep the identity and authenticate once
--- http_config
    consumers c { consumer bob key=SECRET id=00000000-0000-4000-8000-0000000000b1; }
--- config
    location /try { key_auth c; try_files /none @in; }
    location @in { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /error { key_auth c; error_page 404 = /in; root html; }
    location /in { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /plain { key_auth c; error_page 404 = /out; root html; }
    location /out { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /accel { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT/reply?status=200&header=X-Accel-Redirect:/in; }
    location /rewrite { rewrite ^ /in last; }
--- request
["GET /try?a", "GET /error", "GET /plain", "GET /accel", "GET /rewrite", "GET /rewrite", "GET /out"]
--- more_headers
["X-Api-Key: SECRET", "X-Api-Key: SECRET", "X-Api-Key: SECRET", "X-Api-Key: SECRET", "X-Api-Key: SECRET", null, null]
--- error_code: [200, 200, 200, 200, 200, 401, 200]
--- response_json
["/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"\n/header/x-api-key absent", "/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"\n/header/x-consumer-username = \"bob\"", "/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"\n/header/x-api-key absent", "/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"", "/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"", "/message = \"No API key found in request\"", "/header/x-consumer-id absent"]

=== a location with another set asks anew, and its identity replaces the first
--- http_config
    consumers c { consumer bob key=SECRET id=00000000-0000-4000-8000-0000000000b1; }
    consumers d { consumer eve key=OTHER id=00000000-0000-4000-8000-0000000000e1; consumer guest id=00000000-0000-4000-8000-0000000000a1; }
--- config
    location /a { key_auth c; try_files /none @d; }
    location /b { key_auth c; try_files /none @guest; }
    location /c { key_auth c; try_files /none @closed; }
    location @d { key_auth d header=x-second; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location @guest { key_auth d anonymous=guest; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location @closed { key_auth d; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /a", "GET /b", "GET /c"]
--- more_headers
X-Api-Key: SECRET
X-Second: OTHER
--- error_code: [200, 200, 401]
--- response_json
["/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000e1\"\n/header/x-consumer-username = \"eve\"", "/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000a1\"\n/header/x-anonymous-consumer = \"true\"\n/header/x-credential-identifier absent", "/message = \"No API key found in request\""]

=== who came in without a key comes no further by an internal redirect
--- http_config
    consumers c { consumer bob key=SECRET id=00000000-0000-4000-8000-0000000000b1; consumer guest id=00000000-0000-4000-8000-0000000000a1; consumer other; }
--- config
    location /anonymous { key_auth c anonymous=guest; try_files /none @key; }
    location /observed { policy_mode observe; key_auth c; try_files /none @key; }
    location /shown { policy_mode observe; key_auth c hide=off; try_files /none @key; }
    location /other { key_auth c anonymous=other; try_files /none @guest; }
    location /guest { key_auth c anonymous=guest; try_files /none @guest; }
    location @key { policy_mode enforce; key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location @guest { key_auth c anonymous=guest; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /anonymous", "GET /observed", "GET /shown", "GET /anonymous", "GET /observed", "GET /other", "GET /guest", "OPTIONS /anonymous", "OPTIONS /observed"]
--- more_headers
[null, "X-Api-Key: WRONG", "X-Api-Key: WRONG", "X-Api-Key: SECRET", "X-Api-Key: SECRET", null, "X-Api-Key: WRONG", null, "Origin: http://o\nAccess-Control-Request-Method: GET"]
--- error_code: [401, 401, 401, 200, 200, 200, 200, 401, 200]
--- response_json
["/message = \"No API key found in request\"", "/message = \"No API key found in request\"", "/message = \"Unauthorized\"", "/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"\n/header/x-anonymous-consumer absent", "/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000b1\"", "/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000a1\"\n/header/x-anonymous-consumer = \"true\"", "/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000a1\"\n/header/x-anonymous-consumer = \"true\"", "/message = \"No API key found in request\"", "/header/x-consumer-id absent"]

=== an error_page takes the place of the refusal's body
--- user_files
>>> denied.html
denied by us
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    key_auth c;
    location /page { error_page 401 /denied.html; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location = /denied.html { root html; }
    location /proxied { error_page 401 = @login; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location @login { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /page", "GET /proxied", "GET /page"]
--- more_headers
["X-Consumer-ID: spoof", "X-Consumer-ID: spoof\nX-Api-Key: WRONG", "X-Api-Key: SECRET"]
--- error_code: [401, 200, 200]
--- response_headers
["WWW-Authenticate: Key", null, "!WWW-Authenticate"]
--- response_body_like
["^denied by us$", "GET", "bob"]
--- response_body_unlike
[null, "spoof|WRONG|consumer", null]

=== observe lets pass, without an identity that was not proved
--- http_config
    consumers c { consumer bob key=SECRET; }
    log_format seen "[$consumer|$policy_decision|$policy_name|$policy_reason]";
--- config
    access_log logs/access.log seen;
    location / { policy_mode observe; key_auth c; acl allow=g; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /"]
--- more_headers
["X-Consumer-ID: spoof\nX-Api-Key: WRONG", "X-Api-Key: SECRET"]
--- response_json
["/header/x-consumer-id absent\n/header/x-api-key absent", "/header/x-consumer-username = \"bob\"\n/header/x-consumer-groups absent"]
--- access_log
qr/^\[-\|would_deny\|/
qr/^\[bob\|would_deny\|acl\|/
--- error_log: would refuse, status=401

=== observe tells of all that it lets pass in one line
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { policy_mode observe; key_auth c; acl allow=g; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request: GET /
--- error_log
qr/\[notice\] .*key_auth: would refuse, status=401, reason=no_key; acl: would refuse, status=401, reason=no_identity, client: /
--- no_error_log
qr/(\*\d+) acl: would/

=== a set that does not exist
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / {
        key_auth nobody;
        return 200;
    }
--- must_die
--- error_log
qr/\[emerg\] .*unknown consumer set "nobody" in "key_auth" in .*\/conf\/nginx.conf:27$/

=== an anonymous consumer that does not exist
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location / { key_auth c anonymous=nobody; return 200; }
--- must_die
--- error_log
qr/\[emerg\] .*unknown consumer "nobody" in consumer set "c" in .*\/conf\/nginx.conf:26$/

=== nothing stands behind off
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    key_auth off x;
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "x" in .*\/conf\/nginx.conf:26$/

=== limits of failures where nothing can fail
--- http_config
    rate_limit_zone z:32k;
    consumers c { consumer bob key=SECRET; }
--- config
    key_auth_failures 1r/m zone=z;
    location /keyed { key_auth c; }
    location /in { key_auth_failures 1r/m zone=z; location /in/keyed { key_auth c; } }
    location /methods { key_auth_failures 1r/m zone=z; method POST { key_auth c; } }
    location /open {
        key_auth_failures 1r/m zone=z;
    }
--- must_die
--- error_log
qr/\[emerg\] .*"key_auth_failures" requires "key_auth" in .*\/conf\/nginx.conf:32$/

=== unknown parameters are named
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    key_auth c heder=x;
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "heder=x" in .*\/conf\/nginx.conf:26$/

=== repeated parameters are named
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    key_auth c hide=on hide=on;
--- must_die
--- error_log
qr/\[emerg\] .*duplicate parameter "hide=on" in .*\/conf\/nginx.conf:26$/

=== a parameter that is neither on nor off
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    key_auth c preflight=yes;
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "preflight=yes" in .*\/conf\/nginx.conf:26$/

=== a scheme without a header
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    key_auth c scheme=Bearer;
--- must_die
--- error_log
qr/\[emerg\] .*"scheme" requires a "header" parameter in .*\/conf\/nginx.conf:26$/

=== a name that is none of a header
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    key_auth c "header=x y";
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "header=x y" in .*\/conf\/nginx.conf:26$/

=== key_auth twice on one level
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    key_auth c;
    key_auth off;
--- must_die
--- error_log
qr/\[emerg\] .*"key_auth" directive is duplicate in .*\/conf\/nginx.conf:27$/

=== key_auth without a set
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    key_auth;
--- must_die
--- error_log
qr/\[emerg\] .*invalid number of arguments in "key_auth" directive in .*\/conf\/nginx.conf:26$/

=== a variable of an identity header that was asked for before the key shows who it is
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    key_auth c hide=off;
    location / {
        set $before "$http_x_consumer_username.";
        proxy_set_header X-Seen "$before$http_x_consumer_username";
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request: GET /
--- more_headers
X-Api-Key: SECRET
--- response_json
/header/x-seen = ".u"

=== what the configuration sets by the name of a header or cookie stays what it is
--- http_config
    consumers c { consumer u key=SECRET; }
    map $uri $http_mapped { default mapped; }
--- config
    key_auth c hide=off;
    location / {
        set $http_my_thing kept;
        set $cookie_flags kept;
        set $asked "$http_mapped$http_other";
        proxy_set_header X-Seen "$http_my_thing $cookie_flags $http_mapped $http_other";
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request: GET /
--- more_headers
X-Api-Key: SECRET
My-Thing: client
Mapped: client
Other: client
Cookie: flags=client
--- response_json
/header/x-seen = "kept kept mapped client"

=== a subrequest is told no groups where its location hides them
--- http_config
    consumers c { consumer bob key=SECRET groups=g; }
    log_format mirrored "$uri [$http_x_consumer_username|$http_x_consumer_groups]";
    server {
        listen 127.0.0.1:$SECOND_PORT;
        access_log logs/access.log mirrored;
        location / { return 204; }
    }
--- config
    access_log off;
    location / {
        key_auth c;
        acl allow=g;
        mirror /hidden;
        mirror /off;
        mirror /shown;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
    location = /hidden { internal; key_auth c; acl allow=g hide_groups; proxy_pass http://127.0.0.1:$SECOND_PORT; }
    location = /off { internal; key_auth c; acl off; proxy_pass http://127.0.0.1:$SECOND_PORT; }
    location = /shown { internal; key_auth c; acl allow=g; proxy_pass http://127.0.0.1:$SECOND_PORT; }
--- request: GET /
--- more_headers: X-Api-Key: SECRET
--- response_json
/header/x-consumer-groups = "g"
--- access_log
/hidden [bob|-]
/off [bob|-]
/shown [bob|g]

=== an identity of another set goes no further where nobody is known by this one
--- http_config
    consumers c { consumer alice key=SECRET; }
    consumers d { consumer dora key=OTHER; }
--- config
    location / { key_auth c; error_page 404 = @next; root /nowhere; }
    location @next {
        policy_mode observe;
        key_auth d header=x-other;
        proxy_set_header X-Seen "[$consumer]";
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request
["GET /a", "GET /a"]
--- more_headers
["X-Api-Key: SECRET\nX-Other: wrong", "X-Api-Key: SECRET\nX-Other: OTHER"]
--- response_json
["/header/x-seen = \"[]\"\n/header/x-consumer-username absent\n/header/x-consumer-id absent", "/header/x-seen = \"[dora]\"\n/header/x-consumer-username = \"dora\""]

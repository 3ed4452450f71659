# Bodies, parameters and OpenAPI documents. What is refused never reaches the upstream; what is let through does so byte for byte.

=== a body that conforms reaches the upstream as it was sent
--- conf_files
>>> user.json
{"type":"object","required":["email"],"properties":{"email":{"type":"string","format":"email"},"age":{"type":"integer","minimum":0}}}
--- config
    location /u { validate_body user.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /u\n{ \"email\" : \"a@b.example\",\"age\":3 }", "PUT /u\n{\"email\":\"a@b.example\"}"]
--- more_headers
Content-Type: application/json; charset=utf-8
--- error_code: 200
--- response_json
["/body = \"{ \\\"email\\\" : \\\"a@b.example\\\",\\\"age\\\":3 }\"", "/body = \"{\\\"email\\\":\\\"a@b.example\\\"}\""]

=== what does not conform is refused with everything that is wrong, values not shown
--- conf_files
>>> user.json
{"type":"object","required":["email"],"properties":{"email":{"type":"string","format":"email"},"age":{"type":"integer"}}}
--- config
    location /u { validate_body user.json; proxy_pass http://127.0.0.1:1; }
--- request
POST /u
{"email":"secret-value","age":"old"}
--- more_headers
Content-Type: application/json
--- error_code: 400
--- response_json
/message = "request body doesn't conform to schema"
/errors/0/in = "body"
/request_id ~ ^[0-9a-f]{32}$
--- response_body_like: "path":"/email","keyword":"format"
--- response_body_unlike: secret-value
--- no_error_log
secret-value

=== brief errors say no more than the message
--- conf_files
>>> user.json
{"type":"object","required":["email"]}
--- config
    location /u { validate_body user.json; validate_errors brief; proxy_pass http://127.0.0.1:1; }
--- request
POST /u
{}
--- more_headers
Content-Type: application/json
--- error_code: 400
--- response_json
/message = "request body doesn't conform to schema"
/errors absent

=== types, syntax, duplicates and depth
--- conf_files
>>> any.json
{}
--- config
    location /u { validate_body any.json; validate_depth 3; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /u\n{}", "POST /u\n{}", "POST /u\n{bad", "POST /u\n{\"a\":1,\"\\u0061\":2}", "POST /u\n[[[[]]]]", "POST /u\n[[[]]]", "POST /u", "GET /u"]
--- more_headers
["Content-Type: text/plain", null, "Content-Type: application/json", "Content-Type: application/json", "Content-Type: application/json", "Content-Type: application/vnd.x+json", "Content-Type: application/json", null]
--- error_code: [415, 415, 400, 400, 400, 200, 400, 400]
--- response_json
["/message = \"specified Content-Type is not allowed\"", "/message = \"specified Content-Type is not allowed\"", "/message = \"request body is not valid JSON\"", "/message = \"request body is not valid JSON\"", "/message = \"request body is not valid JSON\"", "/method = \"POST\"", "/message = \"request body doesn't conform to schema\"", "/message = \"request body doesn't conform to schema\""]

=== chunked bodies and bodies in a temporary file are validated whole
--- conf_files
>>> list.json
{"type":"array","items":{"type":"integer"}}
--- config
    client_body_buffer_size 1k;
    location /u { validate_body list.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /file { client_body_in_file_only clean; validate_body list.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /u\n[1,2,3]", "POST /u\n[1,2,\"x\"]", "POST /file\n[4]", "POST /file\n[true]"]
--- more_headers
["Content-Type: application/json\nTransfer-Encoding: chunked", "Content-Type: application/json\nTransfer-Encoding: chunked", "Content-Type: application/json", "Content-Type: application/json"]
--- error_code: [200, 400, 200, 400]

=== forms are objects of strings, coerced
--- conf_files
>>> form.json
{"type":"object","required":["n"],"properties":{"n":{"type":"integer","maximum":5}}}
--- config
    location /u { validate_body form.json content_type=application/x-www-form-urlencoded; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /u\nn=5", "POST /u\nn=6", "POST /u\nm=1"]
--- more_headers
Content-Type: application/x-www-form-urlencoded
--- error_code: [200, 400, 400]

=== parameters of query, header and path
--- config
    location ~ ^/items/(?<id>[^/]+)$ {
        validate_param path id 'schema={"type":"integer"}';
        validate_param query page 'schema={"type":"integer","minimum":1}';
        validate_param header x-trace required;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request
["GET /items/7?page=2", "GET /items/x?page=2", "GET /items/7?page=0", "GET /items/7"]
--- more_headers
["X-Trace: 1", "X-Trace: 1", "X-Trace: 1", null]
--- error_code: [200, 400, 400, 400]
--- response_json
["/uri = \"/items/7?page=2\"", "/message = \"request param doesn't conform to schema\"\n/errors/0/in = \"path\"\n/errors/0/name = \"id\"", "/errors/0/in = \"query\"\n/errors/0/name = \"page\"", "/errors/0/in = \"header\"\n/errors/0/name = \"x-trace\""]

=== a route's parameters are the path's, split before they are decoded
--- config
    location /a/ {
        route "/a/{ids}";
        validate_param path ids 'schema={"type":"array","items":{"type":"string","pattern":"^[a-z,]+$"},"maxItems":2}';
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request
["GET /a/x,y", "GET /a/x,y,z", "GET /a/x%2Cy,z"]
--- error_code: [200, 400, 200]

=== another spelling of a path is no way round the parameters of a route
--- config
    location /r/ {
        route "/r/{id}";
        validate_param path id 'schema={"type":"integer"}';
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
    location /old/ {
        route "/old/{id}";
        validate_param path id 'schema={"type":"integer"}';
        rewrite ^/old/(.*)$ /new/$1 break;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
    location /files/ {
        route "/files/{name+}";
        validate_param path name 'schema={"type":"string","pattern":"^open/"}';
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request
["GET /r/7", "GET /r//7", "GET /r//x", "GET /r/./x", "GET /r/z/../x", "GET /r%2Fx", "GET /r/x#y", "GET /r/7/8", "GET /r/", "GET /old/7", "GET /old/x", "GET /old//x", "GET /files/open/a", "GET /files/open/../a"]
--- error_code: [200, 200, 400, 400, 400, 400, 400, 400, 400, 200, 400, 400, 200, 400]

=== another spelling of a path is no way round an OpenAPI document
nginx ends a path at a fragment, and takes an encoded slash for one.
--- conf_files
>>> api.json
{"openapi":"3.0.3","info":{"title":"t","version":"1"},"paths":{"/v1/users":{"get":{"parameters":[{"name":"page","in":"query","required":true}],"responses":{}}}}}
--- config
    location / { validate_openapi api.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /v1/users?page=1", "GET /v1/users", "GET /v1/users#x", "GET /v1/users#?page=1", "GET /v1%2Fusers", "GET /v1/users?page=1#x", "GET /v2/users"]
--- error_code: [200, 400, 400, 400, 400, 200, 200]

=== parameters are judged before the body is read
--- conf_files
>>> any.json
{}
--- config
    location /u { validate_param query q required; validate_body any.json; proxy_pass http://127.0.0.1:1; }
--- request
POST /u
{bad
--- more_headers
Content-Type: application/json
--- error_code: 400
--- response_json: /message = "request param doesn't conform to schema"

=== an OpenAPI document judges operation, parameters and body
--- conf_files
>>> api.json
{"openapi":"3.1.0","info":{"title":"t","version":"1"},"servers":[{"url":"https://x.example/v1"}],"paths":{"/users/{id}":{"get":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}],"responses":{}}},"/users":{"post":{"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["name"]}}}},"responses":{}}}}}
--- config
    location /v1/ { validate_openapi api.json unknown=deny; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /open/ { validate_openapi api.json base=/open; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /v1/users/5", "HEAD /v1/users/5", "GET /v1/users/x", "POST /v1/users\n{\"name\":\"a\"}", "POST /v1/users\n{}", "DELETE /v1/users/5", "GET /v1/other", "GET /open/other"]
--- more_headers
Content-Type: application/json
--- error_code: [200, 200, 400, 200, 400, 405, 404, 200]
--- response_headers
[null, null, null, null, null, "Allow: GET, HEAD", null, null]
--- response_body_like
[".", "^$", "conform", ".", "conform", "Method not allowed", "No such operation", "."]

=== a large body is checked without the event loop and goes on
--- conf_files
>>> big.json
{"type":"object","properties":{"a":{"type":"string","maxLength":400000}}}
--- config
    client_max_body_size 2m;
    location /u { validate_body big.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT/status/200; }
--- request
POST /u
{"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}
--- more_headers
Content-Type: application/json
--- error_code: 200

=== HTTP/2 bodies are validated
--- http2
--- conf_files
>>> list.json
{"type":"array"}
--- config
    location /u { validate_body list.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /u\n[]", "POST /u\n{}"]
--- more_headers
Content-Type: application/json
--- error_code: [200, 400]

=== observe lets everything through and shows what it would have refused
--- conf_files
>>> list.json
{"type":"array"}
--- config
    policy_mode observe;
    location /u { validate_body list.json; add_header X-Decision "$policy_decision $policy_name $policy_reason"; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
POST /u
{}
--- more_headers
Content-Type: application/json
--- response_headers
X-Decision: would_deny validate_body body_schema
--- error_log
validate_body: would refuse, status=400, reason=body_schema

=== off stops inheritance
--- conf_files
>>> list.json
{"type":"array"}
--- server_config
    validate_body list.json;
--- config
    location /u { validate_body off; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
POST /u
{}
--- error_code: 200

=== a schema that is no schema is named
--- conf_files
>>> bad.json
{"type":"object","properties":{"n":{"type":"integre"}}}
--- config
    location /u { validate_body bad.json; }
--- must_die
--- error_log
qr/\[emerg\] .*schema ".*bad\.json" is invalid at "\/properties\/n.*" in .*nginx\.conf:\d+/

=== a path parameter that no path has is named
--- config
    location /u { route "/u/{name}"; validate_param path id required; }
--- must_die
--- error_log
qr/\[emerg\] .*"id" is neither of a "route" nor a named capture in .*nginx\.conf:\d+/

=== a path parameter may be of a capture around, or of some locations only
--- server_config
    server_name localhost ~^(?<tenant>[a-z]+)\.example$;
    validate_param path id;
--- config
    location /plain { return 204; }
    location /by/ { validate_param path user; method GET { route "/by/{user}"; return 204; } }
    location ~ ^/a/(?<Ident>[0-9]+) {
        validate_param path tenant;
        method GET { validate_param path ident 'schema={"maxLength":2}'; return 204; }
        location ~ ^/a/(?P<other>[0-9]+)/x { validate_param path ident; validate_param path other; return 204; }
    }
--- request: GET /plain
--- error_code: 204

=== a schema that is not there is named
--- config
    location /u { validate_body none.json; }
--- must_die
--- error_log
qr/\[emerg\] .*cannot read ".*none\.json".* in .*nginx\.conf:\d+/

=== a remote reference is refused
--- conf_files
>>> remote.json
{"$ref":"https://example.com/schema.json"}
--- config
    location /u { validate_body remote.json; }
--- must_die
--- error_log
qr/\[emerg\] .*remote\.json/

=== an error page is shown where validation is in force, the body thrown away or not
--- conf_files
>>> user.json
{"type":"object","required":["email"]}
--- user_files
>>> big.txt
too big
>>> gone.txt
gone
--- config
    client_max_body_size 10;
    validate_body user.json;
    error_page 413 /big.txt;
    error_page 404 /gone.txt;
    location / { root html; }
    location /r { return 404; }
    location /named { return 404; error_page 404 @named; }
    location @named { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /r\n12345678901", "POST /r\n{}", "POST /r\n12345678901", "POST /named\n{}"]
--- more_headers
["Content-Type: application/json", "Content-Type: application/json", "Transfer-Encoding: chunked\nContent-Type: application/json", "Content-Type: application/json"]
--- error_code: [413, 404, 404, 400]
--- response_body_like
["^too big$", "^gone$", "^gone$", "doesn't conform"]

=== a chunked body over the limit is refused as too large, not as invalid
--- conf_files
>>> user.json
{"type":"object","required":["email"]}
--- user_files
>>> big.txt
too big
--- config
    client_max_body_size 10;
    validate_body user.json;
    location /p { proxy_pass http://127.0.0.1:1; }
    location /page { error_page 413 /big.txt; proxy_pass http://127.0.0.1:1; }
    location /big.txt { root html; }
--- request
["POST /p\n{\"email\":\"a@b.example\"}", "POST /page\n{\"email\":\"a@b.example\"}"]
--- more_headers
Content-Type: application/json
Transfer-Encoding: chunked
--- error_code: 413
--- response_body_like
["Request body is too large", "^too big$"]

=== subrequests are a part of the request that made them
--- conf_files
>>> user.json
{"type":"object","required":["email"]}
--- config
    validate_body user.json;
    location = /auth { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
    location = /copy { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location / { auth_request /auth; mirror /copy; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /u\n{\"email\":1}", "POST /u\n{}"]
--- more_headers
Content-Type: application/json
--- error_code: [200, 400]

=== a body is read once for a key in it and for its schema
--- http_config
    consumers c { consumer alice key=a; }
--- conf_files
>>> user.json
{"type":"object","required":["email"],"additionalProperties":{"type":"integer"}}
--- config
    location /shown { key_auth c body=apikey hide=off; validate_body user.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /hidden { key_auth c body=apikey; validate_body user.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /hidden\n{\"apikey\":\"a\",\"email\":1}", "POST /shown\n{\"apikey\":\"a\",\"email\":1}", "POST /hidden\n{\"apikey\":\"a\"}", "POST /hidden\n{\"apikey\":\"b\",\"email\":1}"]
--- more_headers
Content-Type: application/json
--- error_code: [200, 400, 400, 401]
--- response_json
["/body = \"{\\\"email\\\":1}\"", "/errors/0/in = \"body\"", "/errors/0/in = \"body\"", "/message = \"Unauthorized\""]

=== unbuffered uploads are validated whole before they go on
--- conf_files
>>> user.json
{"type":"object","required":["email"]}
--- config
    location /u { validate_body user.json; proxy_request_buffering off; proxy_http_version 1.1; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /u\n{\"email\":1}", "POST /u\n{\"email\":1}", "POST /u\n{\"e\":1}"]
--- more_headers
["Content-Type: application/json\nTransfer-Encoding: chunked", "Content-Type: application/json\nExpect: 100-continue", "Content-Type: application/json\nTransfer-Encoding: chunked"]
--- error_code: [200, 200, 400]
--- response_json
["/body = \"{\\\"email\\\":1}\"", "/body = \"{\\\"email\\\":1}\"", "/message = \"request body doesn't conform to schema\""]

=== a client that asks before it sends is told to go on, or is refused for its head
--- conf_files
>>> user.json
{"type":"object","required":["email"]}
--- config
    location /u { validate_body user.json; validate_param query page required; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- raw_request json
"POST /u?page=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}"
--- error_code: 400
--- response_json
/errors/0/in = "body"

=== a body of a type that is not allowed is refused before it is asked for
--- conf_files
>>> user.json
{"type":"object"}
--- config
    lingering_close off;
    location /u { validate_body user.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request: POST /u
--- more_headers
Content-Type: text/plain
Content-Length: 2
Expect: 100-continue
--- error_code: 415
--- response_json
/message = "specified Content-Type is not allowed"

=== an internal redirect to a stricter location is validated there
--- conf_files
>>> user.json
{"type":"object","required":["email"]}
>>> strict.json
{"type":"object","required":["name"]}
--- config
    location /u { validate_body user.json; try_files /none @strict; }
    location @strict { validate_body strict.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /off { validate_body user.json; error_page 404 = @open; root html; try_files /none =404; }
    location @open { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /rewritten { validate_body user.json; rewrite ^ /strict last; }
    location /strict { validate_body strict.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["POST /u\n{\"email\":1}", "POST /u\n{\"email\":1,\"name\":1}", "POST /u\n{\"name\":1}", "POST /off\n{}", "POST /off\n{\"email\":1}", "POST /rewritten\n{\"email\":1}", "POST /rewritten\n{\"name\":1}"]
--- more_headers
Content-Type: application/json
--- error_code: [400, 200, 400, 400, 200, 400, 200]

=== bodies encoded by gzip are decoded for their check where that is allowed, and go on as they came
--- conf_files
>>> user.json
{"type":"object","required":["email"]}
--- config
    client_max_body_size 2k;
    location /m { validate_body user.json content_encoding=gzip; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /any { validate_body user.json content_encoding=gzip; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /f { client_body_in_file_only clean; validate_body user.json content_encoding=gzip; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /off { validate_body user.json; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request latin1
["POST /m\n\u001f\u008b\b\u0000\u0000\u0000\u0000\u0000\u0002\u00ff\u00abVJ\u00cdM\u00cc\u00ccQ\u00b22\u00ac\u0005\u0000xH\u00e05\u000b\u0000\u0000\u0000", "POST /f\n\u001f\u008b\b\u0000\u0000\u0000\u0000\u0000\u0002\u00ff\u00abVJ\u00cdM\u00cc\u00ccQ\u00b22\u00ac\u0005\u0000xH\u00e05\u000b\u0000\u0000\u0000", "POST /m\n\u001f\u008b\b\u0000\u0000\u0000\u0000\u0000\u0002\u00ff\u00abVJ\u00cdM\u00cc\u00ccQ\u00b22\u00ac\u0005\u0000xH\u00e05\u000b\u0000\u0000\u0000", "POST /m\n\u001f\u008b\b\u0000\u0000\u0000\u0000\u0000\u0002\u00ff\u00ab\u00ae\u0005\u0000C\u00bf\u00a6\u00a3\u0002\u0000\u0000\u0000", "POST /f\n\u001f\u008b\b\u0000\u0000\u0000\u0000\u0000\u0002\u00ff\u00ab\u00ae\u0005\u0000C\u00bf\u00a6\u00a3\u0002\u0000\u0000\u0000", "POST /m\n\u001f\u008b\b\u0000\u0000\u0000\u0000\u0000\u0002\u00ff\u00ab\u00ae\u0005\u0000C\u00bf\u00a6\u00a3\u0002\u0000\u0000\u0000", "POST /m\n\u001f\u008b\b\u0000\u0000\u0000\u0000\u0000\u0002\u00ff\u00abVJ\u00cdM\u00cc\u00ccQ\u00b2RJ\u001c\u0005\u00a3`\u0014\u008c\u0082Q0\nF\u00c1(\u0018\u0005\u00a3`\u0014\fz\u00a0T\u000b\u0000TA\u008dv\u00c4\u000b\u0000\u0000", "POST /m\n{\"email\":1}", "POST /off\n\u001f\u008b\b\u0000\u0000\u0000\u0000\u0000\u0002\u00ff\u00abVJ\u00cdM\u00cc\u00ccQ\u00b22\u00ac\u0005\u0000xH\u00e05\u000b\u0000\u0000\u0000", "POST /any\n\u001f\u008b\b\u0000\u0000\u0000\u0000\u0000\u0002\u00ff\u00abVJ\u00cdM\u00cc\u00ccQ\u00b22\u00ac\u0005\u0000xH\u00e05\u000b\u0000\u0000\u0000"]
--- more_headers
["Content-Type: application/json\nContent-Encoding: gzip", "Content-Type: application/json\nContent-Encoding: gzip", "Content-Type: application/json\nContent-Encoding: gzip\nTransfer-Encoding: chunked", "Content-Type: application/json\nContent-Encoding: gzip", "Content-Type: application/json\nContent-Encoding: gzip", "Content-Type: application/json\nContent-Encoding: gzip\nTransfer-Encoding: chunked", "Content-Type: application/json\nContent-Encoding: gzip", "Content-Type: application/json\nContent-Encoding: gzip", "Content-Type: application/json\nContent-Encoding: gzip", "Content-Type: application/json\nContent-Encoding: br"]
--- error_code: [200, 200, 200, 400, 400, 400, 413, 400, 415, 415]
--- response_json
["/header/content-encoding = \"gzip\"\n/header/content-length = \"31\"", "/header/content-encoding = \"gzip\"\n/header/content-length = \"31\"", "/header/content-encoding = \"gzip\"\n/header/content-length = \"31\"", "/errors/0/keyword = \"required\"", "/errors/0/keyword = \"required\"", "/errors/0/keyword = \"required\"", "/message = \"Request body is too large\"", "/message = \"request body is not valid JSON\"", "/message = \"specified Content-Type is not allowed\"", "/message = \"specified Content-Type is not allowed\""]

=== an encoding that is not decoded is no value of content_encoding
--- conf_files
>>> user.json
{}
--- config
    location /u { validate_body user.json content_encoding=br; }
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "content_encoding=br".* in .*nginx\.conf:\d+/

=== a path parameter of a named capture is split before it is decoded, as a route's is
--- config
    location ~ ^/a/(?<ids>[^/]+)$ {
        validate_param path ids 'schema={"type":"array","items":{"type":"string","pattern":"^[a-z,]+$"},"maxItems":2}';
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request
["GET /a/x,y", "GET /a/x,y,z", "GET /a/x%2Cy,z", "GET /%61//x%2cy,z"]
--- error_code: [200, 400, 200, 400]

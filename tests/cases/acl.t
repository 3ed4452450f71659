# Whom a location lets in, by group.

=== groups decide, and deny wins
--- http_config
    consumers c {
        consumer ab groups=a,b key=AB;
        consumer cc groups=c key=C;
        consumer none key=NONE;
    }
--- config
    key_auth c;
    location /allow-a { acl allow=a; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /allow-xb { acl allow=x,b; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /allow-A { acl allow=A; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /deny-a { acl deny=a; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /deny-ac { acl deny=a,c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /both { acl allow=a,c deny=b; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /allow-a", "GET /allow-a", "GET /allow-a", "GET /allow-xb", "GET /allow-A", "GET /deny-a", "GET /deny-a", "GET /deny-a", "GET /deny-ac", "GET /both", "GET /both", "GET /both"]
--- more_headers
["X-Api-Key: AB", "X-Api-Key: C", "X-Api-Key: NONE", "X-Api-Key: AB", "X-Api-Key: AB", "X-Api-Key: AB", "X-Api-Key: C", "X-Api-Key: NONE", "X-Api-Key: C", "X-Api-Key: AB", "X-Api-Key: C", "X-Api-Key: NONE"]
--- error_code: [200, 403, 403, 200, 403, 403, 200, 200, 403, 403, 200, 403]
--- response_headers
!WWW-Authenticate
--- response_json
["/header/x-consumer-groups = \"a, b\"", "/message = \"You cannot consume this service\"", "/message = \"You cannot consume this service\"", "/header/x-consumer-groups = \"a, b\"", "/message = \"You cannot consume this service\"", "/message = \"You cannot consume this service\"", "/header/x-consumer-groups = \"c\"", "/header/x-consumer-groups absent\n/header/x-consumer-username = \"none\"", "/message = \"You cannot consume this service\"", "/message = \"You cannot consume this service\"", "/header/x-consumer-groups = \"c\"", "/message = \"You cannot consume this service\""]

=== without a good key the answer is key_auth's
--- http_config
    consumers c { consumer u groups=a key=SECRET; }
--- config
    location / { key_auth c realm=r; acl allow=a; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /"]
--- more_headers
[null, "X-Api-Key: WRONG"]
--- error_code: 401
--- response_headers: WWW-Authenticate: Key realm="r"
--- response_json
["/message = \"No API key found in request\"", "/message = \"Unauthorized\""]

=== no identity is 401, with key_auth's challenge
Only a preflight comes so far without one.
--- http_config
    consumers c { consumer u groups=a key=SECRET; }
--- config
    location /allow { key_auth c header=authorization scheme=Bearer realm=r; acl allow=a; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /deny { key_auth c; acl deny=x; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["OPTIONS /allow", "OPTIONS /deny"]
--- more_headers
Origin: http://o
Access-Control-Request-Method: GET
--- error_code: 401
--- response_headers
["WWW-Authenticate: Bearer realm=\"r\"", "WWW-Authenticate: Key"]
--- response_json
/message = "Unauthorized"

=== an anonymous consumer is judged by its groups, and a key might help
--- http_config
    consumers c {
        consumer u groups=a key=SECRET;
        consumer guest groups=public;
        consumer stranger;
    }
--- config
    location /a { key_auth c anonymous=guest; acl allow=a; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /public { key_auth c anonymous=guest; acl allow=public; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /denied { key_auth c anonymous=guest; acl deny=public; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /stranger-allow { key_auth c anonymous=stranger; acl allow=public; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /stranger-deny { key_auth c anonymous=stranger; acl deny=public; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /a", "GET /a", "GET /public", "GET /denied", "GET /stranger-allow", "GET /stranger-deny"]
--- more_headers
[null, "X-Api-Key: SECRET", null, null, null, null]
--- error_code: [401, 200, 200, 403, 401, 200]
--- response_headers
["WWW-Authenticate: Key", "!WWW-Authenticate", null, "!WWW-Authenticate", "WWW-Authenticate: Key", null]
--- response_json
["/message = \"Unauthorized\"", "/header/x-consumer-groups = \"a\"", "/header/x-consumer-groups = \"public\"\n/header/x-anonymous-consumer = \"true\"", "/message = \"You cannot consume this service\"", "/message = \"Unauthorized\"", "/header/x-consumer-groups absent"]

=== groups are sent only where an acl sends them
--- http_config
    consumers c { consumer u groups=a,b key=SECRET; }
--- config
    key_auth c;
    location /hidden { acl allow=a hide_groups; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /none { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /off { acl off; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /shown { acl deny=x; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /hidden", "GET /none", "GET /off", "GET /shown"]
--- more_headers
X-Api-Key: SECRET
X-Consumer-Groups: admin
x-consumer-groups: admin
--- response_json
["/header/x-consumer-groups absent", "/header/x-consumer-groups absent", "/header/x-consumer-groups absent", "/header/x-consumer-groups = \"a, b\""]
--- response_body_unlike: admin

=== after an internal redirect groups are those that the new location sends
--- http_config
    consumers c { consumer u groups=a,b key=SECRET; }
    consumers d { consumer guest groups=z; }
--- config
    key_auth c;
    location /none { acl allow=a; try_files /none @none; }
    location /hidden { acl allow=a; try_files /none @hidden; }
    location /again { acl allow=a; try_files /none @again; }
    location /closed { acl allow=a; try_files /none @closed; }
    location /other { acl allow=a; try_files /none @other; }
    location @none { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location @hidden { acl allow=b hide_groups; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location @again { acl allow=b; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location @closed { acl deny=b; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location @other { key_auth d anonymous=guest; acl allow=z; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /none", "GET /hidden", "GET /again", "GET /closed", "GET /other"]
--- more_headers
X-Api-Key: SECRET
--- error_code: [200, 200, 200, 403, 200]
--- response_json
["/header/x-consumer-username = \"u\"\n/header/x-consumer-groups absent", "/header/x-consumer-groups absent", "/header/x-consumer-groups = \"a, b\"", "/message = \"You cannot consume this service\"", "/header/x-consumer-groups = \"z\"\n/header/x-consumer-username = \"guest\""]

=== levels: a written list replaces the inherited one, off ends it
--- http_config
    consumers c { consumer u groups=a key=SECRET; }
    key_auth c;
    acl deny=a;
--- config
    location / { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /allow { acl allow=a; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /off { acl off; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; location /off/in { proxy_pass http://127.0.0.1:$UPSTREAM_PORT; } }
--- request
["GET /", "GET /allow", "GET /off", "GET /off/in"]
--- more_headers
X-Api-Key: SECRET
--- error_code: [403, 200, 200, 200]

=== groups by method
--- http_config
    consumers c { consumer r groups=readers key=R; consumer w groups=readers,writers key=W; }
--- config
    location / {
        key_auth c;
        acl allow=writers;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method GET { acl allow=readers; }
    }
--- request
["GET /", "POST /", "GET /", "POST /", "HEAD /"]
--- more_headers
["X-Api-Key: R", "X-Api-Key: R", "X-Api-Key: W", "X-Api-Key: W", "X-Api-Key: R"]
--- error_code: [200, 403, 200, 200, 200]

=== acl without key_auth
--- config
    location /a {
        acl allow=a;
        return 200;
    }
--- must_die
--- error_log
qr/\[emerg\] .*"acl" requires "key_auth" wherever it is in force in .*\/conf\/nginx.conf:26$/

=== acl where key_auth is off
--- http_config
    consumers c { consumer u key=SECRET; }
    key_auth c;
    acl allow=a;
--- config
    location /a { key_auth off; return 200; }
--- must_die
--- error_log
qr/\[emerg\] .*"acl" requires "key_auth" wherever it is in force in .*\/conf\/nginx.conf:21$/

=== acl with nothing to go by
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    key_auth c;
    acl hide_groups;
--- must_die
--- error_log
qr/\[emerg\] .*"acl" must have "allow" or "deny" parameter in .*\/conf\/nginx.conf:27$/

=== acl with an empty name
--- http_config
    consumers c { consumer u key=SECRET; }
--- config
    key_auth c;
    acl allow=a,,b;
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "allow=a,,b" in .*\/conf\/nginx.conf:27$/

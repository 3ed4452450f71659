# Sets of consumers: lines, files, and what is wrong with them. No key is ever in a log.

=== lines and files make one set
--- conf_files
>>> more.json
{"consumers": [
    {"username": "json", "id": "j-1", "custom_id": "cj", "tags": ["t"], "groups": ["g"],
     "keys": [{"id": "k-1", "key": "JSON"}, {"id": "k-2", "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]},
    {"custom_id": "nameless", "keys": [{"key": "sha256:literal"}]}
]}
>>> more.yaml
consumers:
  - username: yaml
    groups: [g, h]
    keys:
      - key: "123"
>>> key.txt
FILED
second line
--- main_config
    env THE_KEY;
--- env
THE_KEY=FROM-ENV
--- http_config
    consumers c {
        consumer line id=00000000-0000-4000-8000-0000000000c1 custom_id=cl groups=g,h tags=t,u key=LINE key=sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AE;
        consumer env key=env:THE_KEY;
        consumer filed key=file:key.txt;
        consumer keyless;
        file more.json;
        file more.yaml watch=off;
    }
--- config
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /", "GET /"]
--- more_headers
["X-Api-Key: LINE", "X-Api-Key: FROM-ENV", "X-Api-Key: FILED", "X-Api-Key: JSON", "X-Api-Key: abc", "X-Api-Key: sha256:literal", "X-Api-Key: 123", "X-Api-Key: second line", "X-Api-Key: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
--- error_code: [200, 200, 200, 200, 200, 200, 200, 401, 401]
--- response_json
["/header/x-consumer-id = \"00000000-0000-4000-8000-0000000000c1\"\n/header/x-consumer-custom-id = \"cl\"", "/header/x-consumer-username = \"env\"", "/header/x-consumer-username = \"filed\"", "/header/x-consumer-username = \"json\"\n/header/x-credential-identifier = \"k-1\"", "/header/x-consumer-id = \"j-1\"\n/header/x-credential-identifier = \"k-2\"", "/header/x-consumer-custom-id = \"nameless\"\n/header/x-consumer-username absent", "/header/x-consumer-username = \"yaml\"", "/message = \"Unauthorized\"", "/message = \"Unauthorized\""]

=== a Kong declarative file serves as it is
--- conf_files
>>> kong.yml
_format_version: "3.0"
_transform: true
services:
  - name: s
    url: http://example.com
    routes: [{name: r, paths: [/]}]
plugins: [{name: key-auth}]
consumers:
  - username: bob
    custom_id: crm-7
    tags: [gold]
    keyauth_credentials:
      - key: KONG-ONE
        tags: [x]
      - key: KONG-TWO
    acls:
      - group: admins
      - group: users
  - username: ann
keyauth_credentials:
  - consumer: ann
    key: KONG-THREE
acls:
  - consumer: ann
    group: users
--- http_config
    consumers c { file kong.yml; }
--- config
    location / { key_auth c header=apikey; acl allow=users; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /", "GET /", "GET /"]
--- more_headers
["apikey: KONG-ONE", "apikey: KONG-TWO", "apikey: KONG-THREE", "apikey: KONG-FOUR"]
--- error_code: [200, 200, 200, 401]
--- response_json
["/header/x-consumer-groups = \"admins, users\"\n/header/x-consumer-custom-id = \"crm-7\"", "/header/x-consumer-username = \"bob\"", "/header/x-consumer-username = \"ann\"\n/header/x-consumer-groups = \"users\"", "/message = \"Unauthorized\""]

=== a key is good in its time, while it is not disabled
--- conf_files
>>> c.json
{"consumers": [{"username": "bob", "keys": [
    {"key": "GOOD", "not_before": "2020-01-01T00:00:00Z", "expires_at": "2999-01-01T00:00:00+02:00"},
    {"key": "EXPIRED", "expires_at": "2020-01-01T00:00:00Z"},
    {"key": "FUTURE", "not_before": "2999-01-01T00:00:00Z"},
    {"key": "DISABLED", "disabled": true},
    {"key": "ENABLED", "disabled": false}
]}]}
--- http_config
    consumers c { file c.json; }
    log_format reason "$policy_name $policy_reason";
--- config
    access_log logs/access.log reason;
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /", "GET /", "GET /", "GET /"]
--- more_headers
["X-Api-Key: GOOD", "X-Api-Key: EXPIRED", "X-Api-Key: FUTURE", "X-Api-Key: DISABLED", "X-Api-Key: ENABLED"]
--- error_code: [200, 401, 401, 401, 200]
--- response_json
[null, "/message = \"Unauthorized\"", "/message = \"Unauthorized\"", "/message = \"Unauthorized\"", null]
--- access_log
qr/^key_auth \S*expired/
qr/^key_auth \S*disabled/

=== derived ids depend on set and name only, after a reload too
--- http_config
    consumers c { consumer bob key=ONE; }
    consumers d { consumer ann; consumer bob groups=g key=ONE key=TWO; }
--- config
    location /c { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /d { key_auth d; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /c", "GET /d", {"reload": true}, "GET /d"]
--- more_headers
X-Api-Key: ONE
--- response_json
["/header/x-consumer-id = \"44b0c0a4-d443-81c7-8f55-90b68071ba56\"", "/header/x-consumer-id = \"fb2c53b5-0cbd-8379-9732-436ff6f4e13a\"", "/header/x-consumer-id = \"fb2c53b5-0cbd-8379-9732-436ff6f4e13a\""]

=== a set stands below its use, and serves many
--- config
    location / { key_auth later; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- http_config
    server { listen 127.0.0.1:$SECOND_PORT; key_auth later; location / { root none; } }
    consumers later { consumer bob key=SECRET; }
--- request
["GET /", "GET /"]
--- more_headers
["X-Api-Key: SECRET", null]
--- error_code: [200, 401]

=== a changed file is in force without a reload
--- conf_files
>>> c.json
{"consumers": [{"username": "bob", "keys": [{"key": "OLD"}]}]}
--- http_config
    consumers c { file c.json watch=200ms; }
--- config
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- log_level: notice
--- request
["GET /",
 {"write": "conf/c.json", "content": "{\"consumers\": [{\"username\": \"bob\", \"keys\": [{\"key\": \"NEW\"}]}]}"},
 {"until": "GET /", "more_headers": "X-Api-Key: NEW"},
 "GET /", "GET /"]
--- more_headers
["X-Api-Key: OLD", "X-Api-Key: OLD", "X-Api-Key: NEW"]
--- error_code: [200, 401, 200]
--- error_log: consumers: set "c" reloaded, consumers=1

=== a bad file leaves the set as it was, and is told with its line
--- conf_files
>>> c.json
{"consumers": [{"username": "bob", "keys": [{"key": "SECRET"}]}]}
--- http_config
    consumers c { file c.json watch=200ms; }
--- config
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
[{"write": "conf/c.json", "content": "{\"consumers\": [\n{\"username\": \"bob\", \"keys\": [{\"key\": \"OTHER-SECRET\", \"oops\": 1}]}]}"},
 {"wait_for_log": "is left as it was"},
 "GET /", "GET /",
 {"write": "conf/c.json", "content": "{\"consumers\": [\n{\"username\": \"ann\", \"keys\": [{\"key\": \"THIRD\"}]}]}"},
 {"until": "GET /", "more_headers": "X-Api-Key: THIRD"}]
--- more_headers
["X-Api-Key: SECRET", "X-Api-Key: OTHER-SECRET"]
--- error_code: [200, 401]
--- error_log
[error]
consumer set "c" is left as it was: consumers file "$TEST_DIR/conf/c.json" is invalid: line 2 at "/consumers/0/keys/0": unknown field "oops"
--- no_error_log: SECRET

=== a version without the anonymous consumer in use is bad
--- conf_files
>>> c.json
{"consumers": [{"username": "guest"}]}
--- http_config
    consumers c { file c.json watch=200ms; }
--- config
    location / { key_auth c anonymous=guest; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
[{"write": "conf/c.json", "content": "{\"consumers\": [{\"username\": \"bob\"}]}"},
 {"wait_for_log": "is left as it was"},
 "GET /"]
--- response_json
/header/x-consumer-username = "guest"
--- error_log
consumer set "c" is left as it was: it lacks the consumer "guest", whom an "anonymous" parameter names

=== watch=off waits for a reload
--- conf_files
>>> c.json
{"consumers": [{"username": "bob", "keys": [{"key": "OLD"}]}]}
>>> d.json
{"consumers": [{"username": "bob", "keys": [{"key": "OLD"}]}]}
--- http_config
    consumers c { file c.json watch=off; }
    consumers d { file d.json watch=100ms; }
--- config
    location /c { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /d { key_auth d; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
[{"write": "conf/c.json", "content": "{\"consumers\": [{\"username\": \"bob\", \"keys\": [{\"key\": \"NEW\"}]}]}"},
 {"write": "conf/d.json", "content": "{\"consumers\": [{\"username\": \"bob\", \"keys\": [{\"key\": \"NEW\"}]}]}"},
 {"until": "GET /d", "more_headers": "X-Api-Key: NEW"},
 "GET /c", {"reload": true}, "GET /c"]
--- more_headers
["X-Api-Key: OLD", "X-Api-Key: NEW"]

=== a watched file that the workers' user can read is not warned of
--- main_config
user nobody nogroup;
--- conf_files
>>> open.json
{"consumers": [{"username": "bob"}]}
--- http_config
    consumers c { file open.json; }
--- config
    location / { return 204; }
--- request: GET /
--- error_code: 204
--- no_error_log: [warn]

=== no warning where workers are the master's user
--- http_config
    consumers c { file open.json; }
--- conf_files
>>> open.json
{"consumers": [{"username": "bob"}]}
--- config
    location / { return 204; }
--- request: GET /
--- error_code: 204
--- no_error_log: [warn]

=== two sets of one name
--- http_config
    consumers c { consumer u key=SECRET; }
    consumers c { consumer v key=OTHER; }
--- must_die
--- error_log
qr/\[emerg\] .*duplicate consumer set "c" in .*\/conf\/nginx.conf:20$/

=== one key for two consumers names both, and not the key
--- http_config
    consumers c {
        consumer u key=SECRET;
        consumer v key=SECRET;
    }
--- must_die
--- error_log
qr/\[emerg\] .*a key belongs to both "u" and "v" in .*\/conf\/nginx.conf:21$/
--- no_error_log: SECRET

=== one key in a line and in a file
--- conf_files
>>> c.json
{"consumers": [
  {"username": "v",
   "keys": [{"key": "SECRET"}]}]}
--- http_config
    consumers c {
        consumer u key=SECRET;
        file c.json;
    }
--- must_die
--- error_log
qr/\[emerg\] .*consumers file "[^"]*\/conf\/c.json" is invalid: line \d at "\/consumers\/0.*": a key belongs to both "u" and "v" in .*\/conf\/nginx.conf:21$/
--- no_error_log: SECRET

=== a consumer twice
--- http_config
    consumers c {
        consumer u key=SECRET;
        consumer u key=OTHER;
    }
--- must_die
--- error_log
qr/\[emerg\] .*consumer "u" is there twice in .*\/conf\/nginx.conf:21$/

=== a key behind a misspelled parameter is not shown
--- http_config
    consumers c {
        consumer u kye=SECRET;
    }
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "kye=" in .*\/conf\/nginx.conf:20$/
--- no_error_log: SECRET

=== a key without its parameter is not shown
--- http_config
    consumers c {
        consumer u SECRET;
    }
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter number 1 of "consumer" in .*\/conf\/nginx.conf:20$/
--- no_error_log: SECRET

=== a hash that is none is not shown
--- http_config
    consumers c {
        consumer u key=sha256:SECRET;
    }
--- must_die
--- error_log
qr/\[emerg\] .*"key=sha256:" needs 64 hexadecimal digits behind it in .*\/conf\/nginx.conf:20$/
--- no_error_log: SECRET

=== a variable that is not set
--- http_config
    consumers c {
        consumer u key=env:NO_SUCH_KEY;
    }
--- must_die
--- error_log
qr/\[emerg\] .*environment variable "NO_SUCH_KEY" is not set in .*\/conf\/nginx.conf:20$/

=== a file that is not there
--- http_config
    consumers c {
        consumer u key=SECRET;
        file none.json;
    }
--- must_die
--- error_log
qr/\[emerg\] .*cannot read "[^"]*\/conf\/none.json": No such file or directory \(os error 2\) in .*\/conf\/nginx.conf:21$/

=== a file with an unknown field
--- conf_files
>>> c.json
{"consumers": [
  {"username": "u", "key": "SECRET"}
]}
--- http_config
    consumers c {
        file c.json;
    }
--- must_die
--- error_log
qr/\[emerg\] .*consumers file "[^"]*\/conf\/c.json" is invalid: line 2 at "\/consumers\/0": unknown field "key" in .*\/conf\/nginx.conf:20$/
--- no_error_log: SECRET

=== a file with a bad time
--- conf_files
>>> c.yaml
consumers:
- username: u
  keys:
  - key: SECRET
    expires_at: tomorrow
--- http_config
    consumers c {
        file c.yaml;
    }
--- must_die
--- error_log
qr/\[emerg\] .*is invalid: line 4 at "\/consumers\/0\/keys\/0\/expires_at": it must be an RFC 3339 time such as 2027-01-31T12:00:00Z in .*\/conf\/nginx.conf:20$/
--- no_error_log: SECRET

=== a file that is no JSON
--- conf_files
>>> c.json
{"consumers": [
  {"username": "u", "keys": [{"key": "SECRET"}}
]}
--- http_config
    consumers c {
        file c.json;
    }
--- must_die
--- error_log
qr/\[emerg\] .*is invalid: line 2.*it is not JSON in .*\/conf\/nginx.conf:20$/
--- no_error_log: SECRET

=== an empty file
--- conf_files
>>> c.json

--- http_config
    consumers c {
        file c.json;
    }
--- must_die
--- error_log
qr/\[emerg\] .*is invalid: it is empty in .*\/conf\/nginx.conf:20$/

=== a file that is a directory
--- http_config
    consumers c {
        file ../html;
    }
--- must_die
--- error_log
qr/\[emerg\] .*cannot read "[^"]*html": it is not a regular file in .*\/conf\/nginx.conf:20$/

=== a watch that is no time
--- conf_files
>>> c.json
{"consumers": []}
--- http_config
    consumers c {
        file c.json watch=soon;
    }
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "watch=soon" in .*\/conf\/nginx.conf:20$/

=== lines stand in files of nginx's, too
--- conf_files
>>> partners.conf
consumer bob key=file:key.txt;
consumer ann key=ANN;
>>> more/one.conf
consumer carol key=CAROL;
>>> key.txt
BOB
--- http_config
    consumers c { include partners.conf; include more/*.conf; }
--- config
    location / { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
--- request
["GET /", "GET /", "GET /"]
--- more_headers
["X-Api-Key: BOB", "X-Api-Key: ANN", "X-Api-Key: CAROL"]
--- response_json
["/header/x-consumer-username = \"bob\"", "/header/x-consumer-username = \"ann\"", "/header/x-consumer-username = \"carol\""]

=== what is wrong in an included file is told with its place there
--- conf_files
>>> partners.conf
consumer bob key=BOB;
consumer ann kye=SECRET;
--- http_config
    consumers c { include partners.conf; }
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "kye=" in .*\/conf\/partners.conf:2$/
--- no_error_log: SECRET

=== a line that is only a key is not shown
--- http_config
    consumers c {
        SECRETK;
    }
--- must_die
--- error_log
qr/\[emerg\] .*unknown directive in "consumers" block in .*\/conf\/nginx.conf:20$/
--- no_error_log: SECRET

=== a set that could never be named
--- http_config
    consumers off { }
--- must_die
--- error_log
qr/\[emerg\] .*invalid consumer set name "off" in .*\/conf\/nginx.conf:19$/

=== a comma list with spaces
--- http_config
    consumers c {
        consumer bob "groups=x, y";
    }
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "groups=x, y" in .*\/conf\/nginx.conf:20$/

=== an id that is no UUID
--- http_config
    consumers c {
        consumer bob id=7;
    }
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "id=7", it must be a UUID in .*\/conf\/nginx.conf:20$/

=== an unknown line of the block
--- http_config
    consumers c {
        user u key=SECRET;
    }
--- must_die
--- error_log
qr/\[emerg\] .*unknown directive "user" in "consumers" block in .*\/conf\/nginx.conf:20$/
--- no_error_log: SECRET

=== consumers stand in http
--- config
    consumers c { }
--- must_die
--- error_log
qr/\[emerg\] .*"consumers" directive is not allowed here in .*\/conf\/nginx.conf:25$/

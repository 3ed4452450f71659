=== all is well
--- http_config
    consumers c { consumer bob key=SECRET; }
--- config
    location = /health { apigate_health; }
    location /t { key_auth c; return 200; }
--- request
["GET /health", "HEAD /health", "POST /health"]
--- error_code: [200, 200, 405]
--- response_headers
["Content-Type: application/json; charset=utf-8", "Content-Length: 16", null]
--- response_body
["{\"status\":\"ok\"}\n", "", null]

=== a bad version of a set, and a store that is away, leave the gateway serving
--- conf_files
>>> c.json
{"consumers":[{"username":"bob","keys":[{"key":"OLD"}]}]}
--- http_config
    consumers c { file c.json watch=100ms; }
    rate_limit_zone f:64k redis=redis://127.0.0.1:1;
--- config
    location = /health { apigate_health; }
--- request
[{"write": "conf/c.json", "content": "{"}, {"until": "GET /health", "response_body_like": "\"consumers c\""}, "GET /health", {"write": "conf/c.json", "content": "{\"consumers\":[]}"}, {"until": "GET /health", "response_body_like": "\"degraded\":.\"redis f\".}"}]
--- response_body
["{\"status\":\"degraded\",\"degraded\":[\"consumers c\",\"redis f\"]}\n"]

=== without credentials functions cannot be called
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1
--- config
    location = /health { apigate_health; }
    location /l { aws_credentials imds; lambda_pass hello; }
--- request
["GET /health", "GET /l"]
--- error_code: 503
--- response_body_like
["^.\"status\":\"unavailable\",\"unavailable\":.\"credentials ", null]

=== it takes no words
--- config
    location /h { apigate_health now; }
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "now" in .*nginx.conf:\d+/

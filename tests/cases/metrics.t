=== requests by route, method and status; decisions by policy and reason
--- http_config
    consumers c { consumer bob key=SECRET; }
    rate_limit_zone z:64k;
--- config
    location /keyed { key_auth c; route "/keyed/{id}" name=keyed; return 204; }
    location /guarded { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /limited { rate_limit 1r/y zone=z by=service; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /observed { policy_mode observe; key_auth c; rate_limit 1r/y zone=z by=service; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /plain { return 200; }
    location = /metrics { apigate_metrics; }
--- request
["GET /guarded", "GET /guarded", "POST /guarded", "GET /limited", "GET /limited", "GET /observed", "GET /observed", "GET /plain", "BREW /plain", "GET /keyed/1", "GET /metrics"]
--- more_headers
[null, "X-Api-Key: WRONG", "X-Api-Key: SECRET", null, null, null, null, null, null, null, null]
--- error_code: [401, 401, 200, 200, 429, 200, 200, 200, 200, 204, 200]
--- response_headers
[null, null, null, null, null, null, null, null, null, null, "Content-Type: text/plain; version=0.0.4; charset=utf-8"]
--- response_body_like
[null, null, null, null, null, null, null, null, null, null, "\napigate_requests_total\\{route=\"/guarded\",method=\"GET\",status=\"401\"\\} 2\n(?:.*\n)?apigate_requests_total\\{route=\"/guarded\",method=\"POST\",status=\"200\"\\} 1\n(?:.*\n)?apigate_requests_total\\{route=\"/plain\",method=\"other\",status=\"200\"\\} 1\n(?:.*\n)?apigate_requests_total\\{route=\"keyed\",method=\"GET\",status=\"204\"\\} 1\n(?:.*\n)?apigate_policy_decisions_total\\{route=\"/guarded\",policy=\"\",decision=\"allow\",reason=\"\"\\} 1\n(?:.*\n)?apigate_policy_decisions_total\\{route=\"/guarded\",policy=\"key_auth\",decision=\"deny\",reason=\"no_key\"\\} 1\n(?:.*\n)?apigate_policy_decisions_total\\{route=\"/guarded\",policy=\"key_auth\",decision=\"deny\",reason=\"unknown_key\"\\} 1\n(?:.*\n)?apigate_policy_decisions_total\\{route=\"/limited\",policy=\"rate_limit\",decision=\"deny\",reason=\"limit\"\\} 1\n(?:.*\n)?apigate_policy_decisions_total\\{route=\"/observed\",policy=\"key_auth\",decision=\"would_deny\",reason=\"no_key\"\\} 2\n(?:.*\n)?apigate_policy_decisions_total\\{route=\"/observed\",policy=\"rate_limit\",decision=\"would_deny\",reason=\"limit\"\\} 1\n(?:.*\n)?apigate_gateway_seconds_bucket\\{route=\"/guarded\",le=\"\\+Inf\"\\} 3\n(?:.*\n)?apigate_gateway_seconds_count\\{route=\"/guarded\"\\} 3\n(?:.*\n)?apigate_upstream_seconds_count\\{route=\"/guarded\"\\} 1\n(?:.*\n)?apigate_rate_limit_zone_keys\\{zone=\"z\"\\} 2\n(?:.*\n)?apigate_rate_limit_zone_full_total\\{zone=\"z\"\\} 0\n(?:.*\n)?apigate_consumers\\{set=\"c\"\\} 1\n(?:.*\n)?apigate_build_info\\{version=\"[0-9.]+\",nginx=\"1[0-9.]+\"\\} 1\n"]

=== what workers have counted stays over a reload
A request is counted behind its answer.
--- workers: 2
--- config
    location /t { return 200; }
    location = /metrics { apigate_metrics; }
--- request
["GET /t", "GET /t", {"reload": true}, "GET /t", {"until": "GET /metrics", "response_body_like": "apigate_requests_total.route=\"/t\",method=\"GET\",status=\"200\". 3\n"}]

=== consumers are counted where that is said, the first ones by name
--- http_config
    consumers c { consumer "a \"quoted\" one" key=A; consumer bob key=B; consumer eve key=E; }
--- config
    location /t { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location = /metrics { apigate_metrics consumers=2; }
--- request
["GET /t", "GET /t", "GET /t", "GET /t", "GET /metrics"]
--- more_headers
["X-Api-Key: A", "X-Api-Key: B", "X-Api-Key: E", "X-Api-Key: B", null]
--- response_body_like
[null, null, null, null, "\napigate_consumer_requests_total\\{consumer=\"a \\\\\"quoted\\\\\" one\"\\} 1\n(?:.*\n)?apigate_consumer_requests_total\\{consumer=\"bob\"\\} 2\n(?:.*\n)?apigate_consumer_requests_total\\{consumer=\"other\"\\} 1\n"]

=== credentials, and a store that is away
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
    rate_limit_zone f:64k redis=redis://127.0.0.1:$REDIS_PORT;
    rate_limit_zone g:64k redis=redis://127.0.0.1:1;
--- env
AWS_EC2_METADATA_SERVICE_ENDPOINT=http://$IMDS
--- config
    location /l { lambda_pass hello; }
    location = /metrics { apigate_metrics; }
--- request
["GET /l", "GET /metrics"]
--- response_body_like
[null, "\napigate_credentials_expiry_timestamp_seconds [0-9]+\n(?:.*\n)?apigate_credentials_refreshes_total\\{result=\"success\"\\} [1-9][0-9]*\n(?:.*\n)?apigate_redis_up\\{zone=\"f\"\\} 1\n(?:.*\n)?apigate_redis_up\\{zone=\"g\"\\} 0\n"]

=== only the page itself, by GET and HEAD
--- config
    location /m { apigate_metrics; location /m/inside { } }
--- request
["HEAD /m", "POST /m", "GET /m/inside"]
--- error_code: [200, 405, 404]

=== a number of consumers that is none is named
--- config
    location /m { apigate_metrics consumers=many; }
--- must_die
--- error_log
qr/\[emerg\] .*invalid parameter "consumers=many" in .*nginx.conf:\d+/

=== changes of a set are counted by result
--- conf_files
>>> c.json
{"consumers":[{"username":"bob","keys":[{"key":"OLD"}]}]}
--- http_config
    consumers c { file c.json watch=100ms; }
--- config
    location /t { key_auth c; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location = /metrics { apigate_metrics; }
--- request
[{"until": "GET /t", "more_headers": "X-Api-Key: OLD"}, {"write": "conf/c.json", "content": "{\"consumers\":[{\"username\":\"bob\",\"keys\":[{\"key\":\"NEW\"}]},{\"username\":\"eve\"}]}"}, {"until": "GET /t", "more_headers": "X-Api-Key: NEW"}, {"write": "conf/c.json", "content": "{"}, {"wait_for_log": "consumers: "}, {"wait_for_log": "qr/\\[error\\].*c.json/"}, "GET /metrics"]
--- response_body_like
["\\napigate_consumers_reloads_total\\{set=\"c\",result=\"failure\"\\} 1\\napigate_consumers_reloads_total\\{set=\"c\",result=\"success\"\\} 1\\n.*\\napigate_consumers\\{set=\"c\"\\} 2\\n"]

=== invocations by outcome, whatever an error page makes of them
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location /good { lambda_pass hello; }
    location /none { lambda_pass no-such-function; }
    location /paged { lambda_pass throttled; error_page 429 =200 @sorry; }
    location @sorry { return 200; }
    location /large { lambda_pass hello; lambda_max_request 10; }
    location /variable { lambda_pass $arg_f; }
    location = /metrics { apigate_metrics; }
--- request
["GET /good", "GET /good", "GET /none", "GET /paged", "GET /large", "GET /variable?f=hello", "GET /metrics"]
--- error_code: [200, 200, 502, 200, 413, 200, 200]
--- response_body_like
[null, null, null, null, null, null, "\napigate_lambda_invocations_total\\{function=\"\\$arg_f\",outcome=\"success\"\\} 1\n(?:.*\n)?apigate_lambda_invocations_total\\{function=\"hello\",outcome=\"success\"\\} 2\n(?:.*\n)?apigate_lambda_invocations_total\\{function=\"hello\",outcome=\"too_large\"\\} 1\n(?:.*\n)?apigate_lambda_invocations_total\\{function=\"no-such-function\",outcome=\"api\"\\} 1\n(?:.*\n)?apigate_lambda_invocations_total\\{function=\"throttled\",outcome=\"throttled\"\\} 1\n(?:.*\n)?apigate_lambda_seconds_bucket\\{function=\"hello\",le=\"\\+Inf\"\\} 2\n(?:.*\n)?apigate_lambda_seconds_count\\{function=\"throttled\"\\} 1\n"]

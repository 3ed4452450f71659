# rate_limit. The windows are months and years, so that none ends while a case runs; seconds, minutes and sliding
# windows are tested with a clock of their own in src/rate_limit. `empty_gif` answers, because `return` comes before all
# policies.

=== what is left is told on allowed and refused responses
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t {
        rate_limit 2r/M 4r/y zone=api by=ip;
        empty_gif;
    }
--- request
["GET /t", "GET /t", "GET /t"]
--- error_code: [200, 200, 429]
--- response_headers
[
"X-RateLimit-Limit-Month: 2\nX-RateLimit-Remaining-Month: 1\nX-RateLimit-Limit-Year: 4\nX-RateLimit-Remaining-Year: 3\nRateLimit-Limit: 2\nRateLimit-Remaining: 1\n!Retry-After",
"X-RateLimit-Limit-Month: 2\nX-RateLimit-Remaining-Month: 0\nX-RateLimit-Limit-Year: 4\nX-RateLimit-Remaining-Year: 2\nRateLimit-Limit: 2\nRateLimit-Remaining: 0\n!Retry-After",
"X-RateLimit-Limit-Month: 2\nX-RateLimit-Remaining-Month: 0\nX-RateLimit-Limit-Year: 4\nX-RateLimit-Remaining-Year: 2\nRateLimit-Limit: 2\nRateLimit-Remaining: 0\nContent-Type: application/json; charset=utf-8"
]
--- response_headers_like
["RateLimit-Reset: [1-9]\\d*", "RateLimit-Reset: [1-9]\\d*", "RateLimit-Reset: [1-9]\\d*\nRetry-After: [1-9]\\d*"]
--- response_body_like
["GIF", "GIF", "^\\{\"message\":\"API rate limit exceeded\",\"request_id\":\"[0-9a-f]{32}\"\\}$"]
--- raw_response_headers_unlike: X-RateLimit-Limit-(Second|Minute|Hour|Day|Week)
--- error_log: rate_limit: refused, status=429, reason=limit

=== status, message and headers are the operator's
--- http_config
    rate_limit_zone api:64k;
    rate_limit_status 503;
    rate_limit_message "come back later";
--- config
    location /t {
        rate_limit 1r/y zone=api;
        rate_limit_headers off;
        empty_gif;
    }
--- request
["GET /t", "GET /t"]
--- error_code: [200, 503]
--- response_headers_like
["", "Retry-After: [1-9]\\d*"]
--- raw_response_headers_unlike: RateLimit
--- response_body_like
["GIF", "\"message\":\"come back later\""]

=== consumers have counters of their own and share none with addresses
--- http_config
    rate_limit_zone api:64k;
    consumers apps {
        consumer alice key=alice-1 key=alice-2;
        consumer bob key=bob-1;
    }
--- config
    location /t { key_auth apps; rate_limit 1r/y zone=api; empty_gif; }
    location /key { key_auth apps; rate_limit 1r/y zone=api by=credential; empty_gif; }
    location /free { rate_limit 1r/y zone=api; empty_gif; }
--- request
["GET /t", "GET /t", "GET /t", "GET /key", "GET /key", "GET /key", "GET /free", "GET /free"]
--- more_headers
["X-Api-Key: alice-1", "X-Api-Key: alice-2", "X-Api-Key: bob-1",
 "X-Api-Key: alice-1", "X-Api-Key: alice-2", "X-Api-Key: alice-2", null, null]
--- error_code: [200, 429, 200, 200, 200, 429, 200, 429]

=== anonymous requests share the counter of their consumer
--- http_config
    rate_limit_zone api:64k;
    consumers apps { consumer alice key=alice-1; consumer guest; }
--- config
    location /t { key_auth apps anonymous=guest; rate_limit 1r/y zone=api; empty_gif; }
--- request
["GET /t", "GET /t", "GET /t"]
--- more_headers
[null, null, "X-Api-Key: alice-1"]
--- error_code: [200, 429, 200]

=== a header is the key, and without it the address
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 1r/y zone=api by=header:X-Tenant; empty_gif; }
--- request
["GET /t", "GET /t", "GET /t", "GET /t", "GET /t", "GET /t"]
--- more_headers
["X-Tenant: a", "x-tenant: b", "X-Tenant: a", null, "X-Tenant: ", "X-Tenant: 127.0.0.1"]
--- error_code: [200, 200, 429, 200, 429, 200]

=== long keys differ to their last byte
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 1r/y zone=api by=$arg_key$arg_more; empty_gif; }
--- request
["GET /t?key=0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789&more=a",
 "GET /t?key=0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789&more=b",
 "GET /t?key=0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789&more=a"]
--- error_code: [200, 200, 429]

=== variables, paths and the service are keys
--- http_config
    rate_limit_zone api:64k;
--- config
    location /variable { rate_limit 1r/y zone=api "by=$arg_a/$arg_b"; empty_gif; }
    location /empty { rate_limit 1r/y zone=api by=$arg_none; empty_gif; }
    location /path { rate_limit 1r/y zone=api by=path; empty_gif; }
    location /service { rate_limit 1r/y zone=api by=service; empty_gif; }
--- request
["GET /variable?a=1&b=2", "GET /variable?a=1&b=3", "GET /variable?b=2&a=1",
 "GET /empty", "GET /empty",
 "GET /path/a", "GET /path/b", "GET /path/./a",
 "GET /service/a", "GET /service/b"]
--- error_code: [200, 200, 429, 200, 429, 200, 200, 429, 200, 429]

=== the address is the one behind a trusted proxy
--- http_config
    rate_limit_zone api:64k;
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Forwarded-For;
--- config
    location /t { rate_limit 1r/y zone=api by=ip; empty_gif; }
--- request
["GET /t", "GET /t", "GET /t", "GET /t", "GET /t"]
--- more_headers
["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2", "X-Forwarded-For: 192.0.2.1",
 "X-Forwarded-For: 2001:db8::1", "X-Forwarded-For: ::ffff:192.0.2.2"]
--- error_code: [200, 200, 429, 200, 429]

=== a request spends its cost
--- http_config
    rate_limit_zone api:64k;
--- config
    location /fixed { rate_limit 10r/y zone=api by=service cost=4; empty_gif; }
    location /variable { rate_limit 10r/y zone=api by=service cost=$arg_cost; empty_gif; }
--- request
["GET /fixed", "GET /fixed", "GET /fixed",
 "GET /variable?cost=7", "GET /variable?cost=4", "GET /variable?cost=0", "GET /variable?cost=many", "GET /variable"]
--- error_code: [200, 200, 429, 200, 429, 200, 200, 200]
--- response_headers
["RateLimit-Remaining: 6", "RateLimit-Remaining: 2", "RateLimit-Remaining: 2",
 "RateLimit-Remaining: 3", "RateLimit-Remaining: 3", "RateLimit-Remaining: 3", "RateLimit-Remaining: 2", "RateLimit-Remaining: 1"]

=== several directives are checked together, and who is refused spends nothing
--- http_config
    rate_limit_zone api:64k;
    rate_limit_zone other:64k;
--- config
    location /t {
        rate_limit 10r/y zone=api by=service;
        rate_limit 1r/y zone=other by=header:X-Tenant;
        empty_gif;
    }
--- request
["GET /t", "GET /t", "GET /t"]
--- more_headers
["X-Tenant: a", "X-Tenant: a", "X-Tenant: b"]
--- error_code: [200, 429, 200]
--- response_headers
["X-RateLimit-Limit-Year: 1\nX-RateLimit-Remaining-Year: 0\nRateLimit-Limit: 1",
 "X-RateLimit-Limit-Year: 1\nX-RateLimit-Remaining-Year: 0\nRateLimit-Limit: 1",
 "X-RateLimit-Limit-Year: 1\nX-RateLimit-Remaining-Year: 0\nRateLimit-Limit: 1"]

=== what the wider directive has left shows that the refused one did not count
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t {
        rate_limit 10r/y zone=api by=service;
        rate_limit 1r/M zone=api by=header:X-Tenant;
        empty_gif;
    }
    location /all {
        rate_limit 10r/y zone=api by=service count=all;
        rate_limit 1r/M zone=api by=header:X-Tenant;
        empty_gif;
    }
--- request
["GET /t", "GET /t", "GET /t", "GET /t", "GET /all", "GET /all", "GET /all", "GET /all"]
--- more_headers
["X-Tenant: a", "X-Tenant: a", "X-Tenant: a", "X-Tenant: b", "X-Tenant: a", "X-Tenant: a", "X-Tenant: a", "X-Tenant: b"]
--- error_code: [200, 429, 429, 200, 200, 429, 429, 200]
--- response_headers
["X-RateLimit-Remaining-Year: 9", "X-RateLimit-Remaining-Year: 9", "X-RateLimit-Remaining-Year: 9", "X-RateLimit-Remaining-Year: 8",
 "X-RateLimit-Remaining-Year: 9", "X-RateLimit-Remaining-Year: 8", "X-RateLimit-Remaining-Year: 7", "X-RateLimit-Remaining-Year: 6"]

=== a counter belongs to the place where its directive is written
--- http_config
    rate_limit_zone api:64k;
--- server_config
    rate_limit 3r/y zone=api by=service;
--- config
    location /a { empty_gif; }
    location /b { empty_gif; }
    location /own { rate_limit 1r/y zone=api by=service; empty_gif; }
    location /too { rate_limit 1r/y zone=api by=service; empty_gif; }
    location /off { rate_limit off; empty_gif; location /off/below { empty_gif; } }
--- request
["GET /a", "GET /b", "GET /own", "GET /too", "GET /own", "GET /a", "GET /b", "GET /off", "GET /off/below"]
--- error_code: [200, 200, 200, 200, 429, 200, 429, 200, 200]
--- response_headers
["RateLimit-Remaining: 2", "RateLimit-Remaining: 1", "RateLimit-Remaining: 0", "RateLimit-Remaining: 0",
 "RateLimit-Remaining: 0", "RateLimit-Remaining: 0", "RateLimit-Remaining: 0", "!RateLimit-Limit", "!RateLimit-Limit"]

=== regular expressions that differ in case alone have counters of their own
--- http_config
    rate_limit_zone api:64k;
--- config
    location ~ ^/A { rate_limit 1r/y zone=api by=service; empty_gif; }
    location ~* ^/A { rate_limit 1r/y zone=api by=service; empty_gif; }
--- request
["GET /A", "GET /a", "GET /A", "GET /a"]
--- error_code: [200, 200, 429, 429]

=== directives with one name in one zone share their counters
--- http_config
    rate_limit_zone api:64k;
    rate_limit_zone other:64k;
--- config
    location /a { rate_limit 2r/y zone=api by=ip name=shared; empty_gif; }
    location /b { rate_limit 3r/y zone=api by=ip name=shared; empty_gif; }
    location /c { rate_limit 2r/y zone=other by=ip name=shared; empty_gif; }
    location /d { rate_limit 2r/y zone=api by=ip name=another; empty_gif; }
--- request
["GET /a", "GET /b", "GET /a", "GET /b", "GET /b", "GET /c", "GET /d"]
--- error_code: [200, 200, 429, 200, 429, 200, 200]
--- response_headers
["RateLimit-Remaining: 1", "RateLimit-Remaining: 1", "RateLimit-Remaining: 0", "RateLimit-Remaining: 0",
 "RateLimit-Remaining: 0", "RateLimit-Remaining: 1", "RateLimit-Remaining: 1"]

=== method blocks have counters of their own
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t {
        rate_limit 9r/y zone=api by=service;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
        method POST { rate_limit 1r/y zone=api by=service; }
        method PUT PATCH { rate_limit 1r/y zone=api by=service; }
        method DELETE { rate_limit off; }
    }
--- request
["POST /t", "PUT /t", "POST /t", "PATCH /t", "GET /t", "DELETE /t"]
--- error_code: [200, 200, 429, 429, 200, 200]
--- response_headers
[null, null, null, null, "RateLimit-Remaining: 8", "!RateLimit-Limit"]

=== dry_run counts and tells, and refuses nobody
--- http_config
    rate_limit_zone api:64k;
    log_format policies "$uri $policy_decision $policy_name $policy_reason";
    access_log logs/policies.log policies;
--- config
    access_log logs/access.log policies;
    location /t { rate_limit 1r/y zone=api by=service dry_run; empty_gif; }
    location /both {
        rate_limit 1r/M zone=api by=service dry_run;
        rate_limit 2r/y zone=api by=service;
        empty_gif;
    }
--- request
["GET /t", "GET /t", "GET /both", "GET /both", "GET /both"]
--- error_code: [200, 200, 200, 200, 429]
--- response_headers
["!RateLimit-Limit", "!RateLimit-Limit\n!Retry-After", "RateLimit-Limit: 2\nRateLimit-Remaining: 1\n!X-RateLimit-Limit-Month", "RateLimit-Remaining: 0", "RateLimit-Remaining: 0"]
--- error_log: rate_limit: would refuse, status=429, reason=limit
--- access_log
/t allow - -
/t would_deny rate_limit limit
/both deny rate_limit limit

=== observe counts and refuses nobody
--- http_config
    rate_limit_zone api:64k;
--- config
    policy_mode observe;
    location /t { rate_limit 1r/y zone=api by=service; empty_gif; add_header X-Left $rate_limit_remaining; }
--- request
["GET /t", "GET /t"]
--- raw_response_headers_unlike: (?i)RateLimit|Retry-After
--- response_headers
["X-Left: 0", "X-Left: 0"]
--- error_log: rate_limit: would refuse, status=429, reason=limit

=== variables have the tightest rate
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t {
        rate_limit 5r/M 9r/y zone=api by=service;
        empty_gif;
        add_header X-Shown "$rate_limit_limit $rate_limit_remaining $rate_limit_reset";
    }
    location /none { empty_gif; add_header X-Shown "[$rate_limit_limit]"; }
--- request
["GET /t", "GET /none"]
--- response_headers_like
["X-Shown: 5 4 [1-9]\\d*", "X-Shown: \\[\\]"]

=== headers are on proxied responses and on errors of any origin
--- http_config
    rate_limit_zone api:64k;
--- config
    rate_limit 100r/y zone=api by=service;
    location /proxied { proxy_pass http://127.0.0.1:$UPSTREAM_PORT/reply?status=418; }
    location /broken { proxy_pass http://127.0.0.1:$UPSTREAM_PORT/close; }
    location /missing { root html; }
    location /page { error_page 404 /page.html; root html; }
    location = /page.html { root html; }
--- user_files
>>> page.html
a page
--- request
["GET /proxied", "GET /broken", "GET /missing", "GET /page", "HEAD /missing"]
--- error_code: [418, 502, 404, 404, 404]
--- response_headers
["X-RateLimit-Remaining-Year: 99", "X-RateLimit-Remaining-Year: 98", "X-RateLimit-Remaining-Year: 97",
 "X-RateLimit-Remaining-Year: 96", "X-RateLimit-Remaining-Year: 95"]

=== an upstream's own limits are not told beside ours
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 9r/y zone=api by=service; proxy_pass http://127.0.0.1:$SERVER_PORT/up; }
    location /quiet { rate_limit 9r/y zone=api by=service; rate_limit_headers off; proxy_pass http://127.0.0.1:$SERVER_PORT/up; }
    location /up {
        add_header x-ratelimit-limit-year 1000;
        add_header X-RateLimit-Remaining-Year 999;
        add_header X-RateLimit-Limit-Second 3;
        add_header RateLimit-Limit 1000;
        add_header RateLimit-Reset 5;
        return 200 "up";
    }
--- request
["GET /t", "GET /quiet"]
--- response_headers
["X-RateLimit-Limit-Year: 9\nX-RateLimit-Remaining-Year: 8\nRateLimit-Limit: 9\nRateLimit-Remaining: 8\nX-RateLimit-Limit-Second: 3",
 "X-RateLimit-Limit-Year: 1000\nX-RateLimit-Remaining-Year: 999\nRateLimit-Limit: 1000\nRateLimit-Reset: 5"]
--- response_headers_like
["RateLimit-Reset: [1-9]\\d{2,}", ""]

=== a request is charged once on its way through locations
--- http_config
    rate_limit_zone api:64k;
--- server_config
    rate_limit 100r/y zone=api by=service;
--- config
    location /tries { try_files /none /inner; }
    location /inner { empty_gif; }
    location /named { error_page 404 = @named; root html; }
    location @named { empty_gif; }
    location /own { error_page 404 = @own; root html; }
    location @own { rate_limit 7r/y zone=api by=service name=own; empty_gif; }
--- request
["GET /tries", "GET /named", "GET /own", "GET /inner"]
--- response_headers
["RateLimit-Remaining: 99", "RateLimit-Remaining: 98", "RateLimit-Limit: 7\nRateLimit-Remaining: 6\nX-RateLimit-Limit-Year: 7", "RateLimit-Remaining: 96"]

=== subrequests are not charged
--- http_config
    rate_limit_zone api:64k;
--- server_config
    rate_limit 100r/y zone=api by=service;
--- config
    location /t { auth_request /auth; empty_gif; }
    location = /auth { internal; empty_gif; }
--- request
["GET /t", "GET /t"]
--- response_headers
["RateLimit-Remaining: 99", "RateLimit-Remaining: 98"]

=== an error_page of the operator answers a refusal
--- http_config
    rate_limit_zone api:64k;
--- server_config
    rate_limit 1r/y zone=api by=service;
--- config
    location /t { empty_gif; error_page 429 /slow.html; }
    location = /slow.html { root html; }
--- user_files
>>> slow.html
slow down
--- request
["GET /t", "GET /t"]
--- error_code: [200, 429]
--- response_body_like
["GIF", "^slow down$"]
--- response_headers_like
["", "Retry-After: [1-9]\\d*\nRateLimit-Remaining: 0"]

=== unauthenticated requests are refused before they are counted
--- http_config
    rate_limit_zone api:64k;
    consumers apps { consumer alice key=alice-1 groups=a; consumer bob key=bob-1 groups=b; }
--- config
    location /t { key_auth apps; acl allow=a; rate_limit 100r/y zone=api by=service; empty_gif; }
--- request
["GET /t", "GET /t", "GET /t"]
--- more_headers
[null, "X-Api-Key: bob-1", "X-Api-Key: alice-1"]
--- error_code: [401, 403, 200]
--- response_headers
["!RateLimit-Limit", "!RateLimit-Limit", "RateLimit-Remaining: 99"]

=== counters survive a reload, also when limits and lines change
--- http_config
    rate_limit_zone api:64k;
--- config
    include limits.conf;
    location /other { rate_limit 2r/y zone=api by=service; empty_gif; }
--- conf_files
>>> limits.conf
location /t { rate_limit 2r/y zone=api by=service; empty_gif; }
--- request
["GET /t", "GET /t", "GET /t",
 {"reload": true}, "GET /t",
 {"write": "conf/limits.conf", "content": "# a line more\n\nlocation /new { empty_gif; }\nlocation /t { rate_limit 4r/y zone=api by=service; empty_gif; }"},
 {"reload": true}, "GET /t", "GET /t", "GET /t"]
--- error_code: [200, 200, 429, 429, 200, 200, 429]

=== a zone that has another size after a reload starts afresh, with a warning
--- http_config
    include zone.conf;
--- config
    location /t { rate_limit 1r/y zone=api by=service; empty_gif; }
--- conf_files
>>> zone.conf
rate_limit_zone api:64k;
--- request
["GET /t", "GET /t",
 {"write": "conf/zone.conf", "content": "rate_limit_zone api:128k;"},
 {"reload": true}, "GET /t", "GET /t"]
--- error_code: [200, 429, 200, 429]
--- error_log: rate_limit: zone "api" has another size than before, its counters start afresh

=== key_auth_failures counts failed keys only, and never stops a good one
--- http_config
    rate_limit_zone api:64k;
    consumers apps { consumer alice key=alice-1; }
--- config
    location /t { key_auth apps; key_auth_failures 2r/y zone=api; empty_gif; }
--- request
["GET /t", "GET /t", "GET /t", "GET /t", "GET /t", "GET /t", "GET /t"]
--- more_headers
[null, "X-Api-Key: wrong-1", "X-Api-Key: wrong-2", "X-Api-Key: wrong-3", null, "X-Api-Key: alice-1", "X-Api-Key: wrong-4"]
--- error_code: [401, 401, 401, 429, 401, 200, 429]
--- response_headers_like
["", "WWW-Authenticate: Key", "", "Retry-After: [1-9]\\d*", "", "", ""]
--- response_body_like
["No API key", "Unauthorized", "Unauthorized", "\"message\":\"Too many failed authentications\"", "No API key", "GIF", "Too many"]
--- raw_response_headers_unlike: RateLimit
--- error_log: key_auth_failures: refused, status=429, reason=limit

=== key_auth_failures counts networks of IPv6, and has a status
--- http_config
    rate_limit_zone api:64k;
    consumers apps { consumer alice key=alice-1; }
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Forwarded-For;
--- config
    location /t { key_auth apps; key_auth_failures 1r/y zone=api status=403; empty_gif; }
--- request
["GET /t", "GET /t", "GET /t", "GET /t", "GET /t"]
--- more_headers
["X-Forwarded-For: 2001:db8:0:1::1\nX-Api-Key: a", "X-Forwarded-For: 2001:db8:0:1:ffff::2\nX-Api-Key: b",
 "X-Forwarded-For: 2001:db8:0:2::1\nX-Api-Key: c", "X-Forwarded-For: 2001:db8:0:1::1",
 "X-Forwarded-For: 2001:db8:0:1::1\nX-Api-Key: alice-1"]
--- error_code: [401, 403, 401, 401, 200]

=== who goes on as the anonymous consumer is counted and not refused
--- http_config
    rate_limit_zone api:64k;
    consumers apps { consumer alice key=alice-1; consumer guest; }
--- server_config
    key_auth_failures 1r/y zone=api;
--- config
    location /guest { key_auth apps anonymous=guest; proxy_pass http://127.0.0.1:$UPSTREAM_PORT; }
    location /t { key_auth apps; empty_gif; }
--- request
["GET /guest", "GET /guest", "GET /t"]
--- more_headers
X-Api-Key: wrong
--- error_code: [200, 200, 429]
--- response_json
["/header/x-consumer-username = \"guest\"", "/header/x-consumer-username = \"guest\"", null]

=== a fleet counts in redis
--- http_config
    rate_limit_zone fleet:64k redis=redis://127.0.0.1:$REDIS_PORT timeout=5s;
    rate_limit_zone own:64k;
--- config
    location /t { rate_limit 2r/M 5r/y zone=fleet by=header:X-Tenant name=exact; empty_gif; }
    location /mixed {
        rate_limit 3r/y zone=fleet by=header:X-Tenant name=mixed;
        rate_limit 2r/M zone=own by=header:X-Tenant;
        empty_gif;
    }
--- isolated
--- request
[{"wait_for_log": "zone \"fleet\" counts in redis"},
 "GET /t", "GET /t", "GET /t", "GET /t", "GET /mixed", "GET /mixed", "GET /mixed", "GET /mixed",
 {"redis": "FLUSHALL", "reply": "OK"}, "GET /t",
 {"redis": "SCRIPT FLUSH", "reply": "OK"}, "GET /t", "GET /t"]
--- more_headers
["X-Tenant: a", "X-Tenant: a", "X-Tenant: a", "X-Tenant: b", "X-Tenant: a", "X-Tenant: a", "X-Tenant: a", "X-Tenant: b", "X-Tenant: a", "X-Tenant: a", "X-Tenant: a"]
--- error_code: [200, 200, 429, 200, 200, 200, 429, 200, 200, 200, 429]
--- response_headers
["X-RateLimit-Remaining-Month: 1\nX-RateLimit-Remaining-Year: 4\nRateLimit-Limit: 2",
 "X-RateLimit-Remaining-Month: 0\nX-RateLimit-Remaining-Year: 3",
 "X-RateLimit-Remaining-Month: 0\nX-RateLimit-Remaining-Year: 3",
 "X-RateLimit-Remaining-Month: 1",
 "X-RateLimit-Remaining-Year: 2\nX-RateLimit-Remaining-Month: 1\nRateLimit-Limit: 2",
 "X-RateLimit-Remaining-Year: 1\nX-RateLimit-Remaining-Month: 0",
 "X-RateLimit-Remaining-Month: 0",
 "X-RateLimit-Remaining-Year: 2",
 "X-RateLimit-Remaining-Month: 1", "X-RateLimit-Remaining-Month: 0", "X-RateLimit-Remaining-Month: 0"]

=== a refused request spends nothing in redis, whichever zone refuses it
--- http_config
    rate_limit_zone one:64k redis=redis://127.0.0.1:$REDIS_PORT timeout=5s;
    rate_limit_zone two:64k redis=redis://127.0.0.1:$REDIS_PORT timeout=5s;
    rate_limit_zone own:64k;
--- config
    location /two { rate_limit 10r/M zone=one by=service; rate_limit 1r/y zone=two by=service; empty_gif; }
    location /own { rate_limit 10r/M zone=one by=service; rate_limit 1r/y zone=own by=service; empty_gif; }
    location /turned {
        rate_limit 10r/M zone=own by=service name=turned;
        rate_limit 1r/y zone=one by=service;
        empty_gif;
    }
    location /left { rate_limit 10r/M zone=own by=service name=turned; empty_gif; }
--- isolated
--- request
[{"wait_for_log": "zone \"one\" counts in redis"}, {"wait_for_log": "zone \"two\" counts in redis"},
 "GET /two", "GET /two", "GET /two", "GET /own", "GET /own", "GET /own", "GET /turned", "GET /turned", "GET /turned", "GET /left"]
--- error_code: [200, 429, 429, 200, 429, 429, 200, 429, 429, 200]
--- response_headers
["X-RateLimit-Remaining-Month: 9\nX-RateLimit-Remaining-Year: 0", "X-RateLimit-Remaining-Month: 9\nX-RateLimit-Remaining-Year: 0",
 "X-RateLimit-Remaining-Month: 9\nX-RateLimit-Remaining-Year: 0",
 "X-RateLimit-Remaining-Month: 9\nX-RateLimit-Remaining-Year: 0", "X-RateLimit-Remaining-Month: 9\nX-RateLimit-Remaining-Year: 0",
 "X-RateLimit-Remaining-Month: 9\nX-RateLimit-Remaining-Year: 0",
 "X-RateLimit-Remaining-Month: 9\nX-RateLimit-Remaining-Year: 0", "X-RateLimit-Remaining-Month: 9\nX-RateLimit-Remaining-Year: 0",
 "X-RateLimit-Remaining-Month: 9\nX-RateLimit-Remaining-Year: 0",
 "X-RateLimit-Remaining-Month: 8"]

=== count=all spends also when another zone or an absent store refuses
--- http_config
    rate_limit_zone one:64k redis=redis://127.0.0.1:$REDIS_PORT timeout=5s;
    rate_limit_zone two:64k redis=redis://127.0.0.1:$REDIS_PORT timeout=5s;
    rate_limit_zone own:64k;
    rate_limit_zone gone:64k redis=redis://127.0.0.1:1 on_error=deny;
--- config
    location /own { rate_limit 10r/y zone=one by=service count=all; rate_limit 1r/M zone=own by=service; empty_gif; }
    location /two { rate_limit 10r/y zone=one by=service count=all; rate_limit 1r/M zone=two by=service; empty_gif; }
    location /turned { rate_limit 10r/y zone=own by=service count=all; rate_limit 1r/M zone=one by=service; empty_gif; }
    location /gone {
        rate_limit 10r/y zone=own by=service count=all name=gone;
        rate_limit 10r/M zone=own by=service name=gone-too;
        rate_limit 5r/M zone=gone by=service;
        empty_gif;
    }
--- isolated
--- request
[{"wait_for_log": "zone \"one\" counts in redis"}, {"wait_for_log": "zone \"two\" counts in redis"},
 "GET /own", "GET /own", "GET /own", "GET /two", "GET /two", "GET /two", "GET /turned", "GET /turned", "GET /turned", "GET /gone", "GET /gone"]
--- error_code: [200, 429, 429, 200, 429, 429, 200, 429, 429, 503, 503]
--- response_headers
["X-RateLimit-Remaining-Year: 9", "X-RateLimit-Remaining-Year: 8", "X-RateLimit-Remaining-Year: 7",
 "X-RateLimit-Remaining-Year: 9", "X-RateLimit-Remaining-Year: 8", "X-RateLimit-Remaining-Year: 7",
 "X-RateLimit-Remaining-Year: 9", "X-RateLimit-Remaining-Year: 8", "X-RateLimit-Remaining-Year: 7",
 "X-RateLimit-Remaining-Year: 9\nX-RateLimit-Remaining-Month: 10", "X-RateLimit-Remaining-Year: 8\nX-RateLimit-Remaining-Month: 10"]

=== a user who may not count in redis is told of at once
--- http_config
    rate_limit_zone fleet:64k redis=redis://few:p@127.0.0.1:$REDIS_PORT timeout=5s nodes=3;
--- config
    location /t { rate_limit 6r/y zone=fleet by=service; empty_gif; }
--- isolated
--- redis
ACL SETUSER few on >p ~{apigate:* +evalsha +script|load +get +time +ping
--- request
["GET /t"]
--- response_headers: X-RateLimit-Limit-Year: 2
--- error_log: rate_limit: zone "fleet" cannot count in redis, reason=redis answered NOPERM
--- no_error_log: counts in redis

=== another value under a counter's name is told of
--- http_config
    rate_limit_zone fleet:64k redis=redis://127.0.0.1:$REDIS_PORT timeout=5s on_error=deny;
--- config
    location /t { rate_limit 6r/y zone=fleet by=service name=n; empty_gif; }
--- isolated
--- request
[{"wait_for_log": "zone \"fleet\" counts in redis"}, "GET /t",
 {"redis": "EVAL \"for _, k in ipairs(redis.call('KEYS', '*y')) do redis.call('DEL', k) redis.call('LPUSH', k, 'x') end return 'done'\" 0", "reply": "done"},
 "GET /t"]
--- error_code: [200, 503]
--- error_log: rate_limit: zone "fleet" could not count a key in redis, reason=redis answered WRONGTYPE

=== failed keys are counted by the fleet
--- http_config
    rate_limit_zone failures:64k redis=redis://127.0.0.1:$REDIS_PORT timeout=5s;
    consumers apps { consumer alice key=alice-1; consumer guest; }
--- config
    location /t { key_auth apps query=key; key_auth_failures 1r/y zone=failures; empty_gif; }
    location /guest { key_auth apps query=key anonymous=guest; key_auth_failures 1r/y zone=failures; empty_gif; }
--- isolated
--- request
[{"wait_for_log": "zone \"failures\" counts in redis"},
 "GET /t?key=a", "GET /t?key=b", "GET /t?key=alice-1", "GET /t", "GET /guest?key=a", "GET /guest?key=b", "GET /guest"]
--- error_code: [401, 429, 200, 401, 200, 200, 200]

=== failed keys have their status without redis too, and a 401 its challenge
--- http_config
    rate_limit_zone gone:64k redis=redis://127.0.0.1:1 nodes=3;
    rate_limit_zone closed:64k redis=redis://127.0.0.1:1 on_error=deny;
    rate_limit_zone own:64k;
    consumers apps { consumer alice key=alice-1; }
    log_format policies "$uri $policy_name $policy_reason";
--- config
    access_log logs/access.log policies;
    location /gone { key_auth apps; key_auth_failures 3r/y zone=gone status=403; empty_gif; }
    location /closed { key_auth apps; key_auth_failures 3r/y zone=closed; empty_gif; }
    location /own {
        key_auth apps realm=r;
        key_auth_failures 9r/y zone=own status=418;
        key_auth_failures 1r/y zone=own status=401;
        empty_gif;
    }
--- request
["GET /gone", "GET /gone", "GET /closed", "GET /own", "GET /own"]
--- more_headers: X-Api-Key: wrong
--- error_code: [401, 403, 503, 401, 401]
--- response_headers
["WWW-Authenticate: Key", "!WWW-Authenticate", "!WWW-Authenticate", "WWW-Authenticate: Key realm=\"r\"\n!Retry-After", "WWW-Authenticate: Key realm=\"r\""]
--- response_body_like
["Unauthorized", "Too many", "unavailable", "Unauthorized", "Too many"]
--- access_log
/gone key_auth_failures limit
/closed key_auth_failures store

=== without redis a host has its share
--- http_config
    rate_limit_zone fleet:64k redis=redis://127.0.0.1:1 nodes=3;
--- config
    location /t { rate_limit 6r/y zone=fleet by=service; empty_gif; }
--- request
["GET /t", "GET /t", "GET /t"]
--- error_code: [200, 200, 429]
--- response_headers
["X-RateLimit-Limit-Year: 2\nRateLimit-Remaining: 1", "RateLimit-Remaining: 0", "RateLimit-Remaining: 0"]
--- error_log: rate_limit: zone "fleet" cannot count in redis, reason=redis refused the connection

=== without redis everything passes, or nothing, as on_error says
--- http_config
    rate_limit_zone open:64k redis=redis://127.0.0.1:1 on_error=allow;
    rate_limit_zone closed:64k redis=redis://127.0.0.1:1 on_error=deny;
    rate_limit_zone batch:64k redis=redis://127.0.0.1:1 on_error=deny sync=1s;
--- config
    location /open { rate_limit 1r/y zone=open by=service; empty_gif; }
    location /closed { rate_limit 1r/y zone=closed by=service; empty_gif; }
    location /batch { rate_limit 1r/y zone=batch by=service; empty_gif; }
    location /dry { rate_limit 1r/y zone=closed by=service dry_run; empty_gif; }
--- request
["GET /open", "GET /open", "GET /closed", "GET /batch", "GET /dry"]
--- error_code: [200, 200, 503, 503, 200]
--- response_headers
["!RateLimit-Limit", "!RateLimit-Limit", "!RateLimit-Limit", "!RateLimit-Limit", "!RateLimit-Limit"]
--- response_headers_like
["", "", "Retry-After: 1", "Retry-After: 1", ""]
--- response_body_like
["GIF", "GIF", "\"message\":\"Rate limit store is unavailable\"", "unavailable", "GIF"]
--- error_log: rate_limit: refused, status=503, reason=store

=== headers are on the responses of functions
--- env
AWS_EC2_METADATA_SERVICE_ENDPOINT=http://$IMDS
--- http_config
    rate_limit_zone api:64k;
    aws_region us-east-1;
    aws_credentials imds;
    lambda_endpoint http://$LAMBDA_HTTP;
--- config
    location /echo { rate_limit 1000r/y zone=api by=service; lambda_pass echo; }
--- request
[{"until": "GET /echo"}, "GET /echo"]
--- response_headers
["X-RateLimit-Limit-Year: 1000"]

=== a request waits for redis over HTTP/2, with its body
The refused one has no body: curl may take nginx's early end of an upload's stream for an error.
--- http2
--- http_config
    rate_limit_zone fleet:64k redis=redis://127.0.0.1:$REDIS_PORT timeout=5s;
--- config
    location /t {
        rate_limit 2r/y zone=fleet by=service;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- isolated
--- request
[{"wait_for_log": "zone \"fleet\" counts in redis"}, "POST /t\nbody one", "POST /t\nbody two", "GET /t"]
--- error_code: [200, 200, 429]
--- response_body_like
["body one", "body two", "API rate limit exceeded"]

=== pipelined requests wait for redis one after the other
--- http_config
    rate_limit_zone fleet:64k redis=redis://127.0.0.1:$REDIS_PORT timeout=5s;
--- config
    location /t { rate_limit 2r/y zone=fleet by=service; empty_gif; }
--- isolated
--- pipelined_requests
["GET /t", "GET /t", "GET /t"]
--- error_code: [200, 200, 429]

=== a body that is validated does not charge again
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t {
        rate_limit 9r/y zone=api by=service;
        validate_body object.json;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- conf_files
>>> object.json
{"type": "object"}
--- request
["POST /t\n{}", "POST /t\n[]"]
--- more_headers
["Content-Type: application/json\nTransfer-Encoding: chunked", "Content-Type: application/json"]
--- error_code: [200, 400]
--- response_headers
["RateLimit-Remaining: 8", "RateLimit-Remaining: 7"]

=== refused: a zone that is not declared
--- config
    location /t { rate_limit 1r/s zone=none; }
--- must_die
--- error_log: unknown rate_limit_zone "none" in

=== refused: a zone that is not declared, for failures
--- config
    location /t { key_auth_failures 1r/s zone=none; }
--- must_die
--- error_log: unknown rate_limit_zone "none" in

=== refused: no zone
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 1r/s; }
--- must_die
--- error_log: "rate_limit" must have "zone" parameter

=== refused: a bad rate
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 0r/s zone=api; }
--- must_die
--- error_log: invalid rate "0r/s" in

=== refused: a bad rate of failures
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { key_auth_failures 5/s zone=api; }
--- must_die
--- error_log: invalid rate "5/s" in "key_auth_failures"

=== refused: a unit twice
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 1r/s 2r/s zone=api; }
--- must_die
--- error_log: duplicate unit in rate "2r/s"

=== refused: a longer unit with a smaller limit
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 10r/s 5r/m zone=api; }
--- must_die
--- error_log: rate "5r/m" allows less than "10r/s"

=== refused: a small zone
--- http_config
    rate_limit_zone api:16k;
--- must_die
--- error_log: zone "api" is too small

=== refused: a zone twice
--- http_config
    rate_limit_zone api:64k; rate_limit_zone api:64k;
--- must_die
--- error_log: zone "api" is already declared

=== refused: a zone of another module
--- http_config
    limit_req_zone $uri zone=api:64k rate=1r/s; rate_limit_zone api:64k;
--- must_die
--- error_log: "api"

=== refused: an unknown parameter
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 1r/s zone=api burst=5; }
--- must_die
--- error_log: invalid parameter "burst=5"

=== refused: an unknown key
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 1r/s zone=api by=address; }
--- must_die
--- error_log: invalid parameter "by=address"

=== refused: an unknown variable
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 1r/s zone=api by=$nobody_knows; }
--- must_die
--- error_log: unknown "nobody_knows" variable

=== refused: broken variables, at their own line
--- http_config
    rate_limit_zone api:64k;
--- config
    include limits.conf;
--- conf_files
>>> limits.conf
location /t {
    rate_limit 1r/s zone=api by=$;
    empty_gif;
}
--- must_die
--- error_log: qr/invalid variables in ".{1}" in .*limits\.conf:2/

=== refused: a cost of nothing
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit 1r/s zone=api cost=0; }
--- must_die
--- error_log: invalid parameter "cost=0"

=== refused: a status that is none
--- config
    rate_limit_status 200;
--- must_die
--- error_log: invalid value "200" in "rate_limit_status" directive

=== refused: a status that nginx answers with another
--- config
    rate_limit_status 499;
--- must_die
--- error_log: invalid value "499" in "rate_limit_status" directive

=== refused: a status of failures with a sign
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { key_auth_failures 1r/s zone=api status=+429; }
--- must_die
--- error_log: invalid parameter "status=+429"

=== refused: zones of two stores in one location
--- http_config
    rate_limit_zone one:64k redis=redis://127.0.0.1:1;
    rate_limit_zone two:64k redis=redis://127.0.0.1:2;
--- config
    location /t { rate_limit 1r/s zone=one; rate_limit 1r/s zone=two; }
--- must_die
--- error_log: zones "one" and "two" have not the same "redis", they cannot be used together

=== refused: a database that no redis has
--- http_config
    rate_limit_zone api:64k redis=redis://127.0.0.1/-1;
--- must_die
--- error_log: invalid URL in "redis" parameter

=== refused: a misspelt parameter, without its password
--- http_config
    rate_limit_zone api:64k redi=redis://u:SECRET@h:1;
--- must_die
--- error_log: invalid parameter "redi=redis://***@h:1"
--- no_error_log: SECRET

=== refused: a zone larger than any memory
--- http_config
    rate_limit_zone api:18446744073709551615;
--- must_die
--- error_log: invalid zone size "api:18446744073709551615"

=== refused: off beside a limit
--- http_config
    rate_limit_zone api:64k;
--- config
    location /t { rate_limit off; rate_limit 1r/s zone=api; }
--- must_die
--- error_log: "rate_limit" directive is duplicate

=== refused: a store that is no URL
--- http_config
    rate_limit_zone api:64k redis=secret@host;
--- must_die
--- error_log: invalid URL in "redis" parameter

=== refused: sync without a store
--- http_config
    rate_limit_zone api:64k sync=1s;
--- must_die
--- error_log: "sync" requires "redis"

=== an error that a filter makes of a response tells how limits stand, once
--- http_config
    rate_limit_zone z:1m;
--- user_files
>>> file.txt
here
--- config
    location / { rate_limit 9r/d zone=z; }
    location /reply {
        rate_limit 9r/d zone=z;
        response_json remove=a;
        proxy_pass http://127.0.0.1:$UPSTREAM_PORT;
    }
--- request
["GET /file.txt", "GET /file.txt", "GET /reply?status=200&header=Content-Type:application/json&body=secret"]
--- more_headers
[null, "If-Match: \"x\"", null]
--- error_code: [200, 412, 502]
--- response_headers
["X-RateLimit-Limit-Day: 9\nX-RateLimit-Remaining-Day: 8\nRateLimit-Limit: 9\nRateLimit-Remaining: 8", "X-RateLimit-Limit-Day: 9\nX-RateLimit-Remaining-Day: 7\nRateLimit-Limit: 9\nRateLimit-Remaining: 7", "X-RateLimit-Limit-Day: 9\nX-RateLimit-Remaining-Day: 8\nRateLimit-Limit: 9\nRateLimit-Remaining: 8"]

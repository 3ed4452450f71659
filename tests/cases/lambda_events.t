# What lambda_pass makes of requests that are out of the ordinary.

=== the host of a whole URI in the request line goes before Host
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass echo; }
--- raw_request
["GET http://api.example.com:8081/a%2Fb?c=d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "GET http://api.example.com/ HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n", "GET http://[::1]:80/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "GET / HTTP/1.1\r\nHost: LocalHost:80\r\nConnection: close\r\n\r\n"]
--- response_json
["/headers/host = \"api.example.com:8081\"\n/headers/x-forwarded-host = \"api.example.com:8081\"\n/requestContext/domainName = \"api.example.com\"\n/path = \"/a%2Fb\"", "/headers/host = \"api.example.com\"", "/headers/host = \"[::1]:80\"\n/requestContext/domainName = \"[::1]\"", "/headers/host = \"LocalHost:80\""]

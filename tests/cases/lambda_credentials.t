# aws_credentials and aws_assume_role: each source of credentials, through nginx to a signature that AWS takes.

=== long-term keys of the environment
--- isolated
--- http_config
    aws_region us-east-1;
    aws_credentials env;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass hello; }
--- request
["GET /", {"control": "GET /invocations", "response_json": "/invocations/0/access_key_id = \"AKIDEXAMPLE\"\n/invocations/1 absent"}]
--- response_body chomp
hello

=== a session token of the environment is sent and signed
--- isolated
--- http_config
    aws_region us-east-1;
    aws_credentials env;
    lambda_endpoint http://$LAMBDA_HTTP;
--- control
POST /credentials {"access_key_id": "ASIAENV", "secret_access_key": "secret", "session_token": "the//token=="}
--- env
AWS_ACCESS_KEY_ID=ASIAENV
AWS_SECRET_ACCESS_KEY=secret
AWS_SESSION_TOKEN=the//token==
--- config
    location / { lambda_pass hello; }
--- request
["GET /", {"control": "GET /invocations", "response_json": "/invocations/0/access_key_id = \"ASIAENV\"\n/invocations/0/headers ~ x-amz-security-token.{3,5}the//token=="}]
--- no_error_log
the//token

=== the shared credentials file and its default profile
--- isolated
--- http_config
    aws_credentials profile;
    lambda_endpoint http://$LAMBDA_HTTP;
--- control
POST /credentials {"access_key_id": "AKIAFILE", "secret_access_key": "secret"}
--- conf_files
>>> credentials
[default]
aws_access_key_id = AKIAFILE
aws_secret_access_key = secret
>>> config
[default]
region = eu-west-1
--- env
AWS_SHARED_CREDENTIALS_FILE=$TEST_DIR/conf/credentials
AWS_CONFIG_FILE=$TEST_DIR/conf/config
--- config
    location / { lambda_pass hello; }
--- request
["GET /", {"control": "GET /invocations", "response_json": "/invocations/0/access_key_id = \"AKIAFILE\"\n/invocations/0/headers ~ /eu-west-1/lambda/aws4_request"}]

=== a named profile that assumes a role with another profile's keys
--- isolated
--- http_config
    aws_region us-east-1;
    aws_credentials profile=gateway;
    lambda_endpoint http://$LAMBDA_HTTP;
--- conf_files
>>> credentials
[base]
aws_access_key_id = $ACCESS_KEY_ID
aws_secret_access_key = $SECRET_ACCESS_KEY
>>> config
[profile gateway]
role_arn = arn:aws:iam::123456789012:role/gateway
source_profile = base
--- env
AWS_SHARED_CREDENTIALS_FILE=$TEST_DIR/conf/credentials
AWS_CONFIG_FILE=$TEST_DIR/conf/config
AWS_ENDPOINT_URL_STS=http://$STS
--- config
    location / { lambda_pass hello; }
--- request
["GET /", {"control": "GET /stats", "response_json": "/events/sts.AssumeRole = 1"}, {"control": "GET /invocations", "response_json": "/invocations/0/access_key_id ~ ^ASIA"}]

=== a profile that is in no file is an error of the configuration
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- conf_files
>>> credentials
[base]
aws_access_key_id = $ACCESS_KEY_ID
aws_secret_access_key = $SECRET_ACCESS_KEY
--- env
AWS_SHARED_CREDENTIALS_FILE=$TEST_DIR/conf/credentials
--- config
    aws_credentials profile=nope;
    location / { lambda_pass hello; }
--- must_die
--- error_log
qr/\[emerg\] .* there is no profile "nope" in "aws_credentials" directive in .*nginx\.conf:\d+/

=== the container's endpoint with a token
--- isolated
--- http_config
    aws_region us-east-1;
    aws_credentials container;
    lambda_endpoint http://$LAMBDA_HTTP;
--- control
PUT /services/container {"authorization": "the-token"}
--- env
AWS_CONTAINER_CREDENTIALS_FULL_URI=http://$CONTAINER/v2/credentials/1
AWS_CONTAINER_AUTHORIZATION_TOKEN=the-token
--- config
    location / { lambda_pass hello; }
--- request
["GET /", {"control": "GET /stats", "response_json": "/events/container.credentials = 1"}]
--- no_error_log
the-token

=== a pod's identity, its token in a file
--- isolated
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- control
PUT /services/container {"authorization": "pod-token"}
--- conf_files
>>> pod-token
pod-token
--- env
AWS_CONTAINER_CREDENTIALS_FULL_URI=http://$CONTAINER/v1/credentials
AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$TEST_DIR/conf/pod-token
--- config
    location / { lambda_pass hello; }
--- request
["GET /", {"control": "GET /stats", "response_json": "/events/container.credentials = 1"}]

=== a web identity, as IRSA has it
--- isolated
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- conf_files
>>> jwt
double-web-identity-token
--- env
AWS_WEB_IDENTITY_TOKEN_FILE=$TEST_DIR/conf/jwt
AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pod
AWS_ENDPOINT_URL_STS=http://$STS
--- config
    location / { lambda_pass hello; }
--- request
["GET /", {"control": "GET /stats", "response_json": "/events/sts.AssumeRoleWithWebIdentity = 1\n/events/sts.AssumeRole absent"}]

=== instance metadata, version 2 only
--- isolated
--- http_config
    aws_region us-east-1;
    aws_credentials imds;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_EC2_METADATA_SERVICE_ENDPOINT=http://$IMDS
--- config
    location / { lambda_pass hello; }
--- request
["GET /", {"control": "GET /stats", "response_json": "/events/imds.tokens = 1\n/events/imds.credentials = 1\n/events/imds.unauthorized absent"}]

=== a key file of its own, which is no secret of the environment's
--- isolated
--- http_config
    aws_region us-east-1;
    aws_credentials static keys.ini;
    lambda_endpoint http://$LAMBDA_HTTP;
--- control
POST /credentials {"access_key_id": "AKIASTATIC", "secret_access_key": "secret"}
--- conf_files
>>> keys.ini
[default]
aws_access_key_id = AKIASTATIC
aws_secret_access_key = secret
--- env
AWS_ACCESS_KEY_ID=AKIAOTHER
AWS_SECRET_ACCESS_KEY=other
--- config
    location / { lambda_pass hello; }
--- request
["GET /", {"control": "GET /invocations", "response_json": "/invocations/0/access_key_id = \"AKIASTATIC\""}]

=== a role on top of any source, with an external id
--- isolated
--- http_config
    aws_region us-east-1;
    aws_credentials imds;
    aws_assume_role arn:aws:iam::123456789012:role/gateway session=edge external_id=partner-1 sts=http://$STS;
    lambda_endpoint http://$LAMBDA_HTTP;
--- control
PUT /services/sts {"external_id": "partner-1"}
--- env
AWS_EC2_METADATA_SERVICE_ENDPOINT=http://$IMDS
--- config
    location / { lambda_pass hello; }
    location /instance { lambda_pass hello; aws_assume_role off; }
--- request
["GET /", "GET /instance", {"control": "GET /stats", "response_json": "/events/sts.AssumeRole = 1\n/events/sts.AccessDenied absent"}]
--- response_body_like: ^hello$

=== a role that may not be assumed is told, and no request goes out unsigned
--- isolated
--- http_config
    aws_region us-east-1;
    aws_assume_role arn:aws:iam::123456789012:role/gateway sts=http://$STS;
    lambda_endpoint http://$LAMBDA_HTTP;
--- control
PUT /services/sts {"external_id": "partner-1"}
--- env
AWS_ACCESS_KEY_ID=$ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SECRET_ACCESS_KEY
--- config
    location / { lambda_pass hello; }
--- request
["GET /", {"control": "GET /functions/hello", "response_json": "/invocations = 0"}]
--- error_code: 503
--- response_headers_like
Retry-After: \d+
--- response_json
/message = "Function credentials are not available yet"
--- error_log
qr/\[error\] .* aws: credentials not fetched, source=default role=arn:aws:iam::123456789012:role\/gateway.* AccessDenied/

=== the default chain asks the environment before files, and files before the instance
--- isolated
--- http_config
    aws_region us-east-1;
    lambda_endpoint http://$LAMBDA_HTTP;
--- control
POST /credentials {"access_key_id": "AKIAFILE", "secret_access_key": "secret"}
--- conf_files
>>> credentials
[default]
aws_access_key_id = AKIAFILE
aws_secret_access_key = secret
--- env
AWS_SHARED_CREDENTIALS_FILE=$TEST_DIR/conf/credentials
AWS_EC2_METADATA_SERVICE_ENDPOINT=http://$IMDS
--- config
    location / { lambda_pass hello; }
    location /env { aws_credentials env; lambda_pass hello; }
    location /imds { aws_credentials imds; lambda_pass hello; }
--- request
["GET /", {"control": "GET /invocations?n=1", "response_json": "/invocations/0/access_key_id = \"AKIAFILE\""}, "GET /env", "GET /imds", {"control": "GET /invocations?n=1", "response_json": "/invocations/0/access_key_id ~ ^ASIA"}]
--- error_code: [200, 503, 200]

=== refused credentials are no timeout, however short lambda_read_timeout is
The request waits two seconds for others.
--- http_config
    aws_region us-east-1;
    aws_credentials env;
    lambda_endpoint http://$LAMBDA_HTTP;
--- env
AWS_ACCESS_KEY_ID=AKIAUNKNOWN
AWS_SECRET_ACCESS_KEY=secret
--- config
    location / { lambda_pass hello; lambda_read_timeout 500ms; }
--- request: GET /
--- error_code: 502
--- response_json
/message = "Function could not be invoked"
--- error_log
function=hello, error=UnrecognizedClientException

=== more sources of credentials than there is room for are told at nginx -t
--- http_config
    aws_region us-east-1;
--- config
    location /0 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s00; }
    location /1 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s01; }
    location /2 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s02; }
    location /3 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s03; }
    location /4 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s04; }
    location /5 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s05; }
    location /6 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s06; }
    location /7 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s07; }
    location /8 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s08; }
    location /9 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s09; }
    location /10 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s10; }
    location /11 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s11; }
    location /12 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s12; }
    location /13 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s13; }
    location /14 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s14; }
    location /15 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s15; }
    location /16 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s16; }
    location /17 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s17; }
    location /18 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s18; }
    location /19 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s19; }
    location /20 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s20; }
    location /21 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s21; }
    location /22 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s22; }
    location /23 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s23; }
    location /24 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s24; }
    location /25 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s25; }
    location /26 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s26; }
    location /27 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s27; }
    location /28 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s28; }
    location /29 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s29; }
    location /30 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s30; }
    location /31 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s31; }
    location /32 { lambda_pass f; aws_assume_role arn:aws:iam::123456789012:role/r session=s32; }
--- must_die
--- error_log
qr/\[emerg\] .* too many sources of credentials, at most 32 in .*nginx\.conf:\d+/

"""Prints the directives by which proxy_pass sends what lambda_pass sends.

That is a signed invocation of the function "text" with an event of the same size, so that the double has the same work and
the same bytes go over the same connections. The arguments: the address of the double's control port, and a file with the
request's body where there is one. The signature is dated ahead: it is good for nine minutes.
"""

import hashlib
import hmac
import json
import sys
import time
import urllib.request

body = open(sys.argv[2]).read() if len(sys.argv) > 2 else None
headers = {"host": "127.0.0.1:65535", "user-agent": "h2load nghttp2/1.52.0", "x-api-key": "key-of-consumer-5000"}
if body:
    headers |= {"content-type": "application/json", "content-length": str(len(body))}
headers |= {
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "http",
    "x-forwarded-port": "65535",
    "x-forwarded-host": "127.0.0.1:65535",
    "x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793",
}
request_id = "0123456789abcdef0123456789abcdef"
unknown = (
    "accessKey accountId apiKey apiKeyId caller clientCert cognitoAuthenticationProvider cognitoAuthenticationType "
    "cognitoIdentityId cognitoIdentityPoolId principalOrgId user userArn"
)
event = {
    "version": "1.0",
    "resource": "/lambda_pass",
    "path": "/lambda_pass",
    "httpMethod": "POST" if body else "GET",
    "headers": headers,
    "multiValueHeaders": {name: [value] for name, value in headers.items()},
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "pathParameters": None,
    "stageVariables": None,
    "requestContext": {
        "accountId": None,
        "apiId": None,
        "authorizer": None,
        "domainName": "127.0.0.1",
        "domainPrefix": "127",
        "extendedRequestId": request_id,
        "httpMethod": "POST" if body else "GET",
        "identity": dict.fromkeys(unknown.split())
        | {"sourceIp": "127.0.0.1", "userAgent": "h2load nghttp2/1.52.0"},
        "operationName": None,
        "path": "/lambda_pass",
        "protocol": "HTTP/1.1",
        "requestId": request_id,
        "requestTime": "23/Nov/2026:10:00:00 +0000",
        "requestTimeEpoch": 1795428000000,
        "resourceId": None,
        "resourcePath": "/lambda_pass",
        "stage": "$default",
    },
    "body": body,
    "isBase64Encoded": False,
}
payload = json.dumps(event, separators=(",", ":"))

token = "IQoJ" + "token" * 68
made = urllib.request.Request(
    f"http://{sys.argv[1]}/credentials",
    json.dumps({"session_token": token, "lifetime_ms": 3600000}).encode(),
    {"content-type": "application/json"},
)
credentials = json.load(urllib.request.urlopen(made))
path = "/2015-03-31/functions/text/invocations"
date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + 240))
signed = {
    "content-type": "application/json",
    "host": "lambda.us-east-1.amazonaws.com",
    "x-amz-date": date,
    "x-amz-security-token": token,
}
names = ";".join(signed)
canonical = ["POST", path, "", *(f"{name}:{value}" for name, value in signed.items()), "", names]
canonical = "\n".join([*canonical, hashlib.sha256(payload.encode()).hexdigest()])
scope = f"{date[:8]}/us-east-1/lambda/aws4_request"
text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
key = ("AWS4" + credentials["secret_access_key"]).encode()
for part in [*scope.split("/"), text]:
    key = hmac.digest(key, part.encode(), "sha256")
signed["authorization"] = (
    f"AWS4-HMAC-SHA256 Credential={credentials['access_key_id']}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
)
for name, value in signed.items():
    print(f'proxy_set_header {name} "{value}";')
print("proxy_set_header Connection '';")
print("proxy_pass_request_headers off;\nproxy_method POST;")
payload = payload.replace("\\", "\\\\").replace("'", "\\'").replace("$default", "${dollar}default")
print(f"proxy_set_body '{payload}';")
print(f"rewrite ^ {path} break;")

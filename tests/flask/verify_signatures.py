"""Recomputes signatures with botocore.

Reads JSON lines `{"method", "target", "headers": [[name, value]], "body_base64", "secret_access_key", "session_token"}` from
stdin: requests as they arrived. Prints `{"verified": N, "faults": [...]}`.
"""

import base64
import json
import re
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=(?P<headers>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)


def fault(sent):
    """What is wrong with a request's signature, or nothing."""
    headers = {}
    for name, value in sent["headers"]:
        headers.setdefault(name.lower(), []).append(value)
    parsed = AUTHORIZATION.fullmatch(headers["authorization"][0])
    if parsed is None:
        return f"malformed: {headers['authorization'][0]}"
    signed = parsed["headers"].split(";")
    required = {"host", "x-amz-date"} | {name for name in headers if name.startswith("x-amz-")}
    if missing := required - set(signed):
        return f"not signed: {sorted(missing)}"
    request = AWSRequest(
        method=sent["method"],
        url=f"https://{headers['host'][0]}{sent['target']}",
        data=base64.b64decode(sent["body_base64"]),
    )
    for name in signed:
        for value in headers[name]:
            request.headers[name] = value
    request.context["timestamp"] = headers["x-amz-date"][0]
    token = sent["session_token"]
    if headers.get("x-amz-security-token", [None]) != [token]:
        return "another session token"
    credentials = Credentials(parsed["key"], sent["secret_access_key"], token)
    signer = SigV4Auth(credentials, parsed["service"], parsed["region"])
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    if signature != parsed["signature"]:
        return f"botocore signs {signature}, not {parsed['signature']}, of:\n{canonical}"
    return None


def main():
    verified, faults = 0, []
    for line in sys.stdin:
        sent = json.loads(line)
        found = fault(sent)
        if found is None:
            verified += 1
        else:
            faults.append(f"{sent['method']} {sent['target']}: {found}")
    print(json.dumps({"verified": verified, "faults": faults}))


if __name__ == "__main__":
    main()

"""Runs the application behind an adapter, as Lambda's Python runtime would, for the double of AWS.

A line `ADAPTER EVENT` on stdin is answered by one line on stdout: `P` and the handler's return value as
JSON, or `E` and the error as Lambda reports it. Ends when stdin closes.
"""

import json
import os
import sys
import traceback
import uuid

import apig_wsgi
import awsgi
import mangum
import serverless_wsgi
from asgiref.wsgi import WsgiToAsgi

from app import app


class Context:
    """What the adapters read of Lambda's context object."""

    function_name = "flask"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:flask"
    memory_limit_in_mb = "128"

    def __init__(self):
        self.aws_request_id = str(uuid.uuid4())

    def get_remaining_time_in_millis(self):
        return 30_000


BINARY_TYPES = {"application/octet-stream", "image/png", "multipart/form-data"}

HANDLERS = {
    "serverless-wsgi": lambda event, context: serverless_wsgi.handle_request(app, event, context),
    "apig-wsgi": apig_wsgi.make_lambda_handler(app, binary_support=True),
    "aws-wsgi": lambda event, context: awsgi.response(
        app, event, context, base64_content_types=BINARY_TYPES
    ),
    "mangum": mangum.Mangum(WsgiToAsgi(app), lifespan="off"),
}


def invoke(adapter, event):
    try:
        reply = HANDLERS[adapter](json.loads(event), Context())
        return "P" + json.dumps(reply)
    except Exception as error:  # Lambda reports whatever a handler raises
        return "E" + json.dumps(
            {
                "errorMessage": str(error),
                "errorType": type(error).__name__,
                "requestId": str(uuid.uuid4()),
                "stackTrace": traceback.format_tb(error.__traceback__),
            }
        )


def main():
    # What the application prints must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        adapter, _, event = line.partition(" ")
        answers.write(invoke(adapter, event) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

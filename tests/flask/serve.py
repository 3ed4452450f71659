"""The application called directly over HTTP on loopback: what the adapters' answers are compared with.

`python serve.py --port 0` prints `{"port": N}` and serves until stdin closes.
"""

import argparse
import json
import os
import sys
import threading

import waitress

from app import app


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    # Like Lambda's limit, and no proxy is trusted: the test sets what the server sees by the connection itself.
    server = waitress.create_server(
        app,
        host="127.0.0.1",
        port=options.port,
        threads=2,
        max_request_body_size=6 * 1024 * 1024,
        clear_untrusted_proxy_headers=False,
    )
    print(json.dumps({"port": int(server.effective_port)}), flush=True)

    def end_with_stdin():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end_with_stdin, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()

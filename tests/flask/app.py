"""The Flask application behind the Lambda functions of the tests.

Every endpoint shows something that an adapter or a gateway can lose on the way. It is the same
application whether it is called through an adapter (runner.py) or directly (serve.py).
"""

import hashlib
import os
import sqlite3
from urllib.parse import quote_from_bytes

from flask import Flask, Response, abort, g, jsonify, make_response, redirect, request, url_for

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

app = Flask(__name__)
# strict_slashes and merge_slashes would answer with redirects that hide the path as received.
app.url_map.strict_slashes = False
app.url_map.merge_slashes = False


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def shown_file(file):
    data = file.read()
    return {"name": file.filename, "type": file.content_type, "size": len(data), "sha256": sha256(data)}


@app.get("/")
@app.get("/hello")
def hello():
    return Response("hello from Flask\n", mimetype="text/plain")


@app.route("/show", methods=METHODS, provide_automatic_options=False)
@app.route("/show/<path:rest>", methods=METHODS, provide_automatic_options=False)
def show(rest=""):
    """The request as Flask sees it."""
    data = request.get_data(cache=True)
    return jsonify(
        method=request.method,
        path=request.path,
        full_path=request.full_path,
        # PATH_INFO is latin-1 of the bytes that were decoded (PEP 3333); encoded again it can be compared.
        path_bytes=quote_from_bytes(request.environ.get("PATH_INFO", "").encode("latin-1", "replace")),
        rest=rest,
        script_root=request.root_path,
        query_string=request.query_string.decode("latin-1"),
        args={name: request.args.getlist(name) for name in request.args},
        headers=sorted([name.lower(), value] for name, value in request.headers),
        cookies=dict(request.cookies),
        form={name: request.form.getlist(name) for name in request.form},
        files={name: [shown_file(f) for f in request.files.getlist(name)] for name in request.files},
        json=request.get_json(silent=True),
        data={"size": len(data), "sha256": sha256(data)},
        content_type=request.content_type,
        content_length=request.content_length,
        remote_addr=request.remote_addr,
        scheme=request.scheme,
        host=request.host,
        url_root=request.url_root,
        url=request.url,
        is_secure=request.is_secure,
    )


@app.route("/redirect", methods=["GET", "POST"])
def redirected():
    """A redirect built from scheme and host."""
    return redirect(url_for("hello", _external=True, q=request.args.get("q")), 302)


@app.get("/cookies")
def cookies():
    """Three Set-Cookie headers, one with a comma in it."""
    response = make_response("cookies set\n")
    response.set_cookie("session", "abc", httponly=True)
    response.set_cookie("theme", "dark", path="/hello")
    response.headers.add("Set-Cookie", "legacy=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/")
    return response


@app.get("/headers")
def headers():
    """Repeated and odd response headers."""
    response = make_response("headers\n")
    response.headers.add("X-Repeated", "one")
    response.headers.add("X-Repeated", "two")
    response.headers["X-Comma"] = "a, b"
    response.headers["Cache-Control"] = "no-store"
    return response


@app.get("/binary")
def binary():
    """`bytes` bytes (default 100 KB) that are not text; the digest is in a header."""
    size = int(request.args.get("bytes", 100 * 1024))
    data = bytes(i * 7 & 0xFF for i in range(256)) * (size // 256 + 1)
    response = Response(data[:size], mimetype="application/octet-stream")
    response.headers["X-Sha256"] = sha256(data[:size])
    return response


@app.route("/upload", methods=["POST", "PUT"])
def upload():
    """The size and digest of the body, and the same bytes back when asked with ?back=1."""
    data = request.get_data()
    if request.args.get("back"):
        return Response(data, mimetype=request.content_type or "application/octet-stream")
    return jsonify(size=len(data), sha256=sha256(data))


@app.route("/status/<int:code>", methods=METHODS)
def status(code):
    return jsonify(status=code), code


@app.route("/empty", methods=["GET", "POST", "DELETE"])
def empty():
    return "", 204


@app.get("/utf8")
def utf8():
    return Response("héllo 🌍 – naïve\n", mimetype="text/plain")


@app.get("/fail")
def fail():
    raise ValueError("the application failed")


def database():
    """The users, shared by all processes that run the application."""
    if "database" not in g:
        g.database = sqlite3.connect(os.environ.get("FLASK_USERS_DB", "users.sqlite3"), timeout=10)
        g.database.row_factory = sqlite3.Row
        g.database.execute("create table if not exists users (id integer primary key, name text not null, email text)")
    return g.database


@app.teardown_appcontext
def close_database(_error):
    connection = g.pop("database", None)
    if connection is not None:
        connection.close()


def user_or_404(user_id):
    row = database().execute("select * from users where id = ?", (user_id,)).fetchone()
    if row is None:
        abort(404, "no such user")
    return dict(row)


@app.get("/users")
def list_users():
    rows = database().execute("select * from users order by id").fetchall()
    return jsonify(users=[dict(row) for row in rows])


@app.post("/users")
def create_user():
    body = request.get_json()
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        abort(400, "a user needs a name")
    with database() as connection:
        cursor = connection.execute(
            "insert into users (name, email) values (?, ?)", (body["name"], body.get("email"))
        )
    user = user_or_404(cursor.lastrowid)
    return jsonify(user), 201, {"Location": url_for("get_user", user_id=user["id"])}


@app.get("/users/<int:user_id>")
def get_user(user_id):
    return jsonify(user_or_404(user_id))


@app.put("/users/<int:user_id>")
def replace_user(user_id):
    user_or_404(user_id)
    body = request.get_json()
    with database() as connection:
        connection.execute(
            "update users set name = ?, email = ? where id = ?", (body["name"], body.get("email"), user_id)
        )
    return jsonify(user_or_404(user_id))


@app.delete("/users/<int:user_id>")
def delete_user(user_id):
    user_or_404(user_id)
    with database() as connection:
        connection.execute("delete from users where id = ?", (user_id,))
    return "", 204


@app.errorhandler(400)
@app.errorhandler(404)
def refused(error):
    return jsonify(error=error.description), error.code


class Prefixed:
    """The application under a path prefix too: a gateway that strips nothing sends `/dev/api1/hello`."""

    def __init__(self, wsgi, prefix):
        self.wsgi = wsgi
        self.prefix = prefix.rstrip("/")

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        if path == self.prefix or path.startswith(self.prefix + "/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self.prefix
            environ["PATH_INFO"] = path[len(self.prefix) :]
        return self.wsgi(environ, start_response)


app.wsgi_app = Prefixed(app.wsgi_app, os.environ.get("FLASK_PREFIX", "/dev/api1"))

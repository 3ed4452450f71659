"""Writes what the cases read: consumers.json, and bodies with the schemas to which they conform.

The arguments: the directory, and the number of consumers. body.json is 1 KB long, small_body.json 60 bytes.
"""

import hashlib
import json
import sys
from pathlib import Path

DIRECTORY = Path(sys.argv[1])


def write(name, value):
    (DIRECTORY / name).write_text(json.dumps(value))


def consumer(number):
    key = hashlib.sha256(f"key-of-consumer-{number}".encode()).hexdigest()
    return {"username": f"consumer-{number}", "groups": ["all", f"group-{number % 10}"], "keys": [{"sha256": key}]}


def user(number):
    return {"id": number, "name": f"User {number}", "email": f"user{number}@example.com", "active": number % 2 == 0}


USER_SCHEMA = {
    "type": "object",
    "required": ["id", "name", "email"],
    "properties": {
        "id": {"type": "integer", "minimum": 0},
        "name": {"type": "string", "minLength": 1, "maxLength": 80},
        "email": {"type": "string", "format": "email"},
        "active": {"type": "boolean"},
    },
    "additionalProperties": False,
}
USERS_SCHEMA = {
    "type": "object",
    "required": ["users"],
    "properties": {"users": {"type": "array", "items": USER_SCHEMA}},
}

write("consumers.json", {"consumers": [consumer(number) for number in range(int(sys.argv[2]))]})
write("body.json", {"users": [user(number) for number in range(13)]})
write("schema.json", USERS_SCHEMA)
write("small_body.json", {"id": 1001, "name": "User 1", "email": "user1@example.com"})
write("small_schema.json", USER_SCHEMA)

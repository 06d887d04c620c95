#!/usr/bin/python3
"""Enqueues a job from Python with nothing but a Redis client (PROTOCOL.md, "Bare entries").

    REDIS_URL=redis://127.0.0.1:6379/0 examples/clients/enqueue.py noop '{"photos": 12}' tenant=10000000-0000-4000-8000-000000000001

Debian: python3-redis, and python3-msgpack where payloads are MessagePack. Prints the entry's id and the id of its row in execution_logs.
"""
import hashlib
import json
import os
import sys

import redis

ORDER = ("tenant", "wedding", "key", "at", "deadline", "max", "timeout", "traceparent", "src")


def entry(kind, payload, **options):
    """The entry's fields, in the one order that the protocol asks for. A dict becomes JSON; bytes are MessagePack of a map."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    fields = {"kind": kind, "payload": body}
    fields.update((name, options.pop(name)) for name in ORDER if name in options)
    fields.update(options)  # h.* and others
    return fields


def enqueue(client, kind, payload, queue="default", **options):
    """XADD. Returns the entry's id and the key of its first row in execution_logs, which is also the job's id."""
    stream = "usher:{0}:in:" + queue
    fields = entry(kind, payload, **options)
    entry_id = client.xadd(stream, fields)
    entry_id = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    return entry_id, log_key(stream, entry_id, fields)


def log_key(stream, entry_id, fields):
    """PROTOCOL.md, "Identifiers": SHA-256 over the domain and the parts, as a UUID of version 8."""
    parts = [stream, entry_id]
    for name, value in fields.items():
        parts += [name, value]
    text = b"entry\n"
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        text += data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n") + b"\n"
    digest = bytearray(hashlib.sha256(text).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    name = digest.hex()
    return "-".join((name[:8], name[8:12], name[12:16], name[16:20], name[20:]))


def connect(url):
    return redis.Redis.from_url(url)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    extra = dict(arg.split("=", 1) for arg in sys.argv[3:])
    client = connect(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
    print(*enqueue(client, sys.argv[1], json.loads(sys.argv[2]), **extra))

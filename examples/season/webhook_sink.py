#!/usr/bin/python3
"""The sample season's webhook receiver: verifies Standard Webhooks signatures and writes down what it received.

The first line on standard output is {"port": N}, printed when connections are taken. The process ends when its standard
input closes, or on SIGTERM. In the folder given with --dir it keeps received.jsonl, one line per request with a valid
signature: webhook_id, path, status (what was answered), repeat (true when this id had been answered 2xx before), and the
header traceparent where there is one.

With --secret (whsec_…, or the variable WEBHOOK_SINK_SECRET) requests without a valid signature get 401 and are not written
down. What the path makes it do:

  /ok                     204
  /fail-once              503 the first time for each webhook-id, then 204 (a restart remembers)
  /gone                   410
  /status/NNN             that status; ?retry_after=VALUE adds the header Retry-After
  /redirect?to=URL        302 to that URL
  /slow?ms=N              204 after N milliseconds
  /drop                   the connection is cut after the request was read and written down
  /big?bytes=N            200 with a body of N bytes
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_SLOW_MS = 600_000
SECRET_PREFIX = "whsec_"


class Record:
    """received.jsonl, and what it says about each id. Used by all request threads."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "received.jsonl")
        self.lock = threading.Lock()
        self.answers = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                for line in f:
                    entry = json.loads(line)
                    self.answers.setdefault(entry["webhook_id"], []).append(entry["status"])
        self.file = open(path, "a", encoding="utf-8", buffering=1)

    def add(self, webhook_id, path, trace, choose_status):
        """Writes one line; choose_status(earlier answers) says what will be answered. Returns it."""
        with self.lock:
            earlier = self.answers.setdefault(webhook_id, [])
            status = choose_status(earlier)
            repeat = any(200 <= s < 300 for s in earlier)
            earlier.append(status)
            line = {"webhook_id": webhook_id, "path": path, "status": status, "repeat": repeat}
            if trace:
                line["traceparent"] = trace
            self.file.write(json.dumps(line) + "\n")
        return status


def signature_is_good(secret, tolerance, headers, body):
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not webhook_id or not timestamp.isdigit():
        return False
    if tolerance and abs(time.time() - int(timestamp)) > tolerance:
        return False
    key = base64.b64decode(secret[len(SECRET_PREFIX):])
    content = webhook_id.encode() + b"." + timestamp.encode() + b"." + body
    wanted = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(entry.encode(), wanted.encode()) for entry in given)


def status_for(path, earlier):
    if path == "/fail-once":
        return 204 if earlier else 503
    if path == "/gone":
        return 410
    if path == "/redirect":
        return 302
    if path == "/big":
        return 200
    if path.startswith("/status/") and path[8:].isdigit():
        return int(path[8:])
    return 204 if path in ("/ok", "/slow", "/drop") else 404


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "sink"

    def log_message(self, format, *args):
        pass

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self.answer(413)
            return
        body = self.rfile.read(length)
        sink = self.server
        if sink.secret and not signature_is_good(sink.secret, sink.tolerance, self.headers, body):
            self.answer(401)
            return
        webhook_id = self.headers.get("webhook-id", "")
        status = sink.record.add(webhook_id, url.path, self.headers.get("traceparent"), lambda earlier: status_for(url.path, earlier))
        if url.path == "/slow":
            time.sleep(min(int(query.get("ms", "0")), MAX_SLOW_MS) / 1000)
        if url.path == "/drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        headers = []
        if "retry_after" in query:
            headers.append(("Retry-After", query["retry_after"]))
        if status == 302:
            headers.append(("Location", query.get("to", "/ok")))
        size = min(int(query.get("bytes", "0")), MAX_BODY_BYTES * 4)
        self.answer(status, headers, b"x" * size)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """Clients that go away are part of the play."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detached", action="store_true", help="do not end when standard input closes")
    parser.add_argument("--port", type=int, default=0, help="loopback port (default: a free one)")
    parser.add_argument("--dir", required=True, help="folder for received.jsonl; made if missing")
    parser.add_argument("--secret", default=os.environ.get("WEBHOOK_SINK_SECRET", ""), help="whsec_…; none: all is taken")
    parser.add_argument("--tolerance", type=int, default=300, help="seconds a timestamp may be off; 0: not looked at")
    args = parser.parse_args()
    if args.secret and not args.secret.startswith(SECRET_PREFIX):
        parser.error("the secret must begin with " + SECRET_PREFIX)
    server = Server(("127.0.0.1", args.port), Handler)
    server.record = Record(args.dir)
    server.secret = args.secret
    server.tolerance = args.tolerance
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    try:
        while args.detached:
            signal.pause()
        while sys.stdin.buffer.read(4096):
            pass
    except KeyboardInterrupt:
        pass
    os._exit(0)


if __name__ == "__main__":
    main()

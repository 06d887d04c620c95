#!/usr/bin/python3
"""The sample season's mail relay: accepts mail on loopback and writes down what it accepted.

The first line on standard output is {"port": N}, printed when connections are taken. The process ends when its standard
input closes, or on SIGTERM. In the folder given with --dir it keeps

  new/NNNNNNNN.eml   every accepted message as it came
  accepted.jsonl     one line each: message_id, to, subject, date, repeat (0 for the first time this Message-ID was
                     accepted), connection (which of this process, from 1)
  later.json         when each message of a +later recipient was first tried (domain time), so that a restart changes nothing

What the recipient's local part makes it do:

  name+refuse@…   550 at RCPT: refused for good
  name+later@…    451 after the content, until the message's Date header is 24 h past the Date of the first try
  name+drop@…     the connection is cut instead of a final reply, though the message is accepted and written
  name+slowN@…    the final reply takes N milliseconds

With --user and --password (or the variable SMTP_SINK_PASSWORD) AUTH is required; with --cert and --key STARTTLS is offered.
With --mails N a connection is closed with 421 at the MAIL after N messages, as busy relays do.
"""

import argparse
import asyncio
import email
import email.header
import email.policy
import email.utils
import json
import logging
import os
import re
import signal
import ssl
import sys
import threading
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

LATER_SECONDS = 24 * 3600
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


def tag_of(address):
    """The part between '+' and '@' of an address."""
    local = address.rpartition("@")[0]
    return local.partition("+")[2]


def decoded(value):
    """A header with its encoded words as text."""
    return str(email.header.make_header(email.header.decode_header(value))) if value else ""


def write_whole(path, data):
    """Replaces a file at once: whoever reads it sees the old or the new one."""
    temporary = path + ".tmp"
    with open(temporary, "wb") as f:
        f.write(data)
    os.replace(temporary, path)


class Store:
    """What was accepted, and what was put off."""

    def __init__(self, folder):
        self.new = os.path.join(folder, "new")
        self.later_path = os.path.join(folder, "later.json")
        accepted_path = os.path.join(folder, "accepted.jsonl")
        os.makedirs(self.new, exist_ok=True)
        self.times = {}
        self.count = len(os.listdir(self.new))
        if os.path.exists(accepted_path):
            with open(accepted_path, encoding="utf-8") as f:
                for line in f:
                    key = json.loads(line)["message_id"]
                    self.times[key] = self.times.get(key, 0) + 1
        self.later = {}
        if os.path.exists(self.later_path):
            with open(self.later_path, encoding="utf-8") as f:
                self.later = json.load(f)
        self.accepted = open(accepted_path, "a", encoding="utf-8", buffering=1)

    def accept(self, message, to, content, connection):
        key = str(message.get("Message-ID", "")).strip()
        self.count += 1
        write_whole(os.path.join(self.new, f"{self.count:08d}.eml"), content)
        repeat = self.times.get(key, 0)
        self.times[key] = repeat + 1
        line = {
            "message_id": key,
            "to": to,
            "subject": decoded(message.get("Subject")),
            "date": message.get("Date", ""),
            "repeat": repeat,
            "connection": connection,
        }
        self.accepted.write(json.dumps(line, ensure_ascii=False) + "\n")

    def is_early(self, message):
        """True until a domain day has passed since the first try of this message."""
        now = email.utils.parsedate_to_datetime(message["Date"]).timestamp()
        key = str(message.get("Message-ID", "")).strip()
        if key not in self.later:
            self.later[key] = now
            write_whole(self.later_path, json.dumps(self.later).encode())
        return now < self.later[key] + LATER_SECONDS


class Connection(SMTP):
    """One connection, which knows its number."""

    made = 0

    def connection_made(self, transport):
        if not hasattr(self, "number"):  # called again after STARTTLS
            Connection.made += 1
            self.number = Connection.made
            self.mails = 0
        super().connection_made(transport)


class Handler:
    def __init__(self, store, mails):
        self.store = store
        self.mails = mails

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.mails and server.mails >= self.mails:
            server.transport.write(b"421 4.7.0 too many messages over this connection\r\n")
            server.transport.close()
            return "421 4.7.0 closing"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if tag_of(address) == "refuse":
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        # compat32 keeps raw headers: what came is written down, not what the parser thinks of it
        message = email.message_from_bytes(envelope.content, policy=email.policy.compat32)
        tags = [tag_of(a) for a in envelope.rcpt_tos]
        if "later" in tags:
            try:
                early = self.store.is_early(message)
            except (TypeError, ValueError):
                return "554 5.6.0 no Date header that can be read"
            if early:
                return "451 4.7.1 greylisted, try again a day later"
        for tag in tags:
            slow = re.fullmatch(r"slow(\d{1,6})", tag)
            if slow:
                await asyncio.sleep(int(slow.group(1)) / 1000)
        server.mails += 1
        self.store.accept(message, ", ".join(envelope.rcpt_tos), envelope.content, server.number)
        if "drop" in tags:
            server.transport.abort()
        return "250 2.0.0 accepted"


def authenticator(user, password):
    def check(server, session, envelope, mechanism, data):
        good = data.login == user.encode() and data.password == password.encode()
        return AuthResult(success=good, handled=False)  # False: the 535 is not sent yet

    return check


def server_factory(args):
    context = None
    if args.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(args.cert, args.key)
    handler = Handler(Store(args.dir), args.mails)
    login = {}
    if args.user:
        password = args.password or os.environ.get("SMTP_SINK_PASSWORD", "")
        login = {
            "auth_required": True,
            "auth_require_tls": context is not None,
            "authenticator": authenticator(args.user, password),
        }
    return lambda: Connection(
        handler, hostname="sink.test", data_size_limit=MAX_MESSAGE_BYTES, tls_context=context, enable_SMTPUTF8=False, **login
    )


def end_with_stdin(loop, stop):
    def watch():
        while sys.stdin.buffer.read(4096):
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch, daemon=True).start()


async def serve(args):
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signo in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signo, stop.set)
    if not args.detached:
        end_with_stdin(loop, stop)
    server = await loop.create_server(server_factory(args), "127.0.0.1", args.port)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    # At once: every line is written, and a second signal must not meet a loop half taken down.
    os._exit(0)


def main():
    logging.disable()
    warnings.simplefilter("ignore")  # a login without TLS is meant, on loopback
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detached", action="store_true", help="do not end when standard input closes")
    parser.add_argument("--port", type=int, default=0, help="loopback port (default: a free one)")
    parser.add_argument("--dir", required=True, help="folder for messages and lists; made if missing")
    parser.add_argument("--user", help="require AUTH with this name")
    parser.add_argument("--password", help="its password (or SMTP_SINK_PASSWORD)")
    parser.add_argument("--mails", type=int, default=0, help="messages per connection (default: no limit)")
    parser.add_argument("--cert", help="certificate (PEM): offer STARTTLS")
    parser.add_argument("--key", help="its key (PEM)")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

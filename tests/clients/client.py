"""The doors through python3-redis: every case of cases.json, its result by the key that this client derives, and the stream of dead letters."""
import json
import os
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../examples/clients"))
try:
    import msgpack
    from enqueue import connect, enqueue
except ImportError as missing:
    print(f"clients: SKIPPED Python, {missing}: Debian's python3-redis and python3-msgpack")
    sys.exit(0)

PATIENCE_S = 60
client = connect(os.environ["REDIS_URL"])


def state(job):
    out = subprocess.run(["psql", "-XAtq", "-d", os.environ["DATABASE_URL"], "-v", f"job={job}", "-f", os.path.join(here, "state.sql")],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def until(case, job):
    deadline = time.monotonic() + PATIENCE_S
    found = state(job)
    while any(found.get(name) != want for name, want in case["expect"].items()):
        if time.monotonic() > deadline:
            return f"expected {case['expect']}, found {found}"
        time.sleep(0.05)
        found = state(job)
    return None


def add(case):
    payload = case["raw"] if "raw" in case else case["payload"]
    body = msgpack.packb(payload) if case.get("msgpack") else payload.encode() if isinstance(payload, str) else payload
    options = {name: value.replace("CLIENT", "python") for name, value in case.get("options", {}).items()}
    return enqueue(client, case.get("kind", "noop"), body, **options)[1]


with open(os.path.join(here, "cases.json"), encoding="utf-8") as f:
    cases = json.load(f)
failed = 0
jobs = {}
for case in cases:
    if "after" in case:
        until(next(c for c in cases if c["name"] == case["after"]), jobs[case["after"]])
    jobs[case["name"]] = add(case)
# The entry whose key is held leaves no trace: wait until it was taken before saying so.
while any(group["pending"] or group["lag"] for group in client.xinfo_groups("usher:{0}:in:default")):
    time.sleep(0.05)
for case in cases:
    wrong = until(case, jobs[case["name"]])
    failed += wrong is not None
    print(f"{'not ok' if wrong else 'ok'} - python: {case['name']}{': ' + wrong if wrong else ''}")
deadline = time.monotonic() + PATIENCE_S
letters = set()
while jobs["forged"] not in letters and time.monotonic() < deadline:
    letters = {fields[b"job"].decode() for _, fields in client.xrange("usher:{0}:dlq")}
    time.sleep(0.05)
print(f"{'ok' if jobs['forged'] in letters else 'not ok'} - python: the stream of dead letters names it")
sys.exit(1 if failed or jobs["forged"] not in letters else 0)

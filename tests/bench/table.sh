#!/bin/sh
# The README's table from a benchmark's JSON lines: make -s bench BENCH=queue | tests/bench/table.sh
set -eu
model=$(lscpu 2>/dev/null | sed -n 's/^Model name: *//p' | head -n 1)
exec /usr/bin/python3 -c '
import datetime, json, os, sys
memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
print("%s, %d cores (%s), %.0f GiB.\n" % (datetime.date.today(), os.cpu_count(), sys.argv[1] or "unknown", memory))
print("| metric | value | ratio | target | |\n|---|---|---|---|---|")
for line in sys.stdin:
    if not line.startswith("{"):
        continue
    m = json.loads(line)
    value = m.get("value")
    shown = m.get("reason", "") if value is None else "{:,.0f} {}".format(value, m["unit"]) if value >= 100 else "%.3g %s" % (value, m["unit"])
    ratio = "%.2f of %s" % (m["ratio"], m["of"]) if "ratio" in m else ""
    state = "not to be had" if value is None else "" if "target" not in m and m["ok"] else "met" if m["ok"] else "**missed**"
    print("| %s | %s | %s | %s | %s |" % (m["metric"], shown, ratio, m.get("target", ""), state))
' "$model"

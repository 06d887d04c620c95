#!/bin/bash
# install-deps.sh: installs what is missing of packages.txt (beside this script) with apt-get, as root or through sudo.
#
# Usher starts PostgreSQL and Redis itself, in a folder of its own. Fresh packages are therefore kept from starting their
# services and from making a default cluster; what the machine had running or configured before is left alone.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mapfile -t wanted < <(sed -e 's/#.*//' "$here/packages.txt" | awk 'NF {print $1}')

say() {
    echo "deps: $*"
}

# Packages whose state is not "installed".
missing() {
    local package
    for package in "${wanted[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "this is no Debian system; install what these packages hold by your own means: ${wanted[*]}" >&2
    exit 0
fi

mapfile -t lacking < <(missing)
if [ ${#lacking[@]} = 0 ]; then
    say "all ${#wanted[@]} packages are installed"
    exit 0
fi
say "missing: ${lacking[*]}"

as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        say "neither root nor sudo; have somebody run: apt-get install ${lacking[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
say "installing them with ${as_root[*]:+${as_root[*]} }apt-get"

# Both files are ours only if they were not there before, and go again at the end.
policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/usher-deps.conf
made_policy=
made_cluster=
cleanup() {
    [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"
    if [ -n "$made_cluster" ]; then
        "${as_root[@]}" rm -f "$cluster"
        # What an installed postgresql-common owns stays.
        dpkg-query -S "${cluster%/*}" >/dev/null 2>&1 || "${as_root[@]}" rmdir --ignore-fail-on-non-empty "${cluster%/*}"
    fi
}
trap cleanup EXIT

if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi
if [[ " ${lacking[*]} " == *" postgresql"* ]] && [ ! -e "$cluster" ]; then
    made_cluster=yes
    "${as_root[@]}" mkdir -p "${cluster%/*}"
    echo 'create_main_cluster = false' | "${as_root[@]}" tee "$cluster" >/dev/null
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 \
        -o Dpkg::Options::=--force-confold "$@" </dev/null
}
apt update
apt install --no-install-recommends "${lacking[@]}"

mapfile -t lacking < <(missing)
if [ ${#lacking[@]} -gt 0 ]; then
    say "still missing: ${lacking[*]}" >&2
    exit 1
fi
say "done"

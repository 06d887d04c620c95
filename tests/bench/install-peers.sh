#!/bin/sh
# Installs the pinned npm packages of a package.json (default: those that bench_rules is compared with) into DIR/node_modules; does nothing
# when they are there. usage: install-peers.sh DIR [FOLDER-OF-PACKAGE.JSON]. Exit 1 with the reason on standard error's last line when that is not possible.
set -u
dir=$1
here=${2:-$(dirname "$0")}

command -v node >/dev/null 2>&1 || { echo 'node is not installed' >&2; exit 1; }
mkdir -p "$dir"
cmp -s "$here/package.json" "$dir/package.json" && [ -e "$dir/.installed" ] && exit 0
command -v npm >/dev/null 2>&1 || { echo 'npm is not installed' >&2; exit 1; }
rm -f "$dir/.installed"
cp "$here/package.json" "$dir/package.json"
npm install --prefix "$dir" --no-audit --no-fund --no-package-lock --ignore-scripts >"$dir/npm.log" 2>&1 ||
    { echo "npm install failed, see $dir/npm.log" >&2; exit 1; }
touch "$dir/.installed"

#!/bin/sh
# Makes the passwords of docker-compose.automation.yml that are missing in deploy/docker/secrets/. Run it once, before the first start.
set -eu

cd "$(dirname "$0")"
mkdir -p secrets
for name in postgres migrator scheduler worker maint; do
    file=secrets/${name}_password
    [ -s "$file" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$file"
    # The containers read them as other users than the one who made them; the folder keeps others of this host out.
    chmod 644 "$file"
done
chmod 711 secrets
echo 'deploy/docker/secrets: complete'

#!/bin/bash
# Run once by the postgres image on an empty data folder: Usher's logins, with passwords from the secrets.
set -euo pipefail

for name in migrator scheduler worker maint; do
    export "${name^^}_PASSWORD=$(cat "/run/secrets/${name}_password")"
done
psql -qX -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f /usher/logins.sql

#!/bin/sh
# Proves that a dump can be restored, in a database of its own that is dropped again:
#   DATABASE_URL=postgres://.../comms drill.sh FILE
# DATABASE_URL is a server where databases may be made; what is in it is not touched. `manage.py` is
# that of MANAGE, by default `python manage.py`. Ends with 0 where the restored ledger is right.
set -eu
file=${1:?the dump}
here=$(dirname "$0")
name=comms_drill_$$
query=${DATABASE_URL#"${DATABASE_URL%%\?*}"}
drill=${DATABASE_URL%%\?*}
drill=${drill%/*}/$name$query
psql "$DATABASE_URL" --no-psqlrc --quiet --command "CREATE DATABASE $name TEMPLATE template0"
trap 'psql "$DATABASE_URL" --no-psqlrc --quiet --command "DROP DATABASE $name WITH (FORCE)"' EXIT
began=$(date +%s)
DATABASE_URL=$drill "$here/restore.sh" "$file"
echo "Restored in $(($(date +%s) - began)) s."
unset DATABASE_URL_FILE
DATABASE_URL=$drill ${MANAGE:-python manage.py} migrate --check
DATABASE_URL=$drill ${MANAGE:-python manage.py} audit
echo "The backup is good."

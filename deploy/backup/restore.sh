#!/bin/sh
# Fills an empty database from a dump, all or nothing:
#   DATABASE_URL=postgres://... restore.sh FILE
# Start no worker before you have read docs/deployment/BACKUP.md: the dump's queue is of its moment.
set -eu
file=${1:?the dump}
tables=$(psql "$DATABASE_URL" --no-psqlrc --tuples-only --no-align --command \
  "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
if [ "$tables" -ne 0 ]; then
  echo "The database has $tables tables. A restore goes into an empty one." >&2
  exit 1
fi
pg_restore --exit-on-error --single-transaction --no-owner --no-privileges --dbname="$DATABASE_URL" "$file"
psql "$DATABASE_URL" --no-psqlrc --quiet --command "ANALYZE"

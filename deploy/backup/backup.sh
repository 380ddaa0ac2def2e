#!/bin/sh
# Writes one file with all of the database, as of one moment, while the service works:
#   DATABASE_URL=postgres://... backup.sh FOLDER
# Prints the file's path. A dump that fails leaves no file that looks like one.
set -eu
folder=${1:?the folder to write to}
umask 077
file=$folder/comms-$(date -u +%Y%m%dT%H%M%SZ).dump
trap 'rm -f "$file.part"' EXIT
pg_dump --format=custom --no-owner --no-privileges --file="$file.part" "$DATABASE_URL"
pg_restore --list "$file.part" >/dev/null
mv "$file.part" "$file"
echo "$file"

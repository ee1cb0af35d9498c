#!/bin/sh
# Plays a small incident on a journal of its own, and keeps a sample of every format that its commands write.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$here/../../.venv/bin/python
[ "${1-}" = inside ] || exec unshare --uts "$0" inside

hostname web1.example.com
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export XDG_STATE_HOME="$folder" NO_COLOR=1 LC_ALL=C.UTF-8 LOGNAME=ada PYTHONPATH="$here/../../src"
unset SUDO_USER XDG_RUNTIME_DIR
cd "$folder"
backout() { "$python" -m backout "$@"; }

"$python" - <<'PY'
from backout import bootstrap
from backout.flow import incidents
incidents.declare(bootstrap.journal(), "ada", bootstrap.new_change_id, "production", "the shop is down")
PY
backout --json note --foo web1 answers 502 >"$here/note-1.json"
backout --json do --as "make room" -- "df -h /srv >/dev/null; echo made room" >"$here/do-1.json" 2>/dev/null || true

# What the journal cannot take: it is damaged here.
echo damaged >"$folder/backout/journal.db"
rm -f "$folder"/backout/journal.db-*
backout note "it lies aside" 2>/dev/null
backout note "so does this" 2>/dev/null
mv "$folder"/backout/*.aside "$here/aside-1"

#!/bin/sh
# Plays a small story as root on paths of its own, and keeps one sample of every format that this release writes.
# Run it when a format is new; a sample of a released format is never recorded again (see FORMATS.md).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$here/../../.venv/bin/python
shop=/srv/shop
[ "$(id -u)" = 0 ] || { echo "This needs root." >&2; exit 1; }
if [ "${1-}" != inside ]; then
    [ ! -e $shop ] || { echo "$shop is there already." >&2; exit 1; }
    exec unshare --uts "$0" inside
fi

hostname web1.example.com
export BACKOUT_STATE=/var/lib/backout-sample XDG_STATE_HOME=/var/lib/backout-sample/user NO_COLOR=1 LC_ALL=C.UTF-8
unset SUDO_USER
trap 'rm -rf $shop $BACKOUT_STATE' EXIT
mkdir $shop
cd $shop
printf 'bind = "127.0.0.1:8000"\nworkers = 2\ntimeout = 30\n' >gunicorn.conf.py
cat >backout.toml <<'TOML'
[environments.production]
hosts = ["local"]

[[environments.production.checks]]
name = "configured"
run = "grep -q ^workers /srv/shop/gunicorn.conf.py"
TOML

backout() { "$python" -m backout "$@"; }
# keep NAME CODE ARGUMENTS...: run with --json, hold it to its exit code, keep the document.
keep() {
    name=$1 code=$2 got=0
    shift 2
    backout --json "$@" >"$here/$name" || got=$?
    [ "$got" = "$code" ] || { echo "backout $* exited $got, not $code:" >&2; cat "$here/$name" >&2; exit 1; }
}
conf=$shop/gunicorn.conf.py
four="s/workers = 2/workers = 4/"

keep doctor-1.json 0 doctor
keep effects-1.json 0 rehearse -- sed -i "$four" $conf
keep refused-1.json 3 run --expect "file:$conf" -- "sed -i '$four' $conf; echo 8.0.0 >$shop/.python-version"
keep applied-1.json 0 run --expect "file:$conf" --why "four workers for the sale" -- sed -i "$four" $conf
change=$(tail -n 1 $BACKOUT_STATE/ledger | "$python" -c 'import json, sys; print(json.load(sys.stdin)["change"])')
echo '# tuned by hand' >>$conf
keep conflict-1.json 6 back
keep back-1.json 0 back --discard-edits --why "the sale is over"
# A crash at the first switch, and what recovery makes of it.
strace -qq -f -o /dev/null -e trace=renameat2 -e inject=renameat2:signal=SIGKILL:when=1 \
    "$python" -m backout --quiet run --yes -- sed -i "$four" $conf >/dev/null 2>&1 || true
keep error-1.json 5 run --yes -- true
keep recovered-1.json 0 recover
keep changes-1.json 0 log
keep gc-1.json 0 gc --older-than 0s --dry-run

cp $BACKOUT_STATE/ledger "$here/ledger-1"
cp $BACKOUT_STATE/changes/"$change"/plan.json "$here/plan-1.json"
cp $BACKOUT_STATE/changes/"$change"/raw.json.gz "$here/raw-1.json.gz"
cp $XDG_STATE_HOME/backout/journal.db "$here/journal-1.db"
# A plan with every kind of step that needs no service manager.
mkdir -p $shop/log $shop/private $shop/old
echo begun >$shop/log/shop.log && echo shared >$shop/one && ln $shop/one $shop/two && echo gone >$shop/old/file
backout --quiet run --yes -- "echo more >>log/shop.log; echo other >one; ln two three; chmod 700 private; rm -r old; ln -s one link" >/dev/null
cp "$(ls -td $BACKOUT_STATE/changes/* | head -n 1)/plan.json" "$here/plan-1-steps.json"

printf '%s\n' '{"op": "hello"}' '{"op": "changes"}' '{"op": "after", "change": "none", "command": "echo hello"}' \
    "{\"op\": \"show\", \"change\": \"$change\"}" '{"op": "unheard-of"}' >"$here/wire-1.requests"
"$python" -c 'from backout.host.serve import main; main()' <"$here/wire-1.requests" >"$here/wire-1.answers"

# The same command on two environments, which both are this machine: the packages are there already on the first.
cat >twins.toml <<'TOML'
[environments.staging]
hosts = ["local"]
[environments.production]
hosts = ["local"]
same_as = "staging"
[[environments.production.differs]]
what = "file:/srv/shop/.env"
why = "each environment has its own database"
[[guards]]
rule = "staged-first"
why = "2026-11-23: staging was not the same"
TOML
cat >deploy.py <<'PY'
import base64, hashlib, pathlib, re, shutil, sys
shop = pathlib.Path("/srv/shop")
conf = shop / "gunicorn.conf.py"
conf.write_text(re.sub("timeout = .*", "timeout = 60", conf.read_text()))
(shop / ".env").write_text("DATABASE=" + sys.argv[1])
for name, version in (word.split("-") for word in sys.argv[2:]):
    info = shop / f"venv/lib/python3.12/site-packages/{name}-{version}.dist-info"
    if not info.exists():
        for old in info.parent.glob(f"{name}-*"):
            shutil.rmtree(old)
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        digest = hashlib.sha256((info / "METADATA").read_bytes()).digest()
        said = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        (info / "RECORD").write_text(f"{info.name}/METADATA,sha256={said},\n{info.name}/RECORD,,\n")
PY
mkdir -p venv/lib/python3.12/site-packages
touch venv/pyvenv.cfg
deploy() { "$python" -B deploy.py "$@"; printf 'bind = "127.0.0.1:8000"\nworkers = 2\ntimeout = 30\n' >gunicorn.conf.py; }
new="flask-3.1.0 jinja2-3.1.6 setuptools-84.0.0 werkzeug-3.1.3"
deploy staging $new
backout --quiet --config twins.toml run -e staging --yes -- "python3 -B deploy.py here $new" >/dev/null
deploy production flask-2.2.5 jinja2-3.1.6 setuptools-65.5.0 werkzeug-2.2.3
keep compared-1.json 3 --config twins.toml rehearse -e production -- "python3 -B deploy.py here $new"

# Of these packages one breaks the application: its new release no longer has a module.
site=$shop/venv/lib/python3.12/site-packages
echo 'import sys' >$site/pkg_resources.py
"$python" - $site >>$site/setuptools-65.5.0.dist-info/RECORD <<'PY'
import base64, hashlib, pathlib, sys
digest = hashlib.sha256(pathlib.Path(sys.argv[1], "pkg_resources.py").read_bytes()).digest()
print(f"pkg_resources.py,sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')},")
PY
cat >split.toml <<TOML
[environments.production]
hosts = ["local"]
[[environments.production.checks]]
name = "imports"
run = "PYTHONPATH=$site python3 -S -B -c 'import pkg_resources'"
TOML
keep split-1.json 0 --config split.toml split -e production -- "python3 -B deploy.py here $new; rm -f $site/pkg_resources.py"

# An incident: a check fails since a change, one host answers, and the other is nowhere.
printf 'workers = 2\n' >$conf
cat >panic.toml <<TOML
[environments.production]
hosts = ["local", "web2.invalid"]
[[environments.production.checks]]
name = "answers"
run = "test ! -e maintenance || { echo 503 Service Unavailable; exit 1; }"
within = "1s"
[[environments.production.checks]]
name = "configured"
run = "grep -q ^workers /srv/shop/gunicorn.conf.py"
[commands.two-workers]
run = "sed -i 's/^workers.*/workers = 2/' $conf"
[audiences.client]
name = "Example Ltd"
to = ["mailto:ops@client.example"]
[[backups]]
name = "conf"
run = "cp $conf $shop/backup.py"
restore_test = "python3 -m py_compile $shop/backup.py"
max_age = "24h"
TOML
sed '2s/, "web2.invalid"//' panic.toml >backout.toml
backout --quiet run --yes --why "four workers for the sale" -- sed -i "$four" $conf >/dev/null
backout --quiet back >/dev/null
backout --quiet run --yes --why "eight workers for the sale" -- sed -i "s/workers = 2/workers = 8/" $conf >/dev/null
backout --quiet rehearse two-workers >/dev/null
backout --quiet --config panic.toml do -e local --as conf -- "cp $conf $shop/backup.py"
touch maintenance
keep panic-1.json 0 --config panic.toml panic -e production "the shop answers 503"
rm maintenance

# Looks, where nothing but a system and the shop is on the disks: what else this machine has is nobody's business.
# With the system's own Python, since ours may lie in a folder that is hidden.
looks=/run/backout-sample
trap 'rm -rf $shop $BACKOUT_STATE $looks' EXIT
mkdir -p $looks && cp -r "$here/../../src" $looks/src
rm -rf $shop && mkdir $shop && cd $shop
printf '[db]\nhost = db1\npassword = hunter2\n' >shop.ini
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null -subj "/CN=shop.example.com" \
    -days 20 -out shop.crt 2>/dev/null
printf '[environments.production]\nhosts = ["local"]\nwatch = ["%s"]\n' $shop >backout.toml
printf '[environments.both]\nhosts = ["local", "web2.invalid"]\nwatch = ["%s"]\n' $shop >>backout.toml
sleep 3 # until what was written is old enough to be believed
cat >$looks/look <<'SH'
for folder in /*; do
    case $folder in
    /bin|/boot|/dev|/etc|/lib*|/proc|/run|/sbin|/srv|/sys|/usr|/var) ;;
    *) [ -h "$folder" ] || [ ! -d "$folder" ] || mount -t tmpfs none "$folder" ;;
    esac
done
mount -t tmpfs none /var/tmp
export BACKOUT_STATE=/run/backout-sample/state XDG_STATE_HOME=/run/backout-sample/user PYTHONPATH=/run/backout-sample/src
cd /srv/shop
backout() { /usr/bin/python3 -m backout --json look "$@"; }
backout production >/run/backout-sample/whole.json
backout production --kind os --kind timezone --kind certificate --kind config --kind file >/run/backout-sample/facts-1.json
echo new >new
backout both --kind os --kind file >/run/backout-sample/looks-1.json || [ $? = 1 ]
SH
unshare --mount sh -e $looks/look
cp $looks/facts-1.json $looks/looks-1.json "$here/"
cp $looks/state/known/watch "$here/known-1"
# What the journal keeps of a look: the event, and a part. Not the whole of it: that would be this machine.
PYTHONPATH=$looks/src /usr/bin/python3 - $looks/user/backout/journal.db "$here" <<'PY'
import json, pathlib, sys
from backout.model.digest import canonical
from backout.model.fact import Fact
from backout.model.parts import cut
from backout.store.sqlite import SqliteJournal
here = pathlib.Path(sys.argv[2])
event = next(SqliteJournal(pathlib.Path(sys.argv[1])).events(type="look"))
(here / "look-1.event").write_bytes(canonical(event._asdict()) + b"\n")
part = max(cut(Fact(*row) for row in json.loads((here / "looks-1.json").read_text())["looks"][0]["facts"]), key=len)
(here / "look-1.part").write_bytes(part)
PY

# What several hosts give: each an sshd in a namespace of its own.
cd / && rm -r $shop
"$python" "$here/fleet.py"

# What is noted while an incident is open.
"$here/incident.sh" inside
# What is told of a search, and of an import.
"$python" "$here/search.py"
"$python" "$here/review.py"

# What is told of guards.
"$here/guards.sh" inside

#!/bin/sh
# Plays a small story of changes that did harm and changes that did none, and keeps samples of what is told of guards.
# `record.sh` begins it; by itself it keeps its own samples alone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$here/../../.venv/bin/python
shop=/srv/shop
if [ "${1-}" != inside ]; then
    [ ! -e $shop ] || { echo "$shop is there already." >&2; exit 1; }
    exec unshare --uts "$0" inside
fi

hostname web1.example.com
export BACKOUT_STATE=/var/lib/backout-guards XDG_STATE_HOME=/var/lib/backout-guards/user NO_COLOR=1 LC_ALL=C.UTF-8
export PYTHONPATH="$here/../../src"
unset SUDO_USER
trap 'rm -rf $shop $BACKOUT_STATE' EXIT
site=$shop/venv/lib/python3.12/site-packages
mkdir -p $site
cd $shop
touch venv/pyvenv.cfg
cat >install.py <<'PY'
import base64, hashlib, pathlib, shutil, sys
site = pathlib.Path("/srv/shop/venv/lib/python3.12/site-packages")
for name, version in (word.split("-") for word in sys.argv[1:]):
    for old in site.glob(f"{name}-*"):
        shutil.rmtree(old)
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    digest = hashlib.sha256((info / "METADATA").read_bytes()).digest()
    said = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    (info / "RECORD").write_text(f"{info.name}/METADATA,sha256={said},\n{info.name}/RECORD,,\n")
PY
"$python" -B install.py flask-2.2.5 jinja2-3.1.2 redis-4.4.2 setuptools-65.5.0 werkzeug-2.2.3
echo 'workers = 2' >gunicorn.conf.py
cat >backout.toml <<TOML
[environments.production]
hosts = ["local"]

[[environments.production.checks]]
name = "answers"
run = "! test -e $shop/started || test -d $site/setuptools-65.5.0.dist-info"

[commands.packages]
run = "pip install -r requirements.txt"
expect = ["python-package:/srv/shop/venv:*"]
TOML

backout() { "$python" -m backout --quiet "$@"; }
install="python3 -B install.py"
backout run --expect "file:$shop/gunicorn.conf.py" -- "echo 'workers = 4' >gunicorn.conf.py" >/dev/null
backout run --yes --why "redis for the queue" -- "$install redis-8.1.0" >/dev/null
backout run --yes --why "a setting, and what comes along" -- "$install flask-3.1.3 jinja2-3.1.6 werkzeug-3.1.3" >/dev/null
backout back --why "the site was down" >/dev/null
backout run --yes --after "touch $shop/started" -- "$install setuptools-84.2.1" >/dev/null || [ $? = 4 ]
backout run -- "$install setuptools-84.2.1" >/dev/null 2>&1 || [ $? = 3 ]

backout guard add max-jump --why "2026-11-23: setuptools went from 65 to 84, and nobody had asked for it" \
    --says "No program that your shop needs jumps to a new generation unasked." \
    --owner ada --review-by 2026-10-31 --incident 2026-11-23-shop --override-allowed >/dev/null
backout guard add max-effects --name few-packages --most python-package=2 --environment production \
    --why "more than that nobody looks through" >/dev/null
backout guard add forbid --what "python-package:*" --name no-packages --why "tried for a week" >/dev/null
backout --json guard list >"$here/guards-1.json"
backout --json guard test >"$here/guard-test-1.json"
backout --json rehearse --override max-jump --why "ada asked for it" --expect "python-package:*" \
    -- "$install flask-3.1.3 jinja2-3.1.6 werkzeug-3.1.3" >"$here/guarded-1.json" || [ $? = 3 ]

backout panic "the shop answers 502" >/dev/null 2>&1
sed -i 's/^rule = "max-jump"/name = "max-jump"\n&/' backout.toml # two of a rule need names
backout --json review guard >"$here/candidates-1.json"
backout review guard --add 1 >/dev/null
backout review prove answers >/dev/null
sed -i 's/what = \["python-package:setuptools"\]/what = ["python-package:pip"]/' backout.toml
backout --json guard test --proofs >"$here/proofs-1.json" || [ $? = 3 ]

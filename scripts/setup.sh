#!/usr/bin/env bash
# Makes .venv with the tools of the build and the tests. Keyed on the requirement files: a second run takes no time.
set -euo pipefail
cd "$(dirname "$0")/.."
key=$(cat scripts/requirements-*.txt pyproject.toml | sha256sum | cut -c1-16)
stamp=".venv/.ready-$key"
[ -e "$stamp" ] && exit 0
echo "setup: making .venv (once)"
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r scripts/requirements-build.txt -r scripts/requirements-test.txt
rm -f .venv/.ready-*
touch "$stamp"

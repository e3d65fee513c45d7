#!/usr/bin/env bash
# Is everything here that a build needs? One line for each thing that is missing, with the way out; two seconds.
set -u
missing=0
lacks() { echo "doctor: $1" >&2; missing=1; }
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

want_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
if ! command -v cargo >/dev/null 2>&1; then
  lacks "cargo is missing: install Rust $want_rust or newer with rustup"
else
  have=$(cargo --version | awk '{print $2}')
  at_least "$want_rust" "$have" || lacks "cargo $have is too old: rustup update (at least $want_rust)"
fi
if ! command -v python3 >/dev/null 2>&1; then
  lacks "python3 is missing: install Python 3.10 or newer"
else
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || lacks "$(python3 --version) is too old: install Python 3.10 or newer"
  python3 -c 'import venv, ensurepip' 2>/dev/null || lacks "python3 has no venv module: install it (Debian: apt-get install python3-venv)"
fi
command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 ||
  lacks "there is no C compiler: install gcc or clang (Debian: apt-get install build-essential)"
free_mib=$(df -Pm "$(dirname "$0")/.." | awk 'NR == 2 {print $4}')
[ "${free_mib:-0}" -ge 4096 ] || lacks "only ${free_mib:-0} MiB of disk are free here: a build needs 4096"
[ "$missing" -eq 0 ] || exit 1

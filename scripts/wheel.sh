#!/usr/bin/env bash
# A wheel that installs on clusters (manylinux_2_28), tried in a clean environment with the demo's command.
set -euo pipefail
cd "$(dirname "$0")/.."
pip install --quiet ziglang
rm -rf dist
# No folder of the machine that built it in what users get.
export RUSTFLAGS="--remap-path-prefix=$PWD=ferrocyte --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
maturin build --release --zig --compatibility manylinux_2_28 --out dist
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT
python3 -m venv "$clean/venv"
"$clean/venv/bin/pip" install --quiet --disable-pip-version-check dist/*.whl
cp data/kang_ifnb.h5ad "$clean/"
cd "$clean"
venv/bin/ferrocyte lmm fit kang_ifnb.h5ad --formula "~ log(libsize) + donor + condition + (1 | sample)" \
  --groups cell_type --contrast condition:stim:ctrl -o tests.tsv
head -n 4 tests.tsv
venv/bin/python -c "import ferrocyte as fe; print('ferrocyte', fe.__version__, 'installed from a wheel')"

#!/usr/bin/env bash
# The steps of CI, each with its seconds. `fast` is what every push runs; `slow` is what an issue's end runs besides.
set -euo pipefail
cd "$(dirname "$0")/.."
level=${1:-fast}
profile=ci
export CARGO_INCREMENTAL=0
summary=()
failed=0

step() {
  local name=$1 start=$SECONDS outcome=ok
  shift
  echo "== $name"
  "$@" || { outcome=FAILED; failed=1; }
  summary+=("$(printf '%6d s  %-6s %s' $((SECONDS - start)) "$outcome" "$name")")
}

rust_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --cargo-profile "$profile" --status-level fail --hide-progress-bar
  else
    cargo test --workspace --profile "$profile" --quiet --lib --bins --tests
  fi
}

formats() {
  cargo fmt --all --check && ruff check --quiet python scripts demo benches && ruff format --quiet --check python scripts demo benches
}

api_docs() {
  RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --profile "$profile" --quiet
}

# Packages of others stand in an environment of their own: what they need must not change what is tested elsewhere.
interop() {
  python -m venv --clear target/interop &&
    target/interop/bin/pip install --quiet --disable-pip-version-check -r scripts/requirements-interop.txt &&
    PYTHONPATH=python target/interop/bin/python -m pytest -q -m slow python/tests/test_interop.py
}

# The page of a study is driven in a browser, where there is one; its driver stands in an environment of its own.
browser() {
  python -m venv --clear target/browser &&
    target/browser/bin/pip install --quiet --disable-pip-version-check -r scripts/requirements-browser.txt &&
    PYTHONPATH=python target/browser/bin/python -m pytest -q -m slow python/tests/test_report_browser.py
}

types() { mypy --no-error-summary python/ferrocyte; }

demo() {
  python demo/kang_ifnb.py --out out/demo --page out/demo/report.html --check
}

if [ "$level" = fast ]; then
  step "format and lint of Python" formats
  step "clippy" cargo clippy --workspace --all-targets --profile "$profile" --quiet -- -D warnings
  step "Rust tests" rust_tests
  step "Rust examples in the docs" cargo test --workspace --doc --profile "$profile" --quiet
  step "Rust API docs" api_docs
  step "Python extension" maturin develop --profile "$profile" --quiet
  step "types of the Python package" types
  step "generated pages are current" python scripts/make_docs.py --check
  step "demo" demo
  step "Python tests" python -m pytest -q -n 2 --dist loadfile -m "not slow" python
else
  step "Python extension" maturin develop --profile "$profile" --quiet
  step "Rust tests, long property tests" env PROPTEST_CASES=2000 cargo test --workspace --profile "$profile" --quiet --lib --tests
  step "damaged files, two minutes for each reader" env FERROCYTE_HOSTILE_SECONDS=120 cargo test -p ferrocyte-io --test hostile --profile "$profile" --quiet
  step "tutorials" python scripts/run_tutorials.py --check
  step "calibration" python benches/calibration --check
  step "slow Python tests" python -m pytest -q -m slow python
  step "scanpy, squidpy and decoupler beside us" interop
  step "the page of a study in a browser" browser
fi

echo "== seconds"
printf '%s\n' "${summary[@]}"
passed=$(printf '%s\n' "${summary[@]}" | grep -c ' ok ' || true)
echo "steps: $passed passed, $((${#summary[@]} - passed)) failed"
exit "$failed"

# ferrocyte: `make demo` shows the main job, `make test` runs all that CI runs. Both set up everything they need.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VENV := $(CURDIR)/.venv
# pip's cmake comes before the system's: HDF5 needs 3.26 or newer.
export PATH := $(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(VENV)
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# One profile for tests, the extension under test and the demo, so that dependencies compile once.
PROFILE := ci
export CARGO_TERM_PROGRESS_WHEN := never

.PHONY: help doctor setup develop demo test test-slow fuzz bench bench-million calibration parity docs fmt wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

doctor: ## two seconds: is everything here that a build needs?
	@scripts/doctor.sh

setup: doctor
	@scripts/setup.sh

develop: setup ## build the extension into .venv
	maturin develop --profile $(PROFILE) --quiet

demo: develop ## which genes respond to interferon, in which cell type (8 donors, real data); ends in report.html
	python demo/kang_ifnb.py

test: setup ## everything that CI runs, with the seconds of each step
	@scripts/test.sh fast

test-slow: setup ## calibration, tutorials, long property tests, memory; run before an issue is called resolved
	@scripts/test.sh slow

fuzz: setup ## damaged files for an hour for each reader, on the stable compiler
	FERROCYTE_HOSTILE_SECONDS=3600 cargo test -p ferrocyte-io --test hostile --profile $(PROFILE) -- --nocapture

bench: setup ## side by side with peers, in one run; writes docs/speed*.md
	pip install --quiet --disable-pip-version-check -r scripts/requirements-bench.txt
	rm -rf target/bench-site target/wheels
	maturin build --release --quiet --out target/wheels
	pip install --quiet --disable-pip-version-check --no-deps --target target/bench-site target/wheels/*.whl
	python -m venv --clear target/bench-snapatac2
	target/bench-snapatac2/bin/pip install --quiet --disable-pip-version-check snapatac2 || rm -rf target/bench-snapatac2
	python -m venv --clear target/bench-cnmf
	target/bench-cnmf/bin/pip install --quiet --disable-pip-version-check cnmf || rm -rf target/bench-cnmf
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/lmm.py
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/limma.py
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/ctmm.py
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/gxemm.py
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/nbmm.py
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/nmf.py
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/ecotype.py
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/io.py --large
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/cells.py

bench-million: setup ## a million cells from .h5ad to table; after `make bench`; writes docs/million*.md
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/million.py
	PYTHONPATH=$(CURDIR)/target/bench-site python benches/nmf_million.py

calibration: develop ## level and power of every test, labels of cells, simulated and on real splits; writes docs/calibration.md
	python benches/calibration

parity: develop ## errors of every verb of limma against the reference cases; writes docs/parity.md
	python benches/parity.py

docs: develop ## generated pages and API reference under docs/_build
	python scripts/make_docs.py
	python scripts/gallery
	python scripts/run_tutorials.py
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --profile $(PROFILE) --target-dir target

fmt: setup ## format Rust and Python
	cargo fmt --all
	ruff check --fix --quiet python scripts demo benches
	ruff format --quiet python scripts demo benches

wheel: setup ## a manylinux_2_28 wheel in dist/, tried in a clean environment
	@scripts/wheel.sh

clean: ## remove everything that was built
	rm -rf target .venv out dist

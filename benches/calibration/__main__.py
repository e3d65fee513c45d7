"""How often tests reject where nothing is, and how often they find what is there; writes docs/calibration.md.

One module per family makes its sections. `--check` runs the settings that have bounds, with fewer genes, fails when one
is not met, and writes nothing.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
import warnings
from datetime import date
from pathlib import Path

import ferrocyte as fe

sys.path.insert(0, str(Path(__file__).parent))
import limma
import lmm

PAGE = Path(__file__).resolve().parents[2] / "docs/calibration.md"


def main() -> int:
    """Measure, then write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a bound is not met; write nothing")
    check = parser.parse_args().check
    warnings.simplefilter("ignore", fe.FerrocyteWarning)
    began = time.monotonic()
    lines, failures = [], []
    for family in (lmm, limma):
        shown, bad = family.measure(quick=check)
        lines += shown
        failures += bad
    head = [
        "<!-- Made by `make calibration`. Do not edit. -->",
        "",
        "# Calibration",
        "",
        f"ferrocyte {fe.__version__}, {date.today().isoformat()}, {platform.machine()}, Python "
        f"{platform.python_version()}.",
        "",
        "A test that holds its level rejects 5 % of null genes at 0.05, and so on: the level itself stands in its "
        "column. Levels above it by more than three standard errors of the simulation are **bold**. `power` is "
        "the share of genes with an effect that have p < 0.01, as users see it; `power*` the share found where "
        "the test's own error on null genes is exactly 1 %, which makes tests comparable that do not hold their "
        "level.",
        "",
    ]
    text = "\n".join([*head, *lines])
    print(text)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    for failure in failures:
        print(f"out of bounds: {failure}", file=sys.stderr)
    if not check:
        PAGE.write_text(text.rstrip() + "\n")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())

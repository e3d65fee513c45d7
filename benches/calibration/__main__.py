"""How often tests reject where nothing is, and how often they find what is there; writes docs/calibration.md.

One module per family makes its sections. `--check` runs the settings that have bounds, with fewer genes, fails when one
is not met, and writes nothing. `--only FAMILY` measures one family and replaces its section of the page.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import time
import warnings
from datetime import date
from pathlib import Path

import ferrocyte as fe

sys.path.insert(0, str(Path(__file__).parent))
import ctmm
import ctmm_counts
import ecotype
import gxemm
import limma
import lmm
import nbmm

PAGE = Path(__file__).resolve().parents[2] / "docs/calibration.md"
FAMILIES = {
    "lmm": lmm,
    "nbmm": nbmm,
    "limma": limma,
    "ecotype": ecotype,
    "ctmm": ctmm,
    "ctmm_counts": ctmm_counts,
    "gxemm": gxemm,
}


def main() -> int:
    """Measure, then write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a bound is not met; write nothing")
    parser.add_argument("--only", choices=FAMILIES, help="measure one family, and replace its section of the page")
    arguments = parser.parse_args()
    check = arguments.check
    warnings.simplefilter("ignore", fe.FerrocyteWarning)
    began = time.monotonic()
    lines, failures = [], []
    for name in [arguments.only] if arguments.only else FAMILIES:
        shown, bad = FAMILIES[name].measure(quick=check)
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
    text = "\n".join(lines if arguments.only else [*head, *lines])
    print(text)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    for failure in failures:
        print(f"out of bounds: {failure}", file=sys.stderr)
    if not check:
        PAGE.write_text((replaced(PAGE.read_text(), text) if arguments.only else text).rstrip() + "\n")
    return bool(failures)


def replaced(page: str, section: str) -> str:
    """The page with a section in the place of the one of the same title, or behind all others."""
    title = section.splitlines()[0]
    old = re.compile(rf"^{re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    new = section.rstrip() + "\n\n"
    return old.sub(lambda _: new, page) if old.search(page) else f"{page.rstrip()}\n\n{new}"


if __name__ == "__main__":
    sys.exit(main())

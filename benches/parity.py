"""How near the verbs of limma come to limma's own numbers; writes docs/parity.md.

Runs the reference cases of `tests/golden/limma` through the checker that lies beside them and the adapter of the Python
tests, and counts by verb. `--check` writes nothing and fails when a check fails or a verb of the cases does not exist.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import re
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from io import StringIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from page import ROOT, last_line, table, versions

import ferrocyte as fe

CASES = ROOT / "tests/golden/limma"
ADAPTER = ROOT / "python/tests/golden/adapter_limma.py"
PAGE = ROOT / "docs/parity.md"
IN_UNITS = "units of tolerance: "
# Text, Monte Carlo results and expected errors have no error that could be put in numbers.
PROBABILITIES = ("p_value", "adj_p", "fdr", "F_p", "padj", "P")


@dataclass
class Verb:
    """What the checks of one verb found."""

    cases: set[str] = field(default_factory=set)
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    units: float = np.nan
    relative: float = np.nan
    relative_p: float = np.nan


def checker() -> ModuleType:
    """The program of the cases, made to tell errors in units of the tolerance beside what it tells anyway."""
    spec = importlib.util.spec_from_file_location("check_cases", CASES / "check_cases.py")
    if spec is None or spec.loader is None:
        message = f"no check_cases.py in {CASES}"
        raise FileNotFoundError(message)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    compare = module.compare

    def telling(*what: object) -> tuple[float, float, str]:
        units, relative, words = compare(*what)
        return units, relative, words or f"{IN_UNITS}{units!r}"

    module.compare = telling
    return module


def run_cases() -> tuple[pd.DataFrame, str]:
    """Every field of every check (columns `check`, `field`, `verdict`, `detail`, `max_rel_error`), and the summary."""
    module, arguments, told = checker(), sys.argv, StringIO()
    with tempfile.TemporaryDirectory(prefix="ferrocyte-parity-") as folder:
        out = Path(folder) / "fields.tsv"
        data = ["--shared", str(ROOT / "data")]
        sys.argv = ["check_cases.py", str(CASES), "--adapter", str(ADAPTER), *data, "--table", str(out)]
        try:
            with redirect_stdout(told):
                module.main()
        except SystemExit:
            # The checker ends with a status; what failed stands in its table.
            pass
        finally:
            sys.argv = arguments
        return pd.read_csv(out, sep="\t", keep_default_na=False), last_line(told.getvalue())


def checked_verbs() -> tuple[dict[str, str], dict[str, int], set[str]]:
    """The verb that each check is of (its last call), in how many checks a verb is called, what made the references."""
    last, calls, references = {}, {}, set()
    for path in sorted(CASES.glob("*/case.json")):
        case = json.loads(path.read_text())
        references.add(re.sub(r"\s*\(.*", "", case["reference"]))
        for check in case["checks"]:
            verbs = [step["fn"] for step in check["do"]]
            last[f"{case['id']}/{check['id']}"] = check.get("expect_error", {}).get("fn", verbs[-1])
            for verb in set(verbs):
                calls[verb] = calls.get(verb, 0) + 1
    return last, calls, references


def by_verb(fields: pd.DataFrame, last: dict[str, str]) -> dict[str, Verb]:
    """Count the checks of each verb and find its largest errors."""
    found: dict[str, Verb] = {}
    for check, rows in fields.groupby("check", sort=False):
        verb = found.setdefault(last[check], Verb())
        verb.cases.add(check.split("/")[0])
        verdicts = set(rows["verdict"])
        if "SKIP" in verdicts:
            verb.skipped += 1
        elif "FAIL" in verdicts:
            verb.failed.append(check)
        else:
            verb.passed += 1
        for name, detail, relative in rows[["field", "detail", "max_rel_error"]].itertuples(index=False):
            if not str(detail).startswith(IN_UNITS):
                continue
            verb.units = np.fmax(verb.units, float(detail.removeprefix(IN_UNITS)))
            if name.startswith(PROBABILITIES):
                verb.relative_p = np.fmax(verb.relative_p, float(relative))
            else:
                verb.relative = np.fmax(verb.relative, float(relative))
    return found


def small(value: float) -> str:
    """A size in one digit."""
    if np.isnan(value):
        return ""
    return "0" if value == 0 else f"{value:.0e}"


def page(verbs: dict[str, Verb], calls: dict[str, int], references: set[str], summary: str) -> str:
    """The page, as Markdown."""
    rows = [
        [
            f"`{name}`",
            str(len(verb.cases)),
            str(calls.get(name, 0)),
            f"{verb.passed} of {verb.passed + len(verb.failed) + verb.skipped}",
            small(verb.units),
            small(verb.relative),
            small(verb.relative_p),
        ]
        for name, verb in sorted(verbs.items())
    ]
    failed = [f"- `{name}`: {check}" for name, verb in sorted(verbs.items()) for check in verb.failed]
    absent = [f"- `{name}`: not there; {verb.skipped} checks" for name, verb in sorted(verbs.items()) if verb.skipped]
    beside = sorted(name for name in fe.limma.__all__ if name[0].islower() and name not in calls)
    lines = [
        "<!-- Made by `make parity`. Do not edit. -->",
        "",
        "# Parity with limma",
        "",
        f"{date.today().isoformat()}; {platform.system()} {platform.machine()}; {versions()}.",
        "",
        f"The reference cases of `tests/golden/limma`: {summary}. The reference is "
        f"{'; '.join(sorted(references))}, with the defaults and rules of limma 3.66.",
        "",
        "A check is one or several calls in a row; it counts for the verb of its last call, *called in* counts all in "
        "which the verb takes part. Every number of a result must lie within `atol + rtol |expected|` of the "
        "reference, as the case states it. *Of tolerance* is the largest error in units of that: below 1 passes. "
        "*Relative* is the largest relative error among numbers whose error exceeds `atol`, of p-values apart, since "
        "they magnify small errors of t in the tail. A place is empty where a verb gives text, raises an error that is "
        "expected, or draws random rotations, which are compared within binomial error.",
        "",
        *table(["verb", "cases", "called in", "passed", "of tolerance", "relative", "relative, p"], rows),
        "## What does not pass",
        "",
        *(failed + absent or ["Nothing."]),
        "",
        "## Beside the cases",
        "",
        "These verbs have no reference case: tests compare them with direct computations or identities, points through "
        "figures.",
        "",
        ", ".join(f"`{name}`" for name in beside) + ".",
        "",
        "Where the numbers differ on purpose is in [deviations](deviations.md).",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the cases, then write or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail when a check does not pass; write nothing")
    options = parser.parse_args()
    fields, summary = run_cases()
    last, calls, references = checked_verbs()
    verbs = by_verb(fields, last)
    text = page(verbs, calls, references, summary)
    print(text)
    if options.check:
        return int(any(verb.failed or verb.skipped for verb in verbs.values()))
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

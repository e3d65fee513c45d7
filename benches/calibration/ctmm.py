"""Calibration of cell type-specific models: the paper's simulation, each question under its null and an alternative."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from table import LEVELS

import ferrocyte as fe

# Behind the modules of this folder, some of which have the same names.
sys.path.append(str(Path(__file__).resolve().parents[1]))
from page import table

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(os.environ.get("FERROCYTE_GOLDEN", ROOT / "tests/golden"))

# Bounds of the level at 0.05 with 100 individuals and four cell types, of score tests.
BOUNDS = (0.04, 0.06)
SCORE = "score"
FREE: dict[str, object] = {"truth": "free"}

#: How many genes one study has; every study has individuals of its own.
GENES = 250


@dataclass
class Question:
    """A null hypothesis: how data are drawn under it and under an alternative, and the column of its p-values."""

    name: str
    column: str
    null: dict[str, object]
    other: dict[str, object]


def questions(c: int) -> list[Question]:
    """The five questions with `c` cell types."""
    falling = [8.0, 4.0, 2.0, 1.0] * (c // 4)
    one_less = [*falling[:-1], 0.0]
    return [
        Question("V = 0", "p[V]", {"truth": "hom", "ratios": falling}, FREE | {"ratios": falling}),
        Question("hom2 = 0", "p[hom2]", FREE | {"hom2": 0.0, "ratios": falling}, FREE | {"ratios": falling}),
        Question("V equal", "p[V equal]", FREE | {"ratios": [1.0] * c}, FREE | {"ratios": falling}),
        Question("one V_c = 0", f"p[V[type{c}]]", FREE | {"ratios": one_less}, FREE | {"ratios": [1.0] * c}),
        Question("means equal", "p[mean]", FREE | {"mean_share": 0.0, "ratios": falling},
                 FREE | {"mean_share": 0.01, "ratios": falling}),
    ]  # fmt: skip


@dataclass
class Size:
    """Individuals, cell types, and null genes for moments and score tests, for fits, and for jackknives of fits."""

    n: int
    c: int
    closed: int
    fits: int
    jackknives: int


SIZES = [
    Size(100, 4, 10_000, 5_000, 30),
    Size(20, 4, 1_000, 500, 30),
    Size(50, 4, 1_000, 500, 30),
    Size(200, 4, 1_000, 500, 0),
    Size(1_000, 4, 100, 100, 0),
    Size(100, 8, 500, 500, 0),
]
QUICK = [Size(100, 4, 2_000, 0, 0)]

#: Which figure of the package is which of ours.
PEER = {
    "HE, jackknife": "HE jackknife: V",
    "REML, Wald": "REML Wald: V",
    "REML, likelihood ratio": "REML LRT: V",
    "REML, jackknife": "REML jackknife: V",
}


Test = Callable[["fe.ctmm.Pseudobulk"], np.ndarray]


def _fit(made: fe.ctmm.Pseudobulk, column: str, **how: object) -> np.ndarray:
    found = fe.ctmm.fit(made, progress=False, **how).to_df()
    return found[column].to_numpy(float)


def _ratio(made: fe.ctmm.Pseudobulk, small: str, variance: str) -> np.ndarray:
    fits = [
        fe.ctmm.fit(made, model=m, method="reml", jackknife=False, variance=variance, progress=False)
        for m in ("free", small)
    ]
    return fe.ctmm.lrt(*fits)["p_value"].to_numpy(float)


def tests(column: str, size: Size) -> Iterator[tuple[str, Test, int]]:
    """The tests of a question, with the number of null genes of each."""
    yield SCORE, lambda made: fe.ctmm.score_tests(made, progress=False)[column].to_numpy(float), size.closed
    if column != "p[V equal]":
        yield "HE, jackknife", lambda made: _fit(made, column, method="he"), size.closed
        yield "REML, Wald", lambda made: _fit(made, column, method="reml", jackknife=False), size.fits
    small = {"p[V]": "hom", "p[V equal]": "iid"}.get(column)
    if small:
        yield "REML, likelihood ratio", lambda made: _ratio(made, small, "unconstrained"), size.fits
        yield "REML >= 0, likelihood ratio", lambda made: _ratio(made, small, "nonnegative"), size.fits
    if column == "p[V]":
        yield "REML, jackknife", lambda made: _fit(made, column, method="reml"), size.jackknives


def measure(*, quick: bool) -> tuple[list[str], list[str]]:
    """The section of the page, and what is out of bounds."""
    theirs = peer()
    rows, failures = [], []
    for size in QUICK if quick else SIZES:
        for question in questions(size.c):
            for name, test, n_null in tests(question.column, size):
                if n_null == 0:
                    continue
                null = _p(test, question.null, size, n_null)
                other = _p(test, question.other, size, min(GENES, n_null), first=10_000)
                rejected = [float(np.mean(null < level)) for level in LEVELS]
                quoted = [theirs.get((truth, size.n, name), "") if question.column == "p[V]" and size.c == 4 else ""
                          for truth in ("hom", "free")]  # fmt: skip
                power = f"{np.mean(other < LEVELS[0]):.2f}"
                rows.append([question.name, f"{size.n:,}", str(size.c), name, f"{n_null:,}",
                             *_marked(rejected, n_null), power, *quoted])  # fmt: skip
                print(rows[-1], file=sys.stderr, flush=True)
                error = 3 * np.sqrt(0.05 * 0.95 / n_null)
                inside = BOUNDS[0] - error <= rejected[0] <= BOUNDS[1] + error
                if name == SCORE and (size.n, size.c) == (100, 4) and not inside:
                    failures.append(f"ctmm {question.name}, {name}: {rejected[0]:.4f} at {LEVELS[0]}")
    return section(rows), failures


def section(rows: list[list[str]]) -> list[str]:
    """The section of the page with these rows, by question and size."""
    order = [question.name for question in questions(4)]
    rows.sort(key=lambda row: (order.index(row[0]), int(row[2]), int(row[1].replace(",", ""))))
    heads = ["question", "individuals", "cell types", "test", "null genes", *(f"at {level:g}" for level in LEVELS),
             "power", "ctmm 1.1.0 at 0.05", "its power"]  # fmt: skip
    return [
        "## ctmm: cell type-specific variance",
        "",
        f"Measured on {date.today().isoformat()}. The simulation of the paper (Dirichlet "
        "proportions, known noise); studies of "
        f"{GENES} genes, each with individuals of its own. `score` is `fe.ctmm.score_tests`; the "
        "other tests are those of the "
        "package ctmm, and where there is no interior optimum the boundary is tested (the "
        "package's figures, quoted from "
        "`tests/golden/ctmm/calibration.json`, count these as not rejected). Genes without p-value "
        "are not rejected. `power` is "
        "here at p < 0.05, under the paper's alternative (V in proportions 8 : 4 : 2 : 1; for one "
        "V_c one of equal variances; "
        "for means a hundredth of the variance of overall expression is theirs). Levels further "
        "from the nominal one than three standard "
        f"errors are **bold**, in both directions. Bound: score tests with 100 individuals and four cell types are "
        f"within {BOUNDS[0]:g} and {BOUNDS[1]:g} at 0.05, but for three standard errors.",
        "",
        *table(heads, rows),
        "",
    ]  # fmt: skip


def peer() -> dict[tuple[str, int, str], str]:
    """The share that the package rejects, by truth, individuals and our name of the test."""
    told = json.loads((GOLDEN / "ctmm/calibration.json").read_text(encoding="utf-8"))
    return {
        (point["scenario"], point["N"], ours): f"{point['rate'][name]:.3f}"
        for point in told
        for ours, name in PEER.items()
        if name in point["rate"]
    }


def _marked(rejected: list[float], n: int) -> list[str]:
    def one(found: float, level: float) -> str:
        far = abs(found - level) > 3 * np.sqrt(level * (1 - level) / n)
        return f"**{found:.4f}**" if far else f"{found:.4f}"

    return [one(found, level) for found, level in zip(rejected, LEVELS, strict=False)]


def _p(test: Test, truth: dict[str, object], size: Size, n: int, first: int = 0) -> np.ndarray:
    """p-values of `n` genes; where there is none, 1."""
    weights = [2.0] * size.c
    studies = [
        test(fe.sim.ctmm(min(GENES, n - done), size.n, seed=first + done, concentration=weights, **truth)[0])  # type: ignore[arg-type]
        for done in range(0, n, GENES)
    ]
    return np.nan_to_num(np.concatenate(studies), nan=1.0)

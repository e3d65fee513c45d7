"""Calibration of cell type-specific models: the paper's simulation, each question under its null and under an alternative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from table import LEVELS, Row, markdown, row

import ferrocyte as fe

# Bounds of the level at 0.05 with 100 individuals, of the tests that are the default.
BOUNDS = (0.04, 0.06)
SCORE = "score"


@dataclass
class Question:
    """A null hypothesis: how data are drawn under it and under an alternative, and the tests of it."""

    name: str
    column: str
    null: dict[str, object]
    other: dict[str, object]
    tests: dict[str, Callable[[fe.ctmm.Pseudobulk], np.ndarray]] = field(default_factory=dict)


def _fit(made: fe.ctmm.Pseudobulk, column: str, **how: object) -> np.ndarray:
    found = fe.ctmm.fit(made, progress=False, **how).to_df()
    return found[column].to_numpy(float) if column in found else np.full(len(found), np.nan)


def _ratio(made: fe.ctmm.Pseudobulk, small: str, variance: str) -> np.ndarray:
    fits = [
        fe.ctmm.fit(made, model=m, method="reml", jackknife=False, variance=variance, progress=False)
        for m in ("free", small)
    ]
    return fe.ctmm.lrt(*fits)["p_value"].to_numpy(float)


def _of(column: str) -> dict[str, Callable[[fe.ctmm.Pseudobulk], np.ndarray]]:
    tests: dict[str, Callable[[fe.ctmm.Pseudobulk], np.ndarray]] = {
        SCORE: lambda made: fe.ctmm.score_tests(made, progress=False)[column].to_numpy(float),
    }
    if column != "p[V equal]":
        tests["HE, jackknife"] = lambda made: _fit(made, column, method="he")
        tests["REML, Wald"] = lambda made: _fit(made, column, method="reml", jackknife=False)
    small = {"p[V]": "hom", "p[V equal]": "iid"}.get(column)
    if small:
        tests["REML, likelihood ratio"] = lambda made: _ratio(made, small, "unconstrained")
        tests["REML >= 0, likelihood ratio"] = lambda made: _ratio(made, small, "nonnegative")
    return tests


FREE = {"truth": "free"}
QUESTIONS = [
    Question("V = 0", "p[V]", {"truth": "hom"}, FREE),
    Question("hom2 = 0", "p[hom2]", {"truth": "free", "hom2": 0.0}, FREE),
    Question("V equal", "p[V equal]", {"truth": "free", "ratios": [1, 1, 1, 1]}, FREE),
    Question("one V_c = 0", "p[V[type4]]", {"truth": "free", "ratios": [8, 4, 2, 0]}, {"truth": "free", "ratios": [1] * 4}),
    Question("means equal", "p[mean]", {"truth": "free", "mean_share": 0.0}, {"truth": "free", "mean_share": 0.01}),
]  # fmt: skip


def measure(*, quick: bool) -> tuple[list[str], list[str]]:
    """The section of the page, and what is out of bounds."""
    sizes, studies, genes = ((100,), 4, 500) if quick else ((20, 50, 100, 300), 10, 500)
    rows: list[Row] = []
    failures = []
    for question in QUESTIONS:
        tests = question.tests or _of(question.column)
        for n in sizes:
            for name, test in tests.items():
                if quick and name != SCORE:
                    continue
                null = np.concatenate([test(_draw(question.null, n, genes, seed)) for seed in range(studies)])
                other = test(_draw(question.other, n, genes, 1000))
                p = np.concatenate([null, other])
                of_null = np.arange(len(p)) < len(null)
                rows.append(row((question.name, str(n)), name, p, of_null))
                level = rows[-1].levels[0]
                error = 3 * np.sqrt(0.05 * 0.95 / len(null))
                if name == SCORE and n == 100 and not BOUNDS[0] - error <= level <= BOUNDS[1] + error:
                    failures.append(f"ctmm {question.name}, {name}: {level:.4f} at {LEVELS[0]}")
    lines = [
        "## ctmm: cell type-specific variance",
        "",
        "The simulation of the paper: four cell types, Dirichlet proportions, known noise; each study has its own individuals "
        f"and {genes} genes, {studies * genes} null genes in all. `score` is `fe.ctmm.score_tests`, the default; HE, REML and ratio "
        "tests are those of the package ctmm. Fits without an interior optimum are not rejected by Wald tests of theirs here "
        "only where the package's rule says so: they are reported at the boundary and tested there.",
        "",
        *markdown(("question", "individuals"), rows),
        "",
    ]  # fmt: skip
    return lines, failures


def _draw(truth: dict[str, object], n: int, genes: int, seed: int) -> fe.ctmm.Pseudobulk:
    return fe.sim.ctmm(genes, n, seed=seed, **truth)[0]  # type: ignore[arg-type]

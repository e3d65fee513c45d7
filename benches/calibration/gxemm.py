"""Calibration of heritability by environment: the package's design, each question under its null and an alternative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from table import LEVELS, Row, markdown, row

import ferrocyte as fe

#: Bounds of the level at 0.05 of the tests that are the default.
BOUNDS = (0.04, 0.06)


@dataclass
class Question:
    """A null hypothesis: variances under it and under an alternative, and the model in which it is tested."""

    name: str
    null: dict[str, object]
    other: dict[str, object]
    gtype: str
    etype: str
    test: str
    #: The smaller model of the likelihood ratio; empty for none of kinship at all.
    smaller: tuple[str, str]


QUESTIONS = [
    Question(
        "h2 = 0", {"hom": 0.0, "specific": (0.0, 0.0), "noise": (1.0, 1.0)},
        {"hom": 0.1, "specific": (0.0, 0.0), "noise": (0.9, 0.9)}, "hom", "hom", "p[g_hom]", ("", ""),
    ),
    Question(
        "no genetic heterogeneity", {"hom": 0.3, "specific": (0.0, 0.0), "noise": (0.7, 0.7)},
        {"hom": 0.1, "specific": (0.0, 0.3), "noise": (0.7, 0.7)}, "free", "free", "p[het]", ("hom", "free"),
    ),
    Question(
        "equal noise", {"hom": 0.2, "specific": (0.1, 0.1), "noise": (0.7, 0.7)},
        {"hom": 0.2, "specific": (0.1, 0.1), "noise": (0.6, 0.8)}, "free", "free", "p[e[env1]]", ("free", "hom"),
    ),
]  # fmt: skip


def measure(*, quick: bool) -> tuple[list[str], list[str]]:
    """The section of the page, and what is out of bounds."""
    n, studies, traits = (300, 4, 50) if quick else (1000, 20, 100)
    rows: list[Row] = []
    failures = []
    for question in QUESTIONS:
        parts = [_tests(question, question.null, n, traits, seed) for seed in range(studies)]
        other = _tests(question, question.other, n, traits, 1000)
        for name in other:
            null = np.concatenate([part[name] for part in parts])
            p = np.concatenate([null, other[name]])
            rows.append(row((question.name, str(n)), name, p, np.arange(len(p)) < len(null)))
            level = rows[-1].levels[0]
            error = 3 * np.sqrt(0.05 * 0.95 / len(null))
            if name.startswith("ratio") and not BOUNDS[0] - error <= level <= BOUNDS[1] + error:
                failures.append(f"gxemm {question.name}, {name}: {level:.4f} at {LEVELS[0]}")
    lines = [
        "## gxemm: heritability by environment",
        "",
        f"{n} individuals in two environments, 100 markers; {studies} studies, each with {traits} traits. "
        "`Wald` is the test of the table of `fe.gxemm.fit`, `Wald of the package` the same from its covariances "
        '(`parametrisation="peer"`), `ratio` the likelihood ratio of fits with variances of zero or more against its '
        "mixture (of noises: of unconstrained fits against χ²; of no heritability: `p[h2 ratio]` of the table).",
        "",
        *markdown(("question", "individuals"), rows),
        "",
    ]  # fmt: skip
    return lines, failures


def _tests(question: Question, truth: dict[str, object], n: int, traits: int, seed: int) -> dict[str, np.ndarray]:
    """P-values of every trait: traits of one study share its genotypes and environments."""
    made = fe.sim.gxemm(n, 100, seed=seed, **truth)  # type: ignore[arg-type]
    y = pd.DataFrame(_traits(made, truth, traits, seed), index=made["y"].index)
    X, K, Z = made["X"], made["K"], made["Z"]
    how = {"gtype": question.gtype, "etype": question.etype}
    found = fe.gxemm.fit(y, X, K, Z, progress=False, **how)
    out = {"Wald": found.table[question.test].to_numpy(float)}
    k = found.variances.index("e[env1]") if "e[env1]" in found.variances else 0
    if question.test == "p[het]":
        out["Wald of the package"] = np.array([
            fe.gxemm.mvwaldtest(one["peer"][1:3], one["peer_covariance"][1:3, 1:3]) for one in found.traits
        ])  # fmt: skip
    else:
        out["Wald of the package"] = np.array([
            fe.gxemm.waldtest(one["peer"][k], one["peer_covariance"][k, k], two_sided=k > 0) for one in found.traits
        ])  # fmt: skip
    if question.smaller[0]:
        bound = "unconstrained" if question.smaller[1] == "hom" else "nonnegative"
        both = [
            fe.gxemm.fit(y, X, K, Z, gtype=g, etype=e, variance=bound, progress=False)
            for g, e in ((question.gtype, question.etype), question.smaller)
        ]
        mixture = bound == "nonnegative"
        out["ratio"] = fe.gxemm.lrtest(*both, mixture=mixture)["p_value"].to_numpy(float)
    else:
        out["ratio"] = found.table["p[h2 ratio]"].to_numpy(float)
    return out


def _traits(made: dict[str, object], truth: dict[str, object], traits: int, seed: int) -> np.ndarray:
    """More traits of the same people: the effects of markers and the noise are drawn anew."""
    rng = np.random.default_rng(seed)
    genotypes = np.asarray(made["genotypes"], dtype=float)
    scaled = (genotypes - 0.6) / np.sqrt(0.42 * genotypes.shape[1])
    inside = np.asarray(made["Z"], dtype=float)
    shape = (genotypes.shape[1], traits)
    y = np.sqrt(float(truth["hom"])) * scaled @ rng.normal(size=shape)  # type: ignore[arg-type]
    for k, (genetic, noise) in enumerate(zip(truth["specific"], truth["noise"], strict=True)):  # type: ignore[call-overload]
        own = np.sqrt(genetic) * scaled @ rng.normal(size=shape) + np.sqrt(noise) * rng.normal(size=(len(y), traits))
        y += inside[:, [k]] * own
    return y

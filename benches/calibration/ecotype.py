"""How well ecotypes are found again in samples that models have not seen, and with what spread over studies."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

import ferrocyte as fe

# Behind the modules of this folder, some of which have the same names.
sys.path.append(str(Path(__file__).resolve().parents[1]))
from page import machine, table, versions

#: By how much exact optima may fall below the published updates, in macro F1, in any study.
ALLOWED = 0.01

STRENGTHS = (0.5, 1.0, 1.5)
SEEDS = range(1, 13)
SAMPLES, CELLS, GENES, TYPES, ECOTYPES = 4, 1000, 300, 4, 4


def measure(*, quick: bool) -> tuple[list[str], list[str]]:
    """The section of the page, and what is out of bounds."""
    lines, failures = recovery(quick=quick)
    words = [
        "## ecotype: labels of cells by models of others",
        "",
        f"Measured on {date.today().isoformat()}: {machine()}; {versions()}.",
        "",
    ]
    return [*words, *lines], failures


def recovery(*, quick: bool) -> tuple[list[str], list[str]]:
    """Macro F1 of exact and compat recovery with the same models."""
    rows, failures = [], []
    seeds = range(1, 4) if quick else SEEDS
    for strength in (1.0,) if quick else STRENGTHS:
        found = np.array([f1(seed, strength) for seed in seeds])
        apart = found[:, 0] - found[:, 1]
        told = [f"{apart.mean():+.4f}", f"{apart.min():+.4f}"]
        rows.append([f"{strength:g}", str(len(found)), *map(spread, found.T), *told])
        if apart.min() < -ALLOWED:
            failures.append(f"ecotype: exact macro F1 is {-apart.min():.4f} below compat at strength {strength:g}")
    words = [
        "### Recovery in samples that were held out",
        "",
        f"`fe.ecotype.simulate`, a study a seed: {SAMPLES} samples of {CELLS:,} cells, {GENES} genes, {TYPES} types, "
        f"{ECOTYPES} ecotypes, a tenth of the cells of none; effects of ecotypes on genes are multiplied by the "
        "strength (1 is the design of the reference cases). Models are ensembles of 50 runs on two samples, all "
        "features kept; both modes label the cells of the other two by the same models. F1 is the mean over ecotypes "
        f"and `NonSE`; without skill it is about {1 / (ECOTYPES + 1):.2f}. Cells of no ecotype have no programme, and "
        f"are hard to tell from those of a weak one. Bound: exact is not below compat by more than {ALLOWED:g} in any "
        "study.",
        "",
    ]
    heads = ["strength", "studies", "exact: mean (sd), range", "compat: mean (sd), range", "exact - compat", "worst"]
    return [*words, *table(heads, rows)], failures


def f1(seed: int, strength: float) -> tuple[float, float]:
    """Macro F1 in a study, exact and compat."""
    study = fe.ecotype.simulate(
        seed, samples=SAMPLES, cells=CELLS, genes=GENES, types=TYPES, ecotypes=ECOTYPES, strength=strength
    )
    seen = study.obs["Sample"].isin(["S1", "S2"]).to_numpy()
    words = {"normalize": "log1p_cp10k", "progress": False}
    models = fe.ecotype.train_ensemble(
        study[seen].copy(), sample="Sample", nfeature_per_se=None, downsample=400, **words
    ).models
    others = study[~seen].copy()
    exact, compat = (
        macro(others, fe.ecotype.recover(others, models, mode=mode, **words)) for mode in ("exact", "compat")
    )
    return exact, compat


def macro(cells: ad.AnnData, found: fe.ecotype.Recovered) -> float:
    """The mean F1 of labels; those of no ecotype are written alike."""
    pairs = {"SE": cells.obs["SE"].astype(str), "found": found.table["SE"].astype(str).to_numpy()}
    labels = pd.DataFrame(pairs).replace("nonSE", "NonSE")
    return fe.ecotype.metrics(labels, predicted="found").macro


def spread(values: np.ndarray) -> str:
    """Mean, standard deviation, least and largest."""
    return f"{values.mean():.3f} ({values.std(ddof=1):.3f}), {values.min():.3f} to {values.max():.3f}"

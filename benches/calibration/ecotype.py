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

#: Discovery over several samples: how many, cells of each, depth, effects, sub-resolution.
COMPARISONS = (
    (3, 800, 250.0, 1.0, 30.0),
    (3, 800, 1000.0, 1.0, 30.0),
    (3, 800, 250.0, 2.0, 30.0),
    (6, 800, 250.0, 1.0, 30.0),
)

#: Numbers of ecotypes that are tried there; four are planted.
RANKS = (2, 3, 4, 5, 6)

#: By how much exact optima may fall below the published updates, in macro F1, in any study.
ALLOWED = 0.01

STRENGTHS = (0.5, 1.0, 1.5)
SEEDS = range(1, 13)

#: Discovery in one tissue: cells, their depth, radius.
DISCOVERIES = ((2500, 250.0, 25.0), (6000, 250.0, 25.0), (6000, 250.0, 50.0), (6000, 1000.0, 25.0))

SAMPLES, CELLS, GENES, TYPES, ECOTYPES = 4, 1000, 300, 4, 4


def measure(*, quick: bool) -> tuple[list[str], list[str]]:
    """The section of the page, and what is out of bounds."""
    lines, failures = recovery(quick=quick)
    for part in (discovery, comparison):
        found, bad = part(quick=quick)
        lines += found
        failures += bad
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


def discovery(*, quick: bool) -> tuple[list[str], list[str]]:
    """Agreement of discovered with planted ecotypes in one tissue."""
    rows = []
    for cells, depth, radius in DISCOVERIES[:1] if quick else DISCOVERIES:
        found = np.array([agreement(seed, cells, depth, radius) for seed in (range(1, 3) if quick else SEEDS)])
        what = [f"{cells:,}", f"{depth:g}", f"{radius:g}", str(len(found))]
        rows.append([*what, *map(spread, found[:, :2].T), f"{found[:, 2].mean():.1f}"])
    words = [
        "### Discovery of planted ecotypes",
        "",
        f"`fe.ecotype.discover` on single tissues as above, strength 1; {ECOTYPES} ecotypes are planted in three "
        "patches each, and a cell takes about 9 × 9 units. The adjusted Rand index compares the ecotypes of cells with "
        "planted ones, cells of no ecotype left out. All cells of a square (1.4 times the radius wide) have one label, "
        "though patches touch within squares: the bound is the index of the planted ecotype that most cells "
        "of each square have. What is left to 1 behind it is the width of squares beside that of patches, not the "
        "method; counts four times as deep change little.",
        "",
    ]
    heads = ["cells", "depth", "radius", "studies", "index: mean (sd), range", "bound: mean (sd), range", "ecotypes"]
    return [*words, *table(heads, rows)], []


def agreement(seed: int, cells: int, depth: float, radius: float) -> tuple[float, float, int]:
    """The adjusted Rand index of discovery in a tissue, its bound, and the number of ecotypes that were found."""
    study = fe.ecotype.simulate(seed, samples=1, cells=cells, genes=GENES, types=TYPES, ecotypes=ECOTYPES, depth=depth)
    found = fe.ecotype.discover(study, normalize="log1p_cp10k", radius=radius, progress=False).cells
    table = found.set_index("CID").loc[list(study.obs_names)].assign(truth=study.obs["SE"].astype(str).to_numpy())
    table = table[(table["truth"] != "nonSE") & table["SE"].notna()]
    bound = table.groupby(table["SN"].astype(str))["truth"].transform(lambda labels: labels.mode()[0])
    truth = table["truth"].to_numpy()
    return rand_index(truth, table["SE"].to_numpy()), rand_index(truth, bound.to_numpy()), table["SE"].nunique()


def comparison(*, quick: bool) -> tuple[list[str], list[str]]:
    """Agreement of ecotypes that several samples have in common with planted ones."""
    rows = []
    for n, cells, depth, strength, fine in COMPARISONS[:1] if quick else COMPARISONS:
        seeds = range(1, 2) if quick else SEEDS
        found = np.array([in_common(seed, (n, cells), depth, strength, fine) for seed in seeds])
        what = [str(n), f"{cells:,}", f"{depth:g}", f"{strength:g}", f"{fine:g}", str(len(found))]
        ranks = ", ".join(f"{rank:.0f}: {(found[:, 3] == rank).sum()}" for rank in np.unique(found[:, 3]))
        rows.append([*what, *map(spread, found[:, :3].T), ranks])
    words = [
        "### Ecotypes that several samples have in common",
        "",
        f"`fe.ecotype.discover(sample=...)` on tissues as above, radius 25, {RANKS[0]} to {RANKS[-1]} ecotypes tried, "
        "ten factorisations of each. Every sample is divided into fine clusters, and those of all are compared; "
        f"{ECOTYPES} ecotypes are planted. The bound gives every cell the planted ecotype that most cells of its fine "
        "cluster have: what is left to 1 behind it is lost when a sample is divided. *Given* asks for as many ecotypes "
        "as were planted, *chosen* takes the number that agreement of factorisations chooses; the last column has how "
        "often it is which.",
        "",
    ]
    heads = ["samples", "cells", "depth", "strength", "sub-resolution", "studies"]
    heads += [
        "given: mean (sd), range",
        "chosen: mean (sd), range",
        "bound: mean (sd), range",
        "chosen number: studies",
    ]
    return [*words, *table(heads, rows)], []


def in_common(
    seed: int, size: tuple[int, int], depth: float, strength: float, fine: float
) -> tuple[float, float, float, int]:
    """Adjusted Rand indices of a study (number given, number chosen, bound), and the number that was chosen."""
    samples, cells = size
    study = fe.ecotype.simulate(
        seed, samples=samples, cells=cells, genes=GENES, types=TYPES, ecotypes=ECOTYPES, depth=depth, strength=strength
    )
    words = {"normalize": "log1p_cp10k", "radius": 25.0, "subresolution": fine, "n_runs": 10, "progress": False}
    first = fe.ecotype.discover(study, sample="Sample", nmf_ranks=RANKS, **words)
    # Fine clusters are not sought again.
    known = first.cells.set_index("CID")["InitSE"].loc[list(study.obs_names)]
    given = fe.ecotype.discover(study, sample="Sample", nmf_ranks=ECOTYPES, clusters=known.tolist(), **words)
    truth = study.obs["SE"].astype(str).to_numpy()
    indices = []
    for found in (given, first):
        labels = found.cells.set_index("CID").loc[list(study.obs_names), "SE"].to_numpy(dtype=object)
        placed = (truth != "nonSE") & pd.notna(labels)
        indices.append(rand_index(truth[placed], labels[placed]))
    placed = (truth != "nonSE") & known.notna().to_numpy()
    of_cluster = pd.Series(truth[placed]).groupby(known.to_numpy()[placed]).transform(lambda labels: labels.mode()[0])
    return (*indices, rand_index(truth[placed], of_cluster.to_numpy()), int(first.best_rank or 0))


def rand_index(a: np.ndarray, b: np.ndarray) -> float:
    """The adjusted Rand index of two labellings (Hubert and Arabie 1985)."""
    counts = pd.crosstab(a, b).to_numpy(dtype=float)

    def pairs(n: np.ndarray) -> float:
        return float((n * (n - 1) / 2).sum())

    both, rows, columns = pairs(counts), pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0))
    expected = rows * columns / pairs(counts.sum())
    return (both - expected) / ((rows + columns) / 2 - expected)


def macro(cells: ad.AnnData, found: fe.ecotype.Recovered) -> float:
    """The mean F1 of labels; those of no ecotype are written alike."""
    pairs = {"SE": cells.obs["SE"].astype(str), "found": found.table["SE"].astype(str).to_numpy()}
    labels = pd.DataFrame(pairs).replace("nonSE", "NonSE")
    return fe.ecotype.metrics(labels, predicted="found").macro


def spread(values: np.ndarray) -> str:
    """Mean, standard deviation, least and largest."""
    return f"{values.mean():.3f} ({values.std(ddof=1):.3f}), {values.min():.3f} to {values.max():.3f}"

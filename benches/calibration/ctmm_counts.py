"""Calibration of cell type-specific models from cells: noise at low counts, and permuted real data."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from ctmm import _marked
from lmm import find
from scipy import sparse

import ferrocyte as fe

sys.path.append(str(Path(__file__).resolve().parents[1]))
from page import table

DONORS, TYPES, CELLS, GENES = 100, 4, 200, 250

#: Mean expression in counts per ten thousand of a cell; a cell has about two thousand counts.
EXPRESSION = (0.05, 0.2, 1.0, 5.0)

#: Questions whose null holds where cell types do not differ.
ALIKE = ("p[V]", "p[V equal]", "p[V[t0]]", "p[mean]")
BOUND = 0.075


def measure(*, quick: bool) -> tuple[list[str], list[str]]:
    """The section of the page, and what is out of bounds."""
    lines, failures = low_counts(quick=quick)
    lines += permuted(quick=quick)
    words = [
        "## ctmm from cells: noise at low counts, and permuted real data",
        "",
        f"Measured on {date.today().isoformat()}. Score tests (`fe.ctmm.score_tests`) of pseudobulk "
        "made by `fe.ctmm.prepare`.",
        "",
    ]
    return [*words, *lines], failures


def cells_of(seed: int, genes: int, *, alike: bool) -> ad.AnnData:
    """Poisson counts of cells whose rates vary between donors, in all types alike or in each apart."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet([2.0] * TYPES, DONORS)
    sizes = np.maximum(rng.poisson(shares * CELLS), 4)
    donor = np.repeat(np.arange(DONORS), sizes.sum(axis=1))
    kind = np.concatenate([np.repeat(np.arange(TYPES), row) for row in sizes])
    total = rng.lognormal(np.log(2000), 0.3, len(donor))
    blocks = [sparse.csr_matrix(np.round(total)[:, None])]
    for mean in EXPRESSION:
        rate = rng.gamma(1 / 0.16, 0.16, (genes, DONORS, 1 if alike else TYPES)) * np.ones(TYPES)
        of_cell = rate[:, donor, kind].T
        blocks.append(sparse.csr_matrix(rng.poisson(of_cell * (mean * total / 1e4)[:, None])))
    x = sparse.hstack(blocks).tocsr().astype(np.float32)
    names = ["rest", *(f"g{mean:g}_{k}" for mean in EXPRESSION for k in range(genes))]
    obs = pd.DataFrame({"donor": [f"d{i:03d}" for i in donor], "type": [f"t{i}" for i in kind]})
    obs.index = [f"c{i}" for i in range(len(obs))]
    return ad.AnnData(x, obs=obs, var=pd.DataFrame(index=names))


def low_counts(*, quick: bool) -> tuple[list[str], list[str]]:
    """Levels by expression and by noise."""
    genes = 100 if quick else GENES
    rejected: dict[tuple[float, str, str], float] = {}
    unanswered: dict[tuple[float, str], float] = {}
    silent: dict[float, float] = {}
    for alike in (True, False):
        cells = cells_of(1, genes, alike=alike)
        for noise in ("pooled", "sample"):
            made = fe.ctmm.prepare(cells, "donor", "type", noise=noise, progress=False)
            found = fe.ctmm.score_tests(made.subset(genes=made.genes[1:]), progress=False)
            for place, mean in enumerate(EXPRESSION):
                own = found.iloc[place * genes : (place + 1) * genes]
                for column in ALIKE if alike else ("p[hom2]",):
                    rejected[mean, noise, column] = float(np.mean(own[column].to_numpy() < 0.05))
                if alike:
                    unanswered[mean, noise] = float(own["p[V]"].isna().mean())
                if alike and noise == "sample":
                    silent[mean] = float(np.mean(made.ctnu[1 + place * genes : 1 + (place + 1) * genes] == 0))
    rows, failures = [], []
    columns = [*ALIKE, "p[hom2]"]
    for mean in EXPRESSION:
        for noise in ("pooled", "sample"):
            levels = [rejected[mean, noise, column] for column in columns]
            rows.append([f"{mean:g}", f"{silent[mean]:.1%}", noise, *(_marked([x], genes)[0] for x in levels),
                         f"{unanswered[mean, noise]:.0%}"])  # fmt: skip
            error = 3 * np.sqrt(0.05 * 0.95 / genes)
            if noise == "pooled" and max(levels) > BOUND + error:
                failures.append(f"ctmm from cells, {mean:g} per ten thousand: {max(levels):.3f} at 0.05")
    words = [
        "### Low counts",
        "",
        f"{DONORS} donors with {CELLS} cells of {TYPES} types on average, Poisson counts, rates of "
        "donors vary (coefficient of "
        "variation 0.4): alike in all types for the first four questions, in each type apart for hom2 = 0. "
        f"{genes} genes a row, rejected at 0.05. `sample` takes the variance of the cells of each "
        "pair for its noise, as the package "
        "does: a pair whose cells happen to have few counts has a low mean and little noise, and "
        "gets the largest weight; without "
        "a count it has none. `pooled`, the default, takes that of the cells of all donors.",
        "",
    ]
    heads = ["per ten thousand", "pairs without a count", "noise"]
    heads += ["V = 0", "V equal", "one V_c = 0", "means equal", "hom2 = 0", "V = 0 without answer"]
    return [*words, *table(heads, rows), ""], failures


def permuted(*, quick: bool) -> list[str]:
    """Real cells whose labels were permuted."""
    study = ad.read_h5ad(find("onek1k_40donors"))
    times = 2 if quick else 6
    found: dict[str, list[float]] = {}
    answered: list[float] = []
    for seed in range(times):
        rng = np.random.default_rng(seed)
        shuffled = study.copy()
        labels = study.obs["cell_type"].astype(str).to_numpy()
        for cells in study.obs.groupby("donor", observed=True).indices.values():
            labels[cells] = rng.permutation(labels[cells])
        shuffled.obs["cell_type"] = labels
        made = fe.ctmm.prepare(shuffled, "donor", "cell_type", min_cells_pair=5, progress=False)
        tests = fe.ctmm.score_tests(made, progress=False)
        answered.append(float(tests["p[V]"].notna().mean()))
        alone = f"p[V[{made.cell_types[0]}]]"
        for name, column in (
            ("V = 0", "p[V]"),
            ("V equal", "p[V equal]"),
            ("one V_c = 0", alone),
            ("means equal", "p[mean]"),
        ):
            found.setdefault(name, []).append(_level(tests[column]))
        if seed == 0:
            continue
        true = fe.ctmm.prepare(study, "donor", "cell_type", min_cells_pair=5, progress=False)
        for k in range(len(true.cell_types)):
            order = rng.permutation(len(true.individuals))
            true.ctp[:, :, k], true.ctnu[:, :, k] = true.ctp[:, order, k], true.ctnu[:, order, k]
        found.setdefault("hom2 = 0", []).append(_level(fe.ctmm.score_tests(true, progress=False)["p[hom2]"]))
    rows = [
        [name, f"{np.mean(levels):.3f}", f"{np.std(levels, ddof=1):.3f}", str(len(levels))]
        for name, levels in found.items()
    ]
    words = [
        "### Permuted real data",
        "",
        f"OneK1K, 40 donors, four cell types, {study.n_vars:,} genes; ln(1 + counts per ten "
        "thousand of the sum over these genes, which "
        "is not the whole library); pairs with more than 5 cells. Labels of cell types are "
        "permuted among the cells of each donor; "
        "for hom2 = 0 the donors of each cell type are. Genes are correlated, so that the level of "
        "one permutation scatters. "
        f"{np.mean(answered):.1%} of the genes have an answer.",
        "",
    ]
    return [*words, *table(["question", "mean level at 0.05", "sd over permutations", "permutations"], rows), ""]


def _level(p: pd.Series) -> float:
    return float(np.mean(p.dropna().to_numpy() < 0.05))

"""Calibration of the count models on real splits, beside moderated linear mixed models and voom on donor sums."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
from lmm import GOLDEN, by_gene, find, split_of
from scipy import stats
from table import Row, markdown, row

import ferrocyte as fe

#: Level at 0.05 and at 0.001 that three against three donors may have.
BOUNDS = ((0.042, 0.058), (0.0, 0.002))


def measure(*, quick: bool) -> tuple[list[str], list[str]]:
    """The section of the page, and what is out of bounds."""
    found: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for name, splits in json.loads((GOLDEN / "counts/null_splits.json").read_text()).items():
        study = ad.read_h5ad(find(name))
        for number, split in enumerate(splits):
            sizes = [len(arm) for arm in split["arms"]]
            if quick and sizes != [3, 3]:
                continue
            cells, thinned = split_of(study, split["cell_type"], split["arms"], seed=number)
            for test, p in tests(cells).items():
                found.setdefault((f"{sizes[0]} v {sizes[1]}", test), []).append((p, ~thinned))
    rows, failures = [], []
    for (sizes_text, test), all_ in found.items():
        p, null = (np.concatenate(parts) for parts in zip(*all_, strict=True))
        rows.append(row((sizes_text, str(len(all_))), test, p, null))
        if (sizes_text, test) == ("3 v 3", "nbmm, moderated") and not within(rows[-1]):
            failures.append(f"nbmm, real splits, {sizes_text}: {rows[-1].levels}")
    words = [
        "## nbmm: negative-binomial mixed models",
        "",
        "The real splits of the linear models above, the same cells and the same thinned genes. `ML, Wald normal` is "
        "the test of other count mixed models: the estimate of each gene alone, as if its variances were known.",
        "",
    ]
    return [*words, *markdown(("donors", "splits"), rows), ""], failures


def within(found: Row) -> bool:
    """Whether the levels are within bounds."""
    return all(low <= level <= high for level, (low, high) in zip(found.levels[::2], BOUNDS, strict=True))


def tests(cells: ad.AnnData) -> dict[str, np.ndarray]:
    """p-values of the difference between the arms, genes in the order of the cells' columns."""
    data = cells.copy()
    data.obs["offset"] = data.obs["libsize"] / data.obs["libsize"].mean()
    fit = fe.nbmm.fit(data, "~ arm + (1 | donor)", offset="offset", progress=False)
    with np.errstate(invalid="ignore"):
        z = (fit.coef["armb"] / fit.se["armb"]).to_numpy()
    linear = fe.lmm.fit(data, "~ log(libsize) + arm + (1 | donor)", progress=False)
    bulk = fe.limma.de(
        data,
        "~ arm",
        "b - a",
        by=["donor", "arm"],
        method="voom",
        min_cells=1,
        min_count=0,
        min_total_count=0,
        progress=False,
    )
    return {
        "nbmm, moderated": in_order(fit.contrast("arm", "b", "a"), fit.genes),
        "nbmm, moderated, lr": in_order(fit.contrast("arm", "b", "a", statistic="lr"), fit.genes),
        "ML, Wald normal": 2 * stats.norm.sf(np.abs(z)),
        "lmm, moderated": by_gene(linear.contrast("arm", "b", "a"), linear),
        "limma-voom on donor sums": in_order(bulk.table, fit.genes),
    }


def in_order(table: pd.DataFrame, genes: pd.Index) -> np.ndarray:
    """p-values in the order of genes."""
    return table.set_index("gene")["p_value"].reindex(genes).to_numpy()

"""A call of each figure of ecotypes on a small simulation: what the tests of figures share."""

from __future__ import annotations

import functools

import ferrocyte as fe


@functools.cache
def _prepared():
    cells = fe.ecotype.simulate(3, samples=3, cells=240, genes=60, types=2, ecotypes=3)
    cells.obs["CellState"] = [f"{a}_{b}" for a, b in zip(cells.obs["SE"], cells.obs["CellType"], strict=True)]
    return cells


def cells():
    """A fresh copy of the study."""
    return _prepared().copy()


def sample(name="S1"):
    """The cells of one sample."""
    study = _prepared()
    return study[study.obs["Sample"] == name].copy()


@functools.cache
def ensemble():
    """An ensemble of five runs."""
    words = {"sample": "Sample", "normalize": "log1p_cp10k", "downsample": 150, "min_cells": 10}
    return fe.ecotype.train_ensemble(cells(), n_runs=5, **words)


@functools.cache
def together():
    """Co-association, and the test of its blocks."""
    index = fe.ecotype.coassociation(cells(), non_se="nonSE")
    return index, fe.ecotype.block_test(index, n_permutations=50)


@functools.cache
def near():
    """Co-localisation in one sample."""
    return fe.ecotype.colocalization(sample(), n_permutations=20, min_cell=3)


#: Figures of one axes.
DRAW = {
    "spatial": lambda **kw: fe.pl.spatial(sample(), "SE", unit="µm", **kw),
    "ecotype_signatures": lambda **kw: fe.pl.ecotype_signatures(ensemble(), cell_type="type1", n=3, **kw),
    "ecotype_stability": lambda **kw: fe.pl.ecotype_stability(ensemble(), cell_type="type1", n=3, **kw),
    "ecotype_coassociation": lambda **kw: fe.pl.ecotype_coassociation(together()[0], test=together()[1], **kw),
    "ecotype_colocalization": lambda **kw: fe.pl.ecotype_colocalization(near(), **kw),
    "ecotype_confusion": lambda **kw: fe.pl.ecotype_confusion(cells(), truth="SE", predicted="SE", **kw),
}

#: Figures of several axes.
DRAW_MANY = {
    "spatials": lambda **kw: fe.pl.spatials(cells(), ["CellType", "SE"], sample="Sample", **kw),
    "ecotype_abundance": lambda **kw: fe.pl.ecotype_abundance(fe.ecotype.abundance(sample()), **kw),
}

#: What may be given without its name, where that is not the first argument alone.
POSITIONAL = {"spatial": ["data", "color"], "spatials": ["data", "colors"]}

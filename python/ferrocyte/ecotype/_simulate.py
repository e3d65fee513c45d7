"""Samples of which the ecotypes are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from .. import _core
from .._run import means

if TYPE_CHECKING:
    import anndata as ad


def simulate(
    seed: int = 1,
    *,
    samples: int = 3,
    cells: int = 1000,
    genes: int = 300,
    types: int = 4,
    ecotypes: int = 4,
    nonse: float = 0.1,
    patches: int = 3,
    depth: float = 250.0,
    strength: float = 1.0,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> ad.AnnData:
    """Simulate spatial samples with planted ecotypes.

    Parameters
    ----------
    seed
        The same seed gives the same study.
    samples, cells
        How many samples, and cells of each.
    genes, types, ecotypes
        How many genes, cell types and ecotypes.
    nonse
        The share of cells without an ecotype.
    patches
        Centres of each ecotype in a sample; a cell belongs to the nearest.
    depth
        Counts of a cell, typically.
    strength
        By what the effects of ecotypes on genes are multiplied.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    anndata.AnnData
        Counts, with ``Sample``, ``CellType``, ``SE``, ``X`` and ``Y`` in obs, coordinates in ``obsm["spatial"]``, and
        the planted effects in ``uns["programmes"]``.
    """
    import anndata as ad
    import pandas as pd

    sizes = (samples, cells, genes, types, ecotypes, patches)
    numbers = (float(nonse), float(depth), float(strength))
    found = _core.ecotype_simulate(seed, sizes, numbers, means(n_threads, progress=progress))
    indptr, indices, data = found["counts"]
    shape = (len(found["cells"]), len(found["genes"]))
    obs = pd.DataFrame(
        {
            "Sample": pd.Categorical(found["sample"]),
            "CellType": pd.Categorical(found["cell_type"]),
            "SE": pd.Categorical(found["ecotype"]),
            "X": found["x"],
            "Y": found["y"],
        },
        index=found["cells"],
    )
    counts = sparse.csr_matrix((data.astype(np.float32), indices, indptr), shape=shape)
    out = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=found["genes"]))
    out.obsm["spatial"] = np.column_stack([found["x"], found["y"]])
    out.uns["programmes"] = pd.DataFrame(found["programmes"], columns=["CellType", "SE", "gene", "effect"])
    return out

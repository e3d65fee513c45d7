"""Samples as points of a plane whose distances are leading log fold changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ._inputs import expressed

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

__all__ = ["mds_coords"]


@dataclass(frozen=True)
class Mds:
    """Coordinates of samples; their signs are arbitrary."""

    coords: Array
    """Samples × dimensions."""
    eigen_values: Array
    """Of all dimensions, falling."""
    var_explained: Array
    """Share of the positive eigenvalues that each has."""
    distances: Array
    """Samples × samples: roots of mean squared log fold changes."""
    samples: pd.Index[Any]
    """Names of the samples."""


def mds_coords(
    x: Any,
    *,
    top: int = 500,
    gene_selection: str = "pairwise",
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Mds:
    """The numbers of a multi-dimensional scaling plot.

    Parameters
    ----------
    x
        Log-values of genes × samples (data frame or array), an ``EList``, or an AnnData. Genes with NaN are left out.
    top
        How many genes a distance is taken over.
    gene_selection
        ``"pairwise"``: those that differ most between the two samples; ``"common"``: those that vary most over all.
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.
    progress
        Whether to show progress; by default on a terminal.

    Returns
    -------
    Mds
        ``coords``, ``eigen_values``, ``var_explained``, ``distances``, ``samples``.
    """
    held = expressed(x, layer)
    found = _core.limma_mds(held.core(), int(top), gene_selection, means(n_threads, progress=progress))
    return Mds(
        found["coordinates"],
        found["eigen_values"],
        found["var_explained"],
        found["distances"],
        held.samples.index,
    )

"""From counts to what is analysed: quality, normalisation, variable genes, components, batches, neighbours; pseudobulk.

An :class:`~anndata.AnnData` is observations × variables, as always. Steps on cells have scanpy's names, arguments,
defaults and keys, and write into the AnnData.

==============================  ======================================================================
:func:`calculate_qc_metrics`    totals, detected genes, shares of flagged genes
:func:`filter_cells`, :func:`filter_genes`  cells and genes within a bound
:func:`scrublet`                doublets
:func:`normalize_total`, :func:`log1p`, :func:`log_normalize`  cells of one depth, logarithms, both at once
:func:`highly_variable_genes`   genes that vary more than their mean explains
:func:`scale`, :func:`pca`      genes on one scale, components
:func:`harmony_integrate`       batches brought together
:func:`neighbors`               neighbours and their graph
:func:`pseudobulk`              the cells of each sample as one observation
==============================  ======================================================================
"""

from __future__ import annotations

from ._filter import filter_cells, filter_genes
from ._harmony import harmony_integrate
from ._hvg import highly_variable_genes
from ._neighbors import neighbors
from ._normalize import log1p, log_normalize, normalize_total
from ._pca import pca
from ._pseudobulk import pseudobulk
from ._qc import calculate_qc_metrics
from ._scale import scale
from ._scrublet import scrublet

__all__ = [
    "calculate_qc_metrics",
    "filter_cells",
    "filter_genes",
    "harmony_integrate",
    "highly_variable_genes",
    "log1p",
    "log_normalize",
    "neighbors",
    "normalize_total",
    "pca",
    "pseudobulk",
    "scale",
    "scrublet",
]

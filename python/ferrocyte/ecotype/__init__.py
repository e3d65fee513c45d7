"""Spatial ecotypes: communities of cells that recur over tissues.

Models are trained on cells that have labels, for each cell type by itself, and label the cells of other data:

======================================================  ===================================================
:func:`train`, :func:`train_ensemble`                   weights of genes in ecotypes; what many draws agree on
:func:`aggregate`                                       what lists of models agree on
:func:`train_runs`, :func:`merge_runs`,                 ensembles on several machines
:func:`train_ensemble_dask`
:func:`recover`, :func:`predict`                        labels and scores of cells
:func:`train_w`, :func:`deconvolute`                    the same for bulk samples and spots
:func:`cross_validate`, :func:`metrics`,                how good labels are
:func:`pseudobulks`
:func:`nmf`, :func:`nmf_clustering`,                    factorisation with the rules of published analyses
:func:`select_rank`
:func:`coassociation`, :func:`colocalization`,          which states of cells occur together, and where
:func:`block_test`, :func:`colocalization_meta`,
:func:`moran`
:func:`abundance`, :func:`smooth_abundance`,            shares of ecotypes over a tissue, and its parts
:func:`infer_ncells`, :func:`partition_tissue`
:func:`discover`                                        ecotypes of one tissue, or of several samples
:func:`preprocess`, :func:`spatial_metacells`,          steps of discovery
:func:`similarity_networks`, :func:`fuse`,
:func:`fold_changes`, :func:`integrate`
:func:`simulate`                                        samples of which the ecotypes are known
======================================================  ===================================================

``mode="exact"`` finds optima directly; ``mode="compat"`` repeats the arithmetic of the R package SpatialEcoTyper, its
random numbers and stopping rules included. :mod:`ferrocyte.compat.ecotyper` has its names.

Cells come as an AnnData (cells × genes), as a data frame of genes × cells with another of their columns, or as a path.
"""

from __future__ import annotations

from ._discover import discover
from ._discovered import Discovered
from ._discovery import (
    fold_changes,
    fuse,
    integrate,
    preprocess,
    rank_columns,
    similarity_networks,
    spatial_metacells,
)
from ._evaluation import cross_validate, metrics, pseudobulks
from ._models import Ensemble, Models, aggregate, scale, train, train_ensemble, train_w
from ._nmf import nmf, nmf_clustering, select_rank
from ._scores import Recovered, Scores, deconvolute, predict, recover
from ._shares import Runs, merge_runs, train_ensemble_dask, train_runs
from ._simulate import simulate
from ._statistics import (
    abundance,
    block_test,
    coassociation,
    colocalization,
    colocalization_meta,
    infer_ncells,
    moran,
    partition_tissue,
    smooth_abundance,
)

__all__ = [
    "Discovered",
    "Ensemble",
    "Models",
    "Recovered",
    "Runs",
    "Scores",
    "abundance",
    "aggregate",
    "block_test",
    "coassociation",
    "colocalization",
    "colocalization_meta",
    "cross_validate",
    "deconvolute",
    "discover",
    "fold_changes",
    "fuse",
    "infer_ncells",
    "integrate",
    "merge_runs",
    "metrics",
    "moran",
    "nmf",
    "nmf_clustering",
    "partition_tissue",
    "predict",
    "preprocess",
    "pseudobulks",
    "rank_columns",
    "recover",
    "scale",
    "select_rank",
    "similarity_networks",
    "simulate",
    "smooth_abundance",
    "spatial_metacells",
    "train",
    "train_ensemble",
    "train_ensemble_dask",
    "train_runs",
    "train_w",
]

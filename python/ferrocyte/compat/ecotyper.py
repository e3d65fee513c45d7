"""The names of the R package SpatialEcoTyper, for scripts that move here.

Words are those of R: ``RecoverSE(dat, types, Ws, **{"min.score": 0.6})`` or ``min_score=0.6``; ``ncores`` and
``method`` are taken, with the effect that they have in the package: none on the numbers. Numbers are those of the
package, its random choices included (``mode="compat"``); :mod:`ferrocyte.ecotype` has the exact ones.

Matrices are genes × cells, metadata a data frame with one row a cell, found by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _messages, ecotype
from ..errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

__all__ = [
    "AggregateRecoverModels",
    "ComputeMetrics",
    "CreatePseudobulks",
    "DeconvoluteSE",
    "IntegrateSpatialEcoTyper",
    "LoocvPredict",
    "MultiSpatialEcoTyper",
    "NMFGenerateW",
    "NMFGenerateWList",
    "NMFpredict",
    "RecoverSE",
    "SpatialEcoTyper",
]

# R's words and ours.
_WORDS = {
    "CellType": "cell_type",
    "SE": "label",
    "Sample": "sample",
    "ncell_per_run": "cells_per_run",
    "nsample_per_run": "samples_per_run",
    "sum2one": "sum_to_one",
    "ncores": "n_threads",
    "Pred": "predicted",
    "Region": "region",
    "min_cts_per_region": "min_types",
    "iterations": "t",
    "nrun_per_rank": "n_runs",
}

# Words of R for means, or for what is found otherwise here.
_WITHOUT_EFFECT = ("minibatch", "outdir", "normalization_method")


def _named(given: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """R's words as ours; a word that nobody knows is refused."""
    taken = set(known)
    out: dict[str, Any] = {}
    for word, value in given.items():
        plain = word.replace(".", "_")
        name = _WORDS.get(plain, plain)
        if plain in _WITHOUT_EFFECT:
            continue
        if plain == "method":
            if value != "brunet":
                _messages.warn(f"method = {value!r} has no effect: weights are always found by brunet's updates")
            continue
        if name not in taken:
            message = f"there is no argument `{word}`"
            raise BadInputError(message, hint=f"arguments are {', '.join(sorted(taken))}")
        out[name] = value
    return out


_TRAINING = (
    "cell_type", "label", "sample", "scale", "balance_sample", "nfeature", "nfeature_per_se", "min_cells", "downsample",
    "seed", "n_threads",
)  # fmt: skip


def NMFGenerateWList(scdata: pd.DataFrame, scmeta: pd.DataFrame, **words: Any) -> ecotype.Models:  # noqa: N802
    """Train a model for each cell type: :func:`ferrocyte.ecotype.train`.

    Parameters
    ----------
    scdata
        Genes × cells.
    scmeta
        One row a cell.
    **words
        ``CellType``, ``SE``, ``Sample``, ``scale``, ``balance.sample``, ``nfeature``, ``nfeature.per.se``,
        ``min.cells``, ``downsample``, ``seed``, ``ncores``.

    Returns
    -------
    Models
        Tables of features × ecotypes.
    """
    return ecotype.train(scdata, scmeta, mode="compat", **_named(words, _TRAINING))


def NMFGenerateW(Fracs: pd.DataFrame, ExpMat: pd.DataFrame, **words: Any) -> pd.DataFrame:  # noqa: N802
    """Find weights from samples of known composition: :func:`ferrocyte.ecotype.train_w`.

    Parameters
    ----------
    Fracs
        Samples × ecotypes.
    ExpMat
        Genes × samples.
    **words
        ``scale``, ``nfeature``, ``nfeature.per.se``, ``method`` (without effect), ``seed`` (of the random start),
        ``W0``.

    Returns
    -------
    pandas.DataFrame
        Features × ecotypes.
    """
    known = ("scale", "nfeature", "nfeature_per_se", "seed", "W0", "n_threads")
    return ecotype.train_w(Fracs, ExpMat, mode="compat", **_named(words, known))


def AggregateRecoverModels(  # noqa: N802
    model_list: Iterable[Mapping[str, pd.DataFrame]], **words: Any
) -> ecotype.Models:
    """Find what models agree on: :func:`ferrocyte.ecotype.aggregate`.

    Parameters
    ----------
    model_list
        Models of several runs.
    **words
        ``delta.threshold``, ``min.model.fraction``.

    Returns
    -------
    Models
        Tables of features × ecotypes.
    """
    return ecotype.aggregate(model_list, **_named(words, ("delta_threshold", "min_model_fraction"))).models


def NMFpredict(W: pd.DataFrame, testdat: pd.DataFrame, **words: Any) -> pd.DataFrame:  # noqa: N802
    """Score cells of one type: :func:`ferrocyte.ecotype.predict`.

    Parameters
    ----------
    W
        Features × ecotypes.
    testdat
        Genes × cells.
    **words
        ``scale``, ``ncell.per.run``, ``sum2one``, ``ncores``.

    Returns
    -------
    pandas.DataFrame
        Cells × ecotypes; cells with fewer than three genes are left out where genes are scaled.
    """
    found = ecotype.predict(
        W, testdat, mode="compat", **_named(words, ("scale", "cells_per_run", "sum_to_one", "n_threads"))
    )
    return found.values[(found.reason != "few_genes").to_numpy()]


def RecoverSE(  # noqa: N802
    dat: pd.DataFrame, celltypes: Any, Ws: Mapping[str, pd.DataFrame], **words: Any
) -> pd.DataFrame:
    """Label cells: :func:`ferrocyte.ecotype.recover`.

    Parameters
    ----------
    dat
        Genes × cells.
    celltypes
        The type of each cell; a series with names is matched by them, and cells that only one of both has are left out.
    Ws
        Models by cell type.
    **words
        ``scale``, ``ncell.per.run``, ``min.score``, ``ncores``.

    Returns
    -------
    pandas.DataFrame
        ``CID``, ``CellType``, ``InitSE``, ``SE``, ``PredScore`` of each cell.
    """
    if hasattr(celltypes, "index") and not callable(celltypes.index):
        shared = [name for name in dat.columns if name in set(celltypes.index)]
        if shared:
            dat, celltypes = dat[shared], celltypes.loc[shared]
    known = ("scale", "cells_per_run", "min_score", "n_threads")
    found = ecotype.recover(dat, Ws, cell_type=list(celltypes), mode="compat", **_named(words, known))
    return found.table[["CID", "CellType", "InitSE", "SE", "PredScore"]]


def DeconvoluteSE(dat: pd.DataFrame, W: pd.DataFrame, **words: Any) -> pd.DataFrame:  # noqa: N802
    """Score mixtures: :func:`ferrocyte.ecotype.deconvolute`.

    Parameters
    ----------
    dat
        Genes × samples.
    W
        Features × ecotypes.
    **words
        ``scale``, ``nsample.per.run``, ``sum2one``, ``ncores``.

    Returns
    -------
    pandas.DataFrame
        Samples × ecotypes.
    """
    known = ("scale", "samples_per_run", "sum_to_one", "n_threads")
    return ecotype.deconvolute(dat, W, mode="compat", **_named(words, known)).values


def LoocvPredict(scdata: pd.DataFrame, scmeta: pd.DataFrame, **words: Any) -> pd.DataFrame:  # noqa: N802
    """Label cells by models of other samples, one at a time: :func:`ferrocyte.ecotype.cross_validate`.

    Parameters
    ----------
    scdata
        Genes × cells.
    scmeta
        One row a cell.
    **words
        Those of :func:`NMFGenerateWList`, and ``repeats``; ``seed`` is that of the caller's stream.

    Returns
    -------
    pandas.DataFrame
        `scmeta` with ``cvPred``.
    """
    named = _named(words, (*_TRAINING, "repeats"))
    return ecotype.cross_validate(scdata, scmeta, mode="compat", scheme="train_on_one", **named)


def ComputeMetrics(meta: pd.DataFrame, **words: Any) -> pd.DataFrame:  # noqa: N802
    """Measure labels: :func:`ferrocyte.ecotype.metrics`.

    Parameters
    ----------
    meta
        One row a cell.
    **words
        ``SE``, ``Pred``, ``CellType``, ``Sample``, ``metric``.

    Returns
    -------
    pandas.DataFrame
        Labels × labels, of which the diagonal is the measure.
    """
    named = _named(words, ("label", "predicted", "cell_type", "sample", "metric"))
    if "label" in named:
        named["truth"] = named.pop("label")
    return ecotype.metrics(meta, **named).matrix


def CreatePseudobulks(  # noqa: N802
    counts: pd.DataFrame, groups: Any, n_mixtures: int = 100, seed: int = 2024
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mix cells of groups: :func:`ferrocyte.ecotype.pseudobulks`.

    Parameters
    ----------
    counts
        Genes × cells.
    groups
        The group of each cell.
    n_mixtures
        How many mixtures.
    seed
        Of R's stream.

    Returns
    -------
    tuple
        Fractions (mixtures × groups), and mixtures (genes × mixtures).
    """
    found = ecotype.pseudobulks(counts, groups, n_mixtures=n_mixtures, seed=seed, rng="r")
    return found.fractions, found.mixtures


_DISCOVERING = (
    "radius", "resolution", "nfeatures", "min_types", "npcs", "min_cells", "min_features", "t", "k", "k_sn",
    "grid_size", "filter_region_by_celltypes", "dropcell", "seed", "n_threads",
)  # fmt: skip

_SEVERAL = (
    *_DISCOVERING, "region", "nmf_ranks", "n_runs", "min_coph", "downsample_by_region", "subresolution", "cell_type",
)  # fmt: skip


def SpatialEcoTyper(  # noqa: N802
    normdata: pd.DataFrame, metadata: pd.DataFrame, **words: Any
) -> ecotype.Discovered:
    """Discover the ecotypes of one tissue: :func:`ferrocyte.ecotype.discover`.

    Parameters
    ----------
    normdata
        Genes × cells.
    metadata
        One row a cell, with ``X``, ``Y`` and ``CellType``.
    **words
        ``radius``, ``resolution``, ``nfeatures``, ``min.cts.per.region``, ``npcs``, ``min.cells``, ``min.features``,
        ``iterations``, ``k``, ``k.sn``, ``grid.size``, ``filter.region.by.celltypes``, ``dropcell``, ``ncores``;
        ``minibatch`` without effect.

    Returns
    -------
    Discovered
        ``cells`` is the metadata of R's result.
    """
    words.setdefault("dropcell", True)
    return ecotype.discover(normdata, metadata, **_named(words, _DISCOVERING))


def MultiSpatialEcoTyper(  # noqa: N802
    data_list: Mapping[str, pd.DataFrame], metadata_list: Mapping[str, pd.DataFrame], **words: Any
) -> ecotype.Discovered:
    """Discover what several samples have in common: :func:`ferrocyte.ecotype.discover` with samples.

    Parameters
    ----------
    data_list
        Genes × cells of each sample; genes that some sample lacks are left out.
    metadata_list
        One row a cell of each sample.
    **words
        Those of :func:`SpatialEcoTyper`, and ``nmf_ranks``, ``nrun.per.rank``, ``min.coph``, ``Region``,
        ``downsample.by.region``, ``subresolution``, ``seed``; ``outdir`` without effect, since nothing is written.

    Returns
    -------
    Discovered
        Ecotypes of all cells, named ``sample..cell``.
    """
    data, meta = _together(data_list, metadata_list)
    words.setdefault("dropcell", True)
    return ecotype.discover(data, meta, sample="Sample", **_named(words, _SEVERAL))


def IntegrateSpatialEcoTyper(  # noqa: N802
    SpatialEcoTyper_list: Mapping[str, ecotype.Discovered], data_list: Mapping[str, pd.DataFrame], **words: Any
) -> ecotype.Discovered:
    """Discover what samples have in common whose tissues were discovered before: their networks are not fused again.

    Parameters
    ----------
    SpatialEcoTyper_list
        Results of :func:`SpatialEcoTyper` by sample.
    data_list
        Genes × cells of each sample.
    **words
        Those of :func:`MultiSpatialEcoTyper`; ``Region`` is a mapping of samples to the regions of cells by name.

    Returns
    -------
    Discovered
        Ecotypes of all cells, named ``sample..cell``.
    """
    named = _named(words, _SEVERAL)
    resolution, seed = float(named.pop("subresolution", 30.0)), int(named.get("seed", 1))
    regions, named["dropcell"] = named.pop("region", None), named.get("dropcell", True)
    tables = {}
    for sample, found in SpatialEcoTyper_list.items():
        table = found.cells.set_index("CID")[["CellType", "X", "Y"]]
        fine = found.fine_clusters(resolution, seed=seed)
        tables[sample] = table.assign(InitSE=[None if one is None else f"{sample}..{one}" for one in fine])
        if regions is not None:
            tables[sample]["Region"] = regions[sample].loc[table.index]
    cells = {sample: table[tables[sample].index] for sample, table in data_list.items() if sample in tables}
    data, meta = _together(cells, tables)
    region = None if regions is None else "Region"
    return ecotype.discover(data, meta, sample="Sample", clusters="InitSE", region=region, **named)


def _together(
    data_list: Mapping[str, pd.DataFrame], metadata_list: Mapping[str, pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Samples as one table of their common genes, and one of their cells, which are named by sample."""
    import pandas as pd

    if set(data_list) != set(metadata_list):
        message = f"samples of data and metadata differ: {sorted(set(data_list) ^ set(metadata_list))}"
        raise BadInputError(message, place="data_list")
    data, meta = [], []
    for sample, table in data_list.items():
        cells = metadata_list[sample]
        cells = cells.set_index("CID") if "CID" in cells.columns else cells
        data.append(table.add_prefix(f"{sample}.."))
        meta.append(cells.set_axis([f"{sample}..{name}" for name in cells.index], axis=0).assign(Sample=sample))
    return pd.concat(data, axis=1, join="inner"), pd.concat(meta)

"""Scores and labels of cells, and of mixtures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from .._tables import frame
from ..errors import BadInputError
from ._inputs import Recovery, read_cells, some, texts
from ._models import model_in, models_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    import anndata as ad
    import pandas as pd

    from ._inputs import Meta, Mode, Normalize, Orientation


@dataclass
class Scores:
    """Scores of cells in ecotypes.

    Attributes
    ----------
    values
        Cells × ecotypes; missing where a cell is not scored.
    reason
        ``ok``, or why a cell is not scored.
    not_unique
        Cells whose scores are one of several optima.
    iterations
        Updates of each chunk, in compat mode.
    shared_genes
        How many genes of the model the data have.
    """

    values: pd.DataFrame
    reason: pd.Series[Any]
    not_unique: pd.Series[Any]
    iterations: list[int]
    shared_genes: int


@dataclass
class Recovered:
    """Labels of cells.

    Attributes
    ----------
    table
        One row for each cell, in the order of the input: ``CID``, ``CellType``, ``InitSE`` (the best ecotype), ``SE``
        (the label), ``PredScore``, ``margin``, ``reason``.
    scores
        Cells × ecotypes; 0 where a cell is not scored.
    iterations
        Updates of the chunks of each type, in compat mode.
    not_unique
        How many cells have scores that are one of several optima.
    logged
        Whether values were taken for counts, and logarithms taken.
    params
        How cells were labelled.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    iterations: dict[str, list[int]]
    not_unique: int
    logged: bool
    params: dict[str, Any]

    def store(self, adata: ad.AnnData, key: str = "SE") -> None:
        """Store labels in an AnnData that has the same cells.

        obs gains `key`, ``key_score``, ``key_margin`` and ``key_reason``, obsm ``key_scores``, uns ``ecotype``.

        Parameters
        ----------
        adata
            An AnnData with the cells that were labelled.
        key
            The name of the labels.

        Raises
        ------
        BadInputError
            Cells that were not labelled.
        """
        import pandas as pd

        names = [str(name) for name in adata.obs_names]
        table = self.table.set_index("CID")
        strange = [name for name in names if name not in table.index]
        if strange:
            message = f"{len(strange)} cells were not labelled: {some(strange)}"
            raise BadInputError(message, place="adata", hint="store labels with the cells that they were found for")
        table = table.loc[names]
        adata.obs[key] = pd.Categorical(table["SE"])
        adata.obs[f"{key}_score"] = table["PredScore"].to_numpy()
        adata.obs[f"{key}_margin"] = table["margin"].to_numpy()
        adata.obs[f"{key}_reason"] = pd.Categorical(table["reason"])
        adata.obsm[f"{key}_scores"] = self.scores.loc[names].to_numpy()
        classes = np.array(list(self.scores.columns))
        adata.uns["ecotype"] = {"key": key, "classes": classes, "params": dict(self.params)}


def _scores(found: dict[str, Any], cells: list[str], classes: list[str]) -> Scores:
    import pandas as pd

    index = pd.Index(cells)
    return Scores(
        pd.DataFrame(found["values"], index=index, columns=classes),
        pd.Series(found["reasons"], index=index, name="reason"),
        pd.Series(found["not_unique"], index=index, name="not_unique"),
        list(found["iterations"]),
        int(found["shared_genes"]),
    )


def predict(
    W: pd.DataFrame,
    data: Any,
    *,
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
    normalize: Normalize = "none",
    nan: str = "error",
    duplicates: str = "error",
    mode: Mode = "exact",
    scale: bool = False,
    sum_to_one: bool = True,
    cells_per_run: int = 500,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Scores:
    """Score cells of one type by the model of that type.

    Parameters
    ----------
    W
        Features × ecotypes.
    data
        Cells: an AnnData, a data frame or a path.
    layer, orientation, normalize, nan, duplicates
        As in :func:`train`.
    mode
        ``"exact"``: each cell's optimum, which depends on no other cell but by scaling. ``"compat"``: as the reference,
        whose cells are updated in chunks from a random start until their best classes stand still.
    scale
        Whether genes are standardised over the cells.
    sum_to_one
        Whether the scores of a cell are divided by their sum.
    cells_per_run
        In compat mode, the most cells of a chunk.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    Scores
        Cells × ecotypes, and why cells are not scored.
    """
    study = read_cells(data, layer=layer, orientation=orientation, normalize=normalize, nan=nan, duplicates=duplicates)
    how = (mode, scale, sum_to_one, cells_per_run)
    run = means(n_threads, progress=progress)
    found = _core.ecotype_predict(study.cells, model_in("cells", W), how, begin=False, means=run)
    return _scores(found, study.cells.names, [str(name) for name in W.columns])


def compat_start(W: pd.DataFrame, data: Any, *, scale: bool = True) -> pd.DataFrame:
    """Where the reference begins with all cells as one chunk: ecotypes × cells (for its parity tests)."""
    import pandas as pd

    study = read_cells(data)
    how = ("compat", scale, True, max(len(study.cells.names), 1))
    found = _core.ecotype_predict(study.cells, model_in("cells", W), how, begin=True, means=means(progress=False))
    return pd.DataFrame(found["start"], index=study.cells.names, columns=[str(name) for name in W.columns]).T


def deconvolute(
    data: Any,
    W: pd.DataFrame,
    *,
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
    normalize: Normalize = "none",
    auto_log: bool = True,
    nan: str = "error",
    duplicates: str = "error",
    mode: Mode = "exact",
    scale: bool = True,
    sum_to_one: bool = True,
    samples_per_run: int = 500,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Scores:
    """Score mixtures, as bulk samples and spots are, in the ecotypes of a model.

    Parameters
    ----------
    data
        Samples: an AnnData, a data frame (genes × samples) or a path.
    W
        Features × ecotypes, as :func:`train_w` gives them.
    layer, orientation, normalize, auto_log, nan, duplicates
        As in :func:`train`.
    mode, scale, sum_to_one, samples_per_run
        As in :func:`predict`.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    Scores
        Samples × ecotypes.
    """
    study = read_cells(
        data,
        layer=layer,
        orientation=orientation,
        normalize=normalize,
        auto_log=auto_log,
        nan=nan,
        duplicates=duplicates,
    )
    how = (mode, scale, sum_to_one, samples_per_run)
    found = _core.ecotype_deconvolute(study.cells, model_in("mixture", W), how, means(n_threads, progress=progress))
    return _scores(found, study.cells.names, [str(name) for name in W.columns])


def recover(
    data: Any,
    models: Mapping[str, pd.DataFrame],
    meta: Meta = None,
    *,
    cell_type: Any = "CellType",
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
    normalize: Normalize = "none",
    auto_log: bool = True,
    nan: str = "error",
    duplicates: str = "error",
    mode: Mode = "exact",
    scale: bool = True,
    min_score: float = 0.0,
    cells_per_run: int = 1000,
    min_cells: int = 20,
    non_se_label: str = "nonSE",
    label_map: Mapping[str, str] | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Recovered:
    """Label cells by the models of their types.

    Parameters
    ----------
    data, meta
        Cells and their columns, as in :func:`train`.
    models
        Tables of weights by cell type.
    cell_type
        Column, or values in the order of the cells.
    layer, orientation, normalize, auto_log, nan, duplicates
        As in :func:`train`.
    mode, scale, cells_per_run
        As in :func:`predict`.
    min_score
        Scores below this are no ecotype.
    min_cells
        Types with fewer cells are not scored.
    non_se_label
        The class of training that stands for no ecotype; in exact mode it is written ``NonSE``.
    label_map
        Other names for labels, such as ``{"SE01": "SE1"}``; labels that it does not name become ``NonSE``.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    Recovered
        Labels, scores, margins and reasons, in the order of the input.
    """
    import pandas as pd

    study = read_cells(
        data,
        meta,
        layer=layer,
        orientation=orientation,
        normalize=normalize,
        auto_log=auto_log,
        nan=nan,
        duplicates=duplicates,
    )
    how = Recovery(mode, scale, cells_per_run, float(min_score), min_cells, non_se_label)
    run = means(n_threads, max_memory, progress=progress)
    types = texts(study, cell_type, "cell_type")
    found = _core.ecotype_recover(study.cells, types, models_in(models), how, run)
    table = frame(found["table"])
    if label_map is not None:
        table["SE"] = [label_map.get(str(label), "NonSE") for label in table["SE"]]
    scores = pd.DataFrame(found["scores"], index=study.cells.names, columns=found["classes"])
    params = {
        "mode": mode,
        "scale": scale,
        "min_score": float(min_score),
        "cells_per_run": cells_per_run,
        "min_cells": min_cells,
        "auto_log": auto_log,
        "normalize": normalize,
    }
    return Recovered(table, scores, dict(found["iterations"]), found["not_unique"], found["logged"], params)

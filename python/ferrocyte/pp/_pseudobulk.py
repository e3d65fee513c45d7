"""Pseudobulk: the cells of each sample, and of each group of cells in it, as one observation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _core
from .._messages import info, warn
from .._run import means
from .._sources import open_source
from ..errors import BadInputError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import anndata as ad

N_CELLS = "n_cells"


def pseudobulk(
    data: ad.AnnData | str | os.PathLike[str],
    by: str | Sequence[str],
    groups: str | None = None,
    *,
    mode: Literal["sum", "mean"] = "sum",
    layer: str | None = None,
    min_cells: int = 10,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData:
    """Sum the counts of the cells of each sample, in one pass over the cells.

    Parameters
    ----------
    data
        An AnnData (in memory, a view, backed, lazy), or the path of an .h5ad file, which is streamed.
    by
        Columns of obs whose combinations make the samples: ``["donor", "condition"]``.
    groups
        Column of obs, such as the cell type, whose levels are kept apart.
    mode
        ``"sum"`` adds counts; ``"mean"`` takes the mean of any values.
    layer
        The matrix: ``None`` is X, else a layer, or ``"raw"``.
    min_cells
        Samples with fewer cells are left out, with a warning; their names and cells stand in
        ``uns["pseudobulk"]["left_out"]``.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    anndata.AnnData
        Samples × genes (X: float64). obs holds the columns `by` and `groups`, the number of cells (``n_cells``), and
        every other column of obs that does not vary within samples.

    Raises
    ------
    BadInputError
        Where values to be added are no counts, or no sample has enough cells.
    MissingKeyError
        Where a column or layer does not exist.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.sim.study(n_genes=20, n_cells=400, seed=1)
    >>> fe.pp.pseudobulk(cells, "sample", groups="cluster", min_cells=1).shape
    (47, 20)
    """
    import anndata as ad
    import pandas as pd

    by = [by] if isinstance(by, str) else list(by)
    if groups in by:
        message = f"`{groups}` is in by= and is groups="
        raise BadInputError(message, place="groups", hint="name it once")
    source = open_source(data, layer)
    needed = [*by, *([] if groups is None else [groups])]
    columns = source.columns(needed, _plain_columns(data))
    for name in needed:
        if name not in columns:
            from .._obs import require

            require(pd.DataFrame(columns=list(columns)), name)
    made = _core.pseudobulk_sums(
        source.matrix,
        source.n_cells,
        columns,
        by,
        groups,
        mode,
        min_cells,
        means(n_threads, max_memory, progress=progress),
    )
    obs = pd.DataFrame(
        {
            name: pd.Categorical.from_codes(column[0], categories=column[1]) if isinstance(column, tuple) else column
            for name, column in made["samples"].items()
        }
    )
    names = made["names"]
    if made["groups"] is not None:
        # Categories whose samples are all too small stay, so that nobody wonders where they are.
        obs[groups] = pd.Categorical.from_codes(made["groups"][0], categories=made["groups"][1])
        levels = obs[groups].astype(str)
        names = [f"{name}_{level}" for name, level in zip(names, levels, strict=True)]
    obs.index = pd.Index(names, dtype=object)
    obs[N_CELLS] = np.asarray(made["n_cells"], dtype=np.int64)
    left_out = made["left_out"]
    if left_out:
        shown = ", ".join(f"`{' '.join(filter(None, (group, sample)))}` ({n})" for sample, group, n in left_out[:5])
        more = f" and {len(left_out) - 5} more" if len(left_out) > 5 else ""
        warn(f"{len(left_out)} samples with fewer than {min_cells} cells are left out: {shown}{more}")
    if made["n_unassigned"]:
        named = ", ".join(f"`{name}`" for name in needed)
        warn(f"{made['n_unassigned']} cells have no value in {named}: they belong to no sample")
    if made["varying"]:
        info(f"columns of obs that vary within samples are left out: {', '.join(made['varying'])}")
    return ad.AnnData(
        np.ascontiguousarray(made["values"].T),
        obs=obs,
        var=_var(data, source.genes),
        uns={
            "pseudobulk": {
                "by": by,
                "groups": groups or "",
                "mode": mode,
                "min_cells": min_cells,
                "left_out": pd.DataFrame(
                    left_out, columns=["sample", "group", N_CELLS], index=[str(i) for i in range(len(left_out))]
                ),
            }
        },
    )


def _plain_columns(data: Any) -> list[str]:
    """The columns of obs that a sample may have one value of."""
    import pandas as pd

    if not hasattr(data, "obs"):
        return []
    obs = data.obs
    if not isinstance(obs, pd.DataFrame):
        return []
    kinds = (pd.api.types.is_numeric_dtype, pd.api.types.is_bool_dtype)
    return [
        str(name)
        for name in obs.columns
        if isinstance(obs[name].dtype, pd.CategoricalDtype)
        or any(kind(obs[name].dtype) for kind in kinds)
        or pd.api.types.infer_dtype(obs[name], skipna=True) == "string"
    ]


def _var(data: Any, genes: list[str]) -> Any:
    import pandas as pd

    var = getattr(data, "var", None)
    if isinstance(var, pd.DataFrame) and list(var.index) == genes:
        return var.copy()
    return pd.DataFrame(index=pd.Index(genes, dtype=object))

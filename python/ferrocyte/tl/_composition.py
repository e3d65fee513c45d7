"""Types of cells in samples: their shares, and whether groups of samples differ in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._annotated import labels_of, target
from .._obs import column, require
from .._run import means
from .._tables import frame
from ..errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    import pandas as pd


def proportion(
    adata: ad.AnnData,
    major: str,
    minor: str,
    within: str = "major",
    *,
    normalize: str | bool | None = None,
    show_unused: bool = False,
) -> pd.DataFrame:
    """Count the cells by two columns of obs, such as samples and types, as shares.

    Parameters
    ----------
    adata
        Cells × genes.
    major, minor
        Columns of obs: rows and columns of the table. Cells that lack one of the labels are left out.
    within
        Within what shares sum to 1: ``"major"`` (rows), ``"minor"`` (columns), ``"all"``, or ``"none"`` for counts.
    normalize
        The same in the words of pandas' crosstabs: ``"index"``, ``"columns"``, ``"all"``, ``False``, before `within`.
    show_unused
        Whether levels that no cell has are shown, with 0.

    Returns
    -------
    DataFrame
        Levels of `major` × levels of `minor`, in their order. ``attrs["n_cells"]`` has the cells of every row,
        ``attrs["n_missing"]`` those that are left out.

    Raises
    ------
    MissingKeyError
        Where a column does not exist.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fe.tl.proportion(small_study(), "condition", "cell_type")
    cell_type         B         T
    condition
    ctrl       0.333333  0.666667
    stim       0.333333  0.666667
    """
    import pandas as pd

    adata = target(adata)
    word = within if normalize is None else str(normalize)
    found = _core.cells_proportion(
        tuple(labels_of(adata, major, "major")), tuple(labels_of(adata, minor, "minor")), word, show_unused
    )
    values = found["values"].astype(np.int64) if word in ("none", "False") else found["values"]
    rows, columns = pd.Index(found["majors"], name=major), pd.Index(found["minors"], name=minor)
    table = pd.DataFrame(values, index=rows, columns=columns)
    table.attrs["n_cells"] = dict(zip(found["majors"], found["n_per_major"].tolist(), strict=True))
    table.attrs["n_missing"] = found["n_missing"]
    return table


def composition(
    data: ad.AnnData | pd.DataFrame,
    groups: str | Sequence[str],
    *,
    sample: str | None = None,
    cell_type: str | None = None,
    samples: pd.DataFrame | None = None,
    covariates: str | Sequence[str] | None = None,
    transform: str = "logit",
    robust: bool = True,
    pseudo_total: float | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Test whether the shares of cell types differ between groups of samples (propeller).

    Shares are transformed, a linear model is fitted to each type, and the variances of all types inform each other.
    Samples are the replicates, not cells.

    Parameters
    ----------
    data
        Cells × genes; or a table of samples × types: cells, or shares with a `pseudo_total`.
    groups
        The column (of obs, or of `samples`) with the group of each sample; or, for a table, the groups themselves.
    sample, cell_type
        Columns of obs with the sample and the type of each cell; not for a table.
    samples
        For a table: the columns of its samples, in their order.
    covariates
        What is allowed for: columns, or a formula such as ``"~ donor + age"``.
    transform
        ``"logit"`` or ``"asin"`` (arcsine of the square root).
    robust
        Whether types whose variances stick out inform the others less.
    pseudo_total
        How many cells each sample stands for, where the table has shares and the transform is the logit.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    DataFrame
        A row for each type: mean share in each group, their ratio (two groups), t of the first group against the second
        or F of all, p, and q (Benjamini and Hochberg). Types that no sample has are left out, with a warning;
        ``attrs["left_out"]`` lists them.

    Raises
    ------
    BadInputError
        Where a group has one sample, samples have several groups, covariates depend on each other, or shares come
        without a pseudo-total for the logit.

    Examples
    --------
    >>> import ferrocyte as fe, pandas as pd
    >>> counts = {"B": [20, 25, 22, 60, 70, 55], "T": [80, 75, 70, 40, 45, 50], "NK": [9, 8, 12, 9, 11, 10]}
    >>> found = fe.tl.composition(pd.DataFrame(counts), ["ctrl"] * 3 + ["stim"] * 3)
    >>> found["type"][found["q"] < 0.05].to_list()
    ['B', 'T']
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        table = data
        if not isinstance(groups, str):
            samples = (pd.DataFrame(index=table.index) if samples is None else samples).assign(groups=list(groups))
            groups = "groups"
        if samples is None:
            message = f"column `{groups}` of which table?"
            raise BadInputError(message, place="samples", hint="give the table of samples, or the groups as a list")
        if len(samples) != len(table):
            message = f"{len(samples)} samples, but the table has {len(table)}"
            raise BadInputError(message, place="samples")
    else:
        table, samples = _of_cells(target(data), sample, cell_type, groups, covariates)
    labels = column(require(samples, str(groups), "samples").astype("category"), str(groups))
    values = np.ascontiguousarray(table.to_numpy(dtype=np.float64).T)
    found, left_out = _core.cells_composition(
        (values, [str(name) for name in table.columns], pseudo_total),
        labels,
        _design(samples, covariates),
        (transform, bool(robust)),
        means(n_threads, max_memory, progress=progress),
    )
    out = frame(found)
    out.attrs["left_out"] = left_out
    return out


def _of_cells(
    adata: ad.AnnData, sample: str | None, cell_type: str | None, groups: str | Sequence[str], covariates: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Samples × types, and what the samples are."""
    if sample is None or cell_type is None or not isinstance(groups, str):
        message = "the columns of obs with samples, types and groups are needed"
        raise BadInputError(message, place="sample", hint='composition(adata, "condition", sample=…, cell_type=…)')
    wanted = [groups, *_variables(covariates)]
    for name in wanted:
        require(adata.obs, name)
    table = proportion(adata, sample, cell_type, "none")
    rows = adata.obs[[sample, *dict.fromkeys(wanted)]].dropna(subset=[sample]).drop_duplicates()
    rows = rows.assign(**{sample: rows[sample].astype(str)})
    twice = rows[sample][rows[sample].duplicated()]
    if len(twice):
        message = f"sample `{twice.iloc[0]}` has cells with different {', '.join(f'`{name}`' for name in wanted)}"
        raise BadInputError(message, place=f"obs column `{sample}`", hint="groups and covariates are those of samples")
    return table, rows.set_index(sample).loc[[str(name) for name in table.index]]


def _variables(covariates: str | Sequence[str] | None) -> list[str]:
    if covariates is None:
        return []
    if isinstance(covariates, str) and "~" in covariates:
        return list(_core.limma_variables(covariates))
    return [covariates] if isinstance(covariates, str) else list(covariates)


def _design(samples: pd.DataFrame, covariates: str | Sequence[str] | None) -> np.ndarray[Any, Any] | None:
    """Columns of a design without constant: the groups have it."""
    if covariates is None:
        return None
    from ..limma import model_matrix

    if not (isinstance(covariates, str) and "~" in covariates):
        covariates = "~ " + " + ".join(f"`{name}`" for name in _variables(covariates))
    design = model_matrix(covariates, samples)
    kept = [name for name in design.columns if name != "(Intercept)"]
    return np.ascontiguousarray(design[kept].to_numpy(dtype=np.float64)) if kept else None

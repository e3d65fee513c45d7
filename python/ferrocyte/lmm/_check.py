"""A look at a design before any count is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import _core
from .._run import means
from .._sources import open_source
from .._tables import frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    import pandas as pd

__all__ = ["Check", "check"]


class Check:
    """What a design can tell.

    Attributes
    ----------
    terms
        A row per group and fixed term: `unit` (the random grouping between whose levels it varies, or ``cell``),
        `n_units`, `df` (units less the fixed effects that vary between them: the degrees of freedom of the balanced
        case), `inflation` (how many times larger its variances are because of the other terms; Fox and Monette 1992),
        `status` and `reason`.
    coefficients
        What stands behind each coefficient, as of :meth:`ferrocyte.lmm.Sums.support`.
    warnings
        What is worth knowing besides, such as a random term that is missing.
    """

    def __init__(self, terms: pd.DataFrame, coefficients: pd.DataFrame, warnings: list[str]) -> None:
        self.terms = terms
        self.coefficients = coefficients
        self.warnings = warnings

    @property
    def ok(self) -> bool:
        """Whether every term can be estimated and tested."""
        return bool((self.terms["status"] == "ok").all())

    def __repr__(self) -> str:
        shown = self.terms[["group", "term", "unit", "n_units", "df", "inflation", "status"]]
        lines = [shown.to_string(index=False, float_format=lambda x: f"{x:.3g}")]
        lines += [f"{row.term}: {row.reason}" for row in self.terms.itertuples() if row.reason]
        return "\n".join(lines + [f"note: {warning}" for warning in self.warnings])


def check(
    data: ad.AnnData | str | os.PathLike[str],
    formula: str,
    *,
    random: str | Sequence[str] | None = None,
    groups: str | None = None,
    na: str = "refuse",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Check:
    """Look at a design before any count is read: which terms can be estimated, and from how many units.

    Parameters
    ----------
    data
        AnnData, or the path of an .h5ad file; only obs is read.
    formula, random, groups, na
        As of :func:`ferrocyte.lmm.fit`.
    n_threads, progress
        As of :func:`ferrocyte.lmm.fit`.

    Returns
    -------
    Check

    Raises
    ------
    BadInputError
        Missing values, or a model without random term.
    MissingKeyError
        A column that does not exist.

    Notes
    -----
    Aliased terms are named, not refused. Columns that need the totals of cells are taken to vary from cell to cell.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fe.lmm.check(small_study(), "~ donor + condition + cell_type + (1 | sample)")
    group      term   unit  n_units  df  inflation status
      all     donor sample       12   5          1     ok
      all condition sample       12   5          1     ok
      all cell_type   cell      240 227          1     ok
    """
    source = open_source(data, None)
    terms = [random] if isinstance(random, str) else list(random or [])
    variables = _core.lmm_variables(formula, terms)
    wanted = [name for name in variables if name != "libsize"]
    if groups is not None:
        wanted.append(groups)
    columns = source.columns(wanted, ["libsize"] if "libsize" in variables else [])
    resources = means(n_threads, None, progress=progress)
    found = _core.lmm_check(source.n_cells, columns, formula, terms, groups, na, resources)
    return Check(frame(found[0]), frame(found[1]), found[2])

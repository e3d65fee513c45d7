"""Predicted random effects of a gene, in their order, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._annotated import close_to
from ..errors import BadInputError, MissingKeyError
from ._style import FAINT, PALETTE, axes, styled, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: More units than this go without their names.
_NAMED = 60


@styled
def random_effects(
    fit: Any,
    gene: str,
    *,
    term: str | None = None,
    group: str | None = None,
    level: float = 0.95,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the predicted random effects of a gene, one row for each unit, from the lowest to the highest.

    Units whose interval leaves out zero are coloured. Predictions are drawn towards zero (shrunken): units with few
    cells more than others.

    Parameters
    ----------
    fit
        Of :func:`ferrocyte.lmm.fit` or :func:`ferrocyte.nbmm.fit`.
    gene
        Its name.
    term
        A random term, such as ``donor``; the first if absent.
    group
        A level of the grouping column; not needed where there is one group.
    level
        How often the intervals (normal distribution, standard errors of prediction) hold the effect of a unit.
    title
        By default gene and term.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Effects on the x axis, in units of the response.

    Raises
    ------
    BadInputError
        The gene has no estimate, or `level` is not between 0 and 1.
    MissingKeyError
        There is no such gene, term or group.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
    >>> ax = fe.pl.random_effects(fit, "gene1")
    >>> ax.get_title(loc="left")
    'gene1, sample'
    """
    from scipy import stats

    if not 0.0 < level < 1.0:
        message = f"expected a level between 0 and 1, found {level:g}"
        raise BadInputError(message, place="level")
    table = fit.ranef(gene, group)
    unit = f", {table.attrs['unit']}" if "unit" in table.attrs else ""
    terms = list(dict.fromkeys(table["term"]))
    if not terms:
        message = "the fit has no random term"
        raise BadInputError(message, place="fit", hint="write one in the formula, such as (1 | donor)")
    term = terms[0] if term is None else term
    if term not in terms:
        message = f"there is no random term `{term}`"
        raise MissingKeyError(message, place="term", hint=close_to(term, terms))
    table = table[table["term"] == term].dropna(subset="estimate").sort_values("estimate", kind="stable")
    value = table["estimate"].to_numpy()
    if len(value) == 0:
        message = f"`{gene}` has no estimate"
        raise BadInputError(message, place="gene", hint="the column `status` of the table says why")
    half = stats.norm.ppf(0.5 + level / 2) * table["se"].to_numpy()
    away = np.abs(value) > half
    rows = np.arange(len(value))
    named = len(value) <= _NAMED
    ax = axes(ax, (3.6, 0.9 + (0.2 * len(value) if named else 4.0)))
    ax.axvline(0.0, color=FAINT, lw=0.8, zorder=0)
    for part, colour in ((~away, "#8A8A8A"), (away, PALETTE[0])):
        ax.hlines(rows[part], (value - half)[part], (value + half)[part], color=colour, lw=1.4 if named else 0.7)
        ax.plot(value[part], rows[part], "o", color=colour, ms=4.0 if named else 1.8)
    ax.set_yticks(rows if named else [], table["level"] if named else [])
    ax.set_ylim(-0.7, len(value) - 0.3)
    words = f"{gene}, {term}" if title is None else title
    return tidy(ax, title=words, xlabel=f"random effect{unit}", ylabel="" if named else f"{len(value):,} units")

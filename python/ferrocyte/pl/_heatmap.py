"""The first genes of each group, over all groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import BadInputError
from ._style import axes, need, one_panel, styled, tidy, unit_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


@styled
def heatmap_top(
    table: pd.DataFrame,
    n: int = 5,
    *,
    values: str = "estimate",
    contrast: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the first `n` genes of each group over all groups; stars mark false discovery rates of 5, 1 and 0.1 %.

    Parameters
    ----------
    table
        Of :meth:`ferrocyte.lmm.Fit.contrast` or :meth:`~ferrocyte.lmm.Fit.test`, with several groups.
    n
        How many genes of each group.
    values
        The column that is drawn: ``"estimate"`` or ``"t"``.
    contrast
        Which contrast, if the table holds several.
    title
        By default the contrast.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BadInputError
        No gene has a p-value.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)", groups="cell_type")
    >>> ax = fe.pl.heatmap_top(fit.contrast("condition", "stim", "ctrl"), 3)
    """
    need(table, "group", "gene", "contrast", "adj_p_value", "log10_p_value", values)
    chosen = table if contrast is None else table[table["contrast"].astype(str) == contrast]
    _, words = one_panel(chosen.assign(group="all"), None, contrast)
    ranked = chosen[np.isfinite(chosen["log10_p_value"])].sort_values("log10_p_value", kind="stable")
    if ranked.empty:
        message = "no gene has a p-value"
        raise BadInputError(message, place="table")
    ranked = ranked.drop_duplicates(["group", "gene"])
    groups = [str(g) for g in dict.fromkeys(chosen["group"].astype(str))]
    first = ranked.groupby("group", observed=True, sort=False).head(n)
    genes = list(dict.fromkeys(first["gene"]))
    rows = ranked[ranked["gene"].isin(genes)].assign(group=lambda t: t["group"].astype(str))
    shown = rows.pivot(index="gene", columns="group", values=values).reindex(index=genes, columns=groups)
    adjusted = rows.pivot(index="gene", columns="group", values="adj_p_value").reindex(index=genes, columns=groups)
    # The genes that respond everywhere first, then those of few groups.
    order = np.argsort(-(adjusted < 0.05).sum(axis=1).to_numpy(), kind="stable")
    shown, adjusted = shown.iloc[order], adjusted.iloc[order]

    new = ax is None
    ax = axes(ax, (1.9 + 0.42 * len(groups), 1.4 + 0.19 * len(genes)))
    limit = float(np.nanpercentile(np.abs(shown.to_numpy()), 98)) or 1.0
    import matplotlib as mpl

    colours = mpl.colormaps["PuOr_r"].with_extremes(bad="#EDEDED")
    image = ax.imshow(shown.to_numpy(), aspect="auto", cmap=colours, vmin=-limit, vmax=limit)
    for i, j in np.argwhere(adjusted.to_numpy() < 0.05):
        stars = next(text for bound, text in _STARS if adjusted.iat[i, j] < bound)
        dark = abs(shown.iat[i, j]) > 0.75 * limit
        ax.text(j, i + 0.12, stars, ha="center", va="center", fontsize=6, color="white" if dark else "#222222")
    ax.set_xticks(range(len(groups)), groups, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(genes)), list(shown.index))
    ax.tick_params(length=0, labelsize=7.5)
    unit = unit_of(table, values) or values
    bar = ax.get_figure().colorbar(image, ax=ax, fraction=0.05, pad=0.03, aspect=25, shrink=0.6 if new else 1.0)
    bar.set_label(unit, fontsize=7.5)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    ax = tidy(ax, title=words if title is None else title)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax

"""The first genes of each group, over all groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadInputError
from ._style import axes, diverging, styled, tidy
from ._tables import finite, levels, need, one_contrast, unit_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_VALUES = ("estimate", "t")


@styled
def heatmap_top(
    table: pd.DataFrame,
    *,
    n: int = 5,
    value: str = "estimate",
    contrast: str | None = None,
    fdr: float = 0.05,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the first `n` genes of each group over all groups; a star marks a false discovery rate below `fdr`.

    Genes that respond in most groups come first. Grey is no estimate: the gene's status says why.

    Parameters
    ----------
    table
        Of :meth:`ferrocyte.lmm.Fit.contrast` or :meth:`~ferrocyte.lmm.Fit.test`, with several groups.
    n
        How many genes of each group.
    value
        The column that is drawn: ``"estimate"`` compares sizes of effects, ``"t"`` the evidence, which also grows with
        the number of cells.
    contrast
        Which contrast, if the table holds several.
    fdr
        False discovery rate of the stars.
    title
        By default the contrast.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Genes on the y axis, groups on the x axis.

    Raises
    ------
    BadInputError
        No gene has a p-value, `value` is another column, or the table holds several contrasts and none was chosen.
    MissingKeyError
        No such contrast or column; the nearest names are listed.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)", groups="cell_type")
    >>> ax = fe.pl.heatmap_top(fit.contrast("condition", "stim", "ctrl"), n=3)
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['B', 'T']
    """
    if value not in _VALUES:
        message = f"there is no choice `{value}`"
        raise BadInputError(message, place="value", hint=f"it is one of {', '.join(f'`{name}`' for name in _VALUES)}")
    if n < 1:
        message = f"expected at least one gene, found {n}"
        raise BadInputError(message, place="n")
    need(table, "group", "gene", "contrast", "adj_p_value", "log10_p_value", value)
    chosen, words = one_contrast(table, contrast)
    shown, found = _top(chosen, n, value, fdr)
    ax = axes(ax, (1.9 + 0.42 * shown.shape[1], 1.4 + 0.19 * shown.shape[0]))
    _cells(ax, shown.to_numpy(), found.to_numpy(), unit_of(table, value), fdr)
    ax.set_xticks(range(shown.shape[1]), list(shown.columns), rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(shown.shape[0]), list(shown.index))
    ax.tick_params(length=0, labelsize=8)
    tidy(ax, title=words if title is None else title, xlabel="", ylabel="")
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def _top(table: pd.DataFrame, n: int, value: str, fdr: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Values of the first genes, genes x groups, and which of them are found at this rate."""
    ranked = finite(table, "log10_p_value").sort_values("log10_p_value", kind="stable")
    ranked = ranked.assign(group=ranked["group"].astype(str)).drop_duplicates(["group", "gene"])
    genes = ranked.groupby("group", sort=False).head(n)["gene"].unique()
    rows = ranked[ranked["gene"].isin(genes)]
    shape = {"index": genes, "columns": levels(table, "group")}
    shown = rows.pivot(index="gene", columns="group", values=value).reindex(**shape)
    found = rows.pivot(index="gene", columns="group", values="adj_p_value").reindex(**shape) < fdr
    # Stable, so that genes found in equally many groups stay in the order of their best p-value.
    order = np.argsort(-found.sum(axis=1).to_numpy(), kind="stable")
    return shown.iloc[order], found.iloc[order]


def _cells(ax: Axes, shown: Any, starred: Any, unit: str, fdr: float) -> None:
    """The coloured cells, the stars, and the bar that explains both."""
    limit = float(np.nanmax(np.abs(shown))) or 1.0
    image = ax.imshow(shown, aspect="auto", cmap=diverging(), vmin=-limit, vmax=limit, interpolation="nearest")
    for i, j in np.argwhere(starred):
        # The glyph of the star stands above the middle of its line.
        ax.text(
            j, i + 0.14, "*", ha="center", va="center", fontsize=8,
            color="white" if abs(shown[i, j]) > 0.55 * limit else "#222222",
        )  # fmt: skip
    edges = np.arange(1, max(shown.shape)) - 0.5
    ax.hlines(edges[: shown.shape[0] - 1], -0.5, shown.shape[1] - 0.5, color="white", lw=0.6)
    ax.vlines(edges[: shown.shape[1] - 1], -0.5, shown.shape[0] - 0.5, color="white", lw=0.6)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.03, aspect=22, shrink=0.7)
    bar.set_label(f"{unit}\n* FDR < {100 * fdr:g} %", fontsize=8)
    bar.ax.tick_params(labelsize=7.5)
    bar.outline.set_visible(False)

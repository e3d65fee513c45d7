"""Volcano plots: size of the effect against the evidence for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadInputError
from ._labels import label_points, lay_out
from ._style import DOWN, FAINT, INK, MANY, UP, axes, styled, tidy
from ._tables import as_tests, finite, levels, missing, need, one_contrast, one_panel, unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = ("group", "gene", "contrast", "estimate", "adj_p_value", "log10_p_value")


@styled
def volcano(
    table: pd.DataFrame,
    *,
    group: str | None = None,
    contrast: str | None = None,
    fdr: float = 0.05,
    label: int | Sequence[str] = 10,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the size of the effect against the evidence for it, a point per gene.

    The height is taken from the column `log10_p_value`, so that it goes on where p-values are too small for a number.
    Genes without a p-value are not drawn; infinite estimates (:mod:`ferrocyte.nbmm`) are triangles at the edge.

    Parameters
    ----------
    table
        Of :meth:`ferrocyte.lmm.Fit.contrast` or :meth:`~ferrocyte.lmm.Fit.test`, the same of
        :class:`ferrocyte.nbmm.Fit`, of :func:`ferrocyte.limma.de` or
        :func:`~ferrocyte.limma.top_table`.
    group, contrast
        Which rows, if the table holds several.
    fdr
        False discovery rate below which genes are coloured.
    label
        How many of the first genes are named, or which. A name that finds no free place is left out.
    title
        By default group and contrast.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BadInputError
        The table is empty, or holds several groups or contrasts and none was chosen.
    MissingKeyError
        No such group, contrast, gene or column; the nearest names are listed.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
    >>> ax = fe.pl.volcano(fit.contrast("condition", "stim", "ctrl"))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('difference of ln(1 + count)', '-log10 p')
    """
    _check_fdr(fdr)
    table = as_tests(table)
    chosen, words = one_panel(need(table, *_COLUMNS), group, contrast)
    rows, n_infinite = _with_infinite(chosen)
    named = _named(rows, chosen, label)
    ax = axes(ax, (4.2, 3.9))
    note = f"{_points(ax, rows, fdr)} of {len(rows):,} genes, FDR < {100 * fdr:g} %"
    note += f"; {n_infinite:,} infinite" if n_infinite else ""
    words = words if title is None else title
    tidy(ax, title=words or " ", xlabel=unit_of(table, "estimate"), ylabel="-log10 p", note=note)
    _limits(ax, rows)
    lay_out(ax)
    _names(ax, rows, named)
    return ax


@styled
def volcano_grid(
    table: pd.DataFrame,
    *,
    contrast: str | None = None,
    fdr: float = 0.05,
    label: int | Sequence[str] = 5,
    n_columns: int = 4,
) -> Figure:
    """Draw a volcano plot for every group, on shared axes, so that groups can be compared.

    Parameters
    ----------
    table
        Of :meth:`ferrocyte.lmm.Fit.contrast` or :meth:`~ferrocyte.lmm.Fit.test`, with groups. A group without a
        p-value has no panel.
    contrast
        Which contrast, if the table holds several.
    fdr
        False discovery rate below which genes are coloured.
    label
        How many of the first genes are named in each panel, or which.
    n_columns
        Panels in a row.

    Returns
    -------
    matplotlib.figure.Figure
        A panel per group, in the order of the table.

    Raises
    ------
    BadInputError
        The table is empty, or holds several contrasts and none was chosen.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)", groups="cell_type")
    >>> figure = fe.pl.volcano_grid(fit.contrast("condition", "stim", "ctrl"))
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['B', 'T']
    """
    from matplotlib import pyplot as plt

    _check_fdr(fdr)
    table = as_tests(table)
    chosen, words = one_contrast(need(table, *_COLUMNS), contrast)
    drawn, _ = _with_infinite(chosen)
    groups = levels(drawn, "group")
    n_columns = max(1, min(n_columns, len(groups)))
    n_rows = -(-len(groups) // n_columns)
    figure, panels = plt.subplots(
        n_rows, n_columns, figsize=(0.6 + 2.6 * n_columns, 0.8 + 2.5 * n_rows),
        sharex=True, sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    shown = []
    for ax, group in zip(panels.flat, groups, strict=False):
        rows = drawn[drawn["group"].astype(str) == group]
        tidy(ax, title=group, xlabel="", ylabel="", note=f"{_points(ax, rows, fdr)} of {len(rows):,}")
        shown.append((ax, rows, _named(rows, chosen, label)))
    figure.supxlabel(unit_of(table, "estimate"), fontsize=9.0)
    figure.supylabel("-log10 p", fontsize=9.0)
    figure.suptitle(f"{words}, genes with FDR < {100 * fdr:g} %", fontsize=10.0, x=0.01, ha="left")
    for ax in panels.flat[len(groups) :]:
        ax.remove()
    for ax in panels.flat[max(0, len(groups) - n_columns) : len(groups)]:
        ax.tick_params(labelbottom=True)
    _limits(panels.flat[0], drawn)
    # Names need final limits and places, so they come after all points.
    lay_out(panels.flat[0])
    for ax, rows, named in shown:
        _names(ax, rows, named)
    return figure


def _with_infinite(chosen: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The genes that can be drawn, and how many of them are infinite: these stand beyond all others."""
    estimate = chosen["estimate"].to_numpy(dtype=float)
    infinite = np.isinf(estimate) & np.isfinite(chosen["log10_p_value"].to_numpy(dtype=float))
    if infinite.any():
        others = np.abs(estimate[np.isfinite(estimate)])
        edge = 1.15 * (float(others.max()) if len(others) else 1.0)
        chosen = chosen.assign(estimate=np.where(infinite, np.sign(estimate) * edge, estimate), infinite=infinite)
    return finite(chosen, "estimate", "log10_p_value"), int(infinite.sum())


def _points(ax: Axes, rows: pd.DataFrame, fdr: float) -> str:
    """Draw the points of one panel; how many are found up and down, in words."""
    x, y = rows["estimate"].to_numpy(), -rows["log10_p_value"].to_numpy()
    found = rows["adj_p_value"].to_numpy() < fdr
    up, down = found & (x > 0), found & (x <= 0)
    beyond = rows["infinite"].to_numpy(dtype=bool) if "infinite" in rows else np.zeros(len(rows), dtype=bool)
    for chosen, colour, size in ((~found, FAINT, 5), (down, DOWN, 9), (up, UP, 9)):
        for part, marker in ((~beyond, "o"), (beyond & (x < 0), "<"), (beyond & (x > 0), ">")):
            i = chosen & part
            ax.scatter(
                x[i], y[i], s=size, c=colour, marker=marker, linewidths=0, alpha=0.8, rasterized=len(rows) > MANY
            )
    ax.axvline(0.0, color=INK, lw=0.6, zorder=0)
    return f"{up.sum():,} up, {down.sum():,} down"


def _limits(ax: Axes, rows: pd.DataFrame) -> None:
    """Limits that show all points, zero, and some room for names."""
    x, y = rows["estimate"].to_numpy(), -rows["log10_p_value"].to_numpy()
    low, high = min(x.min(), 0.0), max(x.max(), 0.0)
    room = 0.12 * (high - low) or 1.0
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(0.0, 1.07 * max(y.max(), 1.0))


def _names(ax: Axes, rows: pd.DataFrame, named: np.ndarray[Any, Any]) -> None:
    x, y = rows["estimate"].to_numpy(), -rows["log10_p_value"].to_numpy()
    label_points(ax, x[named], y[named], [str(gene) for gene in rows["gene"].iloc[named]], np.column_stack([x, y]))


def _named(rows: pd.DataFrame, known: pd.DataFrame, label: int | Sequence[str]) -> np.ndarray[Any, Any]:
    """Positions of the rows to name, those with the smallest p first."""
    order = np.argsort(rows["log10_p_value"].to_numpy(), kind="stable")
    if isinstance(label, (int, np.integer)):
        return order[: max(int(label), 0)]
    wanted = [label] if isinstance(label, str) else list(label)
    genes = set(known["gene"])
    for gene in wanted:
        if gene not in genes:
            missing("gene", gene, known["gene"].unique(), "label")
    return order[rows["gene"].isin(wanted).to_numpy()[order]]


def _check_fdr(fdr: float) -> None:
    if not 0.0 < fdr <= 1.0:
        message = f"expected a rate above 0 and not above 1, found {fdr}"
        raise BadInputError(message, place="fdr")

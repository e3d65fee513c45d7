"""Shares of cell types in samples, and how groups of samples differ in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._keys import Style
from ..errors import BadInputError
from ._colours import category_colours, level_colours
from ._style import INK, PALETTE, axes, styled, tidy
from ._tables import missing
from ._words import legend, legend_width, room, shown

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd
    from matplotlib.axes import Axes

_KINDS = ("bar", "pie", "donut")


@styled
def proportion(
    data: ad.AnnData | pd.DataFrame,
    major: str | None = None,
    minor: str | None = None,
    *,
    kind: Literal["bar", "pie", "donut"] = "bar",
    normalize: bool = True,
    palette: Any = None,
    style: Style = "scanpy",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how cells of each sample (or condition, or cluster) divide into types.

    Parameters
    ----------
    data
        Cells × genes; or the table of :func:`ferrocyte.tl.proportion`, whose rows are drawn.
    major, minor
        Columns of obs: each level of `major` is a bar or a circle, divided by the levels of `minor`. Not for a table.
    kind
        ``"bar"``: stacked bars; ``"pie"`` or ``"donut"``: a circle each, side by side.
    normalize
        Whether bars are shares, or numbers of cells.
    palette
        Colours of types, as in :func:`embedding`; by default those in uns.
    style
        The dialect under which new colours are kept in uns.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The numbers are those of :func:`ferrocyte.tl.proportion`; the number of cells stands at each bar or circle.

    Raises
    ------
    MissingKeyError
        Where there is no such column.
    BadInputError
        Where there is no cell, or a table holds what are no shares.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> ax = fe.pl.proportion(small_study(), "condition", "cell_type")
    >>> [round(bar.get_height()) for bar in ax.patches]
    [33, 33, 67, 67]
    """
    if kind not in _KINDS:
        message = f"there is no choice `{kind}`"
        raise BadInputError(message, place="kind", hint=f"it is one of {', '.join(f'`{one}`' for one in _KINDS)}")
    table, sizes = _table(data, major, minor, counts=kind == "bar" and not normalize)
    types = [str(name) for name in table.columns]
    colours = _colours(data, minor, types, palette, style)
    if kind == "bar":
        ax = _bars(ax, table, sizes, types, colours, normalize=normalize)
    else:
        ax = _circles(ax, table, sizes, types, colours, hole=0.55 if kind == "donut" else 0.0)
    if title:
        ax.set_title(shown(title))
    legend(ax, types, colours, title=str(table.columns.name or ""))
    return ax


def _table(data: Any, major: str | None, minor: str | None, *, counts: bool) -> tuple[pd.DataFrame, list[int] | None]:
    """Shares (or counts) of types in rows, and how many cells stand behind each row if that is known."""
    if hasattr(data, "columns"):
        table, sizes = data, data.attrs.get("n_cells")
        numbers = table.to_numpy(dtype=float)
        if table.size == 0 or not np.isfinite(numbers).all() or (numbers < 0.0).any():
            message = "expected shares or numbers of cells, found an empty table, missing or negative values"
            raise BadInputError(message, place="data")
        if counts:
            return table, None
        totals = numbers.sum(axis=1, keepdims=True)
        if sizes is None and (numbers == np.round(numbers)).all() and totals.max() > 1.0:
            sizes = dict(zip(table.index, totals[:, 0].astype(int), strict=True))
        shares = numbers / np.where(totals > 0.0, totals, 1.0)
        made = table.__class__(shares, index=table.index, columns=table.columns)
        return made, None if sizes is None else [int(sizes[name]) for name in table.index]
    if major is None or minor is None:
        message = "which columns of obs?"
        raise BadInputError(message, place="major", hint='proportion(adata, "sample", "cell_type")')
    from ..tl import proportion as count

    table = count(data, major, minor, "none" if counts else "major")
    if table.size == 0:
        message = f"no cell has both a `{major}` and a `{minor}`"
        raise BadInputError(message, place="obs")
    return table, [int(table.attrs["n_cells"][name]) for name in table.index]


def _colours(data: Any, minor: str | None, types: list[str], palette: Any, style: str) -> list[str]:
    if minor is None or hasattr(data, "columns"):
        if palette is None:
            return category_colours(len(types))
        from ._colours import _of_palette

        return _of_palette(palette, types)
    every = [str(level) for level in data.obs[minor].cat.categories]
    colour_of = level_colours(data, minor, every, palette=palette, style=style)
    return [colour_of[name] for name in types]


def _bars(
    ax: Axes | None,
    table: pd.DataFrame,
    sizes: list[int] | None,
    types: list[str],
    colours: list[str],
    *,
    normalize: bool,
) -> Axes:
    n = len(table)
    ax = axes(ax, (1.2 + 0.36 * max(n, 4) + legend_width(types), 2.7 + room(table.index)))
    numbers = table.to_numpy(dtype=float) * (100.0 if normalize else 1.0)
    bottom = np.zeros(n)
    for j, colour in enumerate(colours):
        ax.bar(range(n), numbers[:, j], bottom=bottom, width=0.8, color=colour, linewidth=0.3, edgecolor="white")
        bottom = bottom + numbers[:, j]
    names = [shown(name) for name in table.index]
    ax.set_xticks(
        range(n), names, rotation=90 if n > 3 or max(map(len, names)) > 8 else 0, fontsize=7.5 if n <= 60 else 5
    )
    ax.set_xlim(-0.6, n - 0.4)
    if normalize:
        ax.set_ylim(0.0, 100.0)
    tidy(ax, title=None, xlabel=shown(table.index.name or ""), ylabel="share of cells (%)" if normalize else "cells")
    if sizes is not None and n <= 40:
        for i, size in enumerate(sizes):
            ax.annotate(
                f"{size:,}", (i, bottom[i]), xytext=(0.0, 3.0), textcoords="offset points", ha="center", va="bottom",
                fontsize=6.0, rotation=90 if n > 6 else 0, color="#666666", annotation_clip=False,
            )  # fmt: skip
    return ax


def _circles(
    ax: Axes | None, table: pd.DataFrame, sizes: list[int] | None, types: list[str], colours: list[str], *, hole: float
) -> Axes:
    n = len(table)
    columns = min(n, 6)
    rows = -(-n // columns)
    ax = axes(ax, (1.5 * columns + 0.4 + legend_width(types), 1.75 * rows + 0.3))
    for i, shares in enumerate(table.to_numpy(dtype=float)):
        x, y = 2.5 * (i % columns), -2.9 * (i // columns)
        if shares.sum() > 0.0:
            ax.pie(
                shares, center=(x, y), radius=1.0, colors=colours, startangle=90, counterclock=False,
                wedgeprops={"width": 1.0 - hole, "edgecolor": "white", "linewidth": 0.4},
            )  # fmt: skip
        words = shown(table.index[i]) + ("" if sizes is None else f"\n{sizes[i]:,} cells")
        ax.text(x, y - 1.12, words, ha="center", va="top", fontsize=7.5, color=INK)
    ax.set_xlim(-1.25, 2.5 * (columns - 1) + 1.25)
    ax.set_ylim(-2.9 * (rows - 1) - 1.85, 1.15)
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


@styled
def composition(
    table: pd.DataFrame,
    *,
    fdr: float = 0.05,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean share of each cell type in each group of samples; a star marks types that differ.

    Parameters
    ----------
    table
        Of :func:`ferrocyte.tl.composition`.
    fdr
        False discovery rate below which a type is marked.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Types on the y axis, the least p-value on top; shares on a logarithmic x axis, with q at the right.

    Raises
    ------
    MissingKeyError
        Where the table is another.

    Examples
    --------
    >>> import ferrocyte as fe, pandas as pd
    >>> counts = {"B": [20, 25, 22, 60, 70, 55], "T": [80, 75, 70, 40, 45, 50], "NK": [9, 8, 12, 9, 11, 10]}
    >>> found = fe.tl.composition(pd.DataFrame(counts), ["ctrl"] * 3 + ["stim"] * 3)
    >>> ax = fe.pl.composition(found)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['ctrl', 'stim']
    """
    for name in ("type", "p", "q"):
        if not hasattr(table, "columns") or name not in table.columns:
            missing("column", name, getattr(table, "columns", []), "table")
    groups = _groups(table)
    rows = table.sort_values("p", kind="stable", na_position="last").reset_index(drop=True)
    ax = axes(ax, (3.6 + room(rows["type"]) + legend_width([name for _, name in groups]), 1.2 + 0.24 * len(rows)))
    places = np.arange(len(rows))
    shares = 100.0 * rows[[column for column, _ in groups]].to_numpy(dtype=float)
    positive = shares[shares > 0.0]
    floor = 0.5 * float(positive.min()) if len(positive) else 0.01
    at = np.maximum(shares, floor)
    ax.hlines(places, at.min(axis=1), at.max(axis=1), color="#BDBDBD", lw=1.4, zorder=1)
    colours = category_colours(len(groups)) if len(groups) > len(PALETTE) else list(PALETTE[: len(groups)])
    for j, colour in enumerate(colours):
        ax.scatter(at[:, j], places, s=30, color=colour, zorder=2 + j, linewidths=0)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks(places, [shown(name) for name in rows["type"]])
    for i, q in enumerate(rows["q"].to_numpy(dtype=float)):
        words = "q = n/a" if np.isnan(q) else f"q = {q:.2g}"
        ax.annotate(
            f"{words} *" if q < fdr else words,
            (1.0, i),
            xycoords=ax.get_yaxis_transform(),
            xytext=(6.0, 0.0),
            textcoords="offset points",
            va="center",
            fontsize=7.0,
            fontweight="bold" if q < fdr else "normal",
            color=INK if q < fdr else "#8A8A8A",
            annotation_clip=False,
        )
    legend(ax, [name for _, name in groups], colours, beside=1.24)
    note = f"* FDR < {100 * fdr:g} %"
    return tidy(
        ax, title=None if title is None else shown(title), xlabel="mean share of cells (%)", ylabel="", note=note
    )


def _groups(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Columns with mean shares, and the groups that they are of."""
    found = [str(name) for name in table.columns if str(name).startswith("mean_")]
    if not found:
        missing("column", "mean_", table.columns, "table")
    return [(name, name.removeprefix("mean_")) for name in found]

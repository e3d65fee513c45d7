"""Before clusters: quality of cells, variable genes, how many components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._annotated import target
from .._keys import DIALECTS, Style
from .._obs import require
from ..errors import BadInputError, MissingKeyError
from . import _density
from ._colours import MISSING, category_colours, level_colours, with_lower
from ._embedding import categories_of, is_categories
from ._labels import label_points, lay_out
from ._style import DOWN, FAINT, INK, MANY, UP, axes, styled, tidy
from ._words import legend, legend_width, room, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: More points than this are drawn as pixels in vector files.
_MANY = 50_000

#: What is measured of cells: columns in scanpy's words and in exprmat's, and words for an axis.
_MEASURES = (
    (("n_genes_by_counts", "n.genes"), "genes per cell"),
    (("total_counts", "n.umi"), "counts per cell"),
    (("pct_counts_mt", "pct.mito"), "mitochondrial"),
    (("pct_counts_ribo", "pct.ribo"), "ribosomal"),
    (("doublet_score", "score.doublet"), "doublet score"),
)


@styled
def qc(
    adata: ad.AnnData,
    keys: str | Sequence[str] | None = None,
    *,
    groupby: str | None = None,
    limits: Mapping[str, tuple[float | None, float | None]] | None = None,
    scatter: bool = True,
    style: Style = "scanpy",
    title: str | None = None,
) -> Figure:
    """Draw the quality of cells: a violin for each measure, and counts against genes.

    Parameters
    ----------
    adata
        Cells × genes, with the columns of :func:`ferrocyte.pp.calculate_qc_metrics`, in either dialect.
    keys
        Columns of obs; ``None``: those measures that are there.
    groupby
        A column of obs: a violin for each of its levels, such as samples.
    limits
        Bounds of columns, drawn as lines: ``{"n_genes_by_counts": (300, None)}``. The share of cells beyond is told.
    scatter
        Whether counts are drawn against genes, coloured by the mitochondrial share if that is known.
    style
        The dialect under which new colours of groups are kept in uns.
    title
        The title.

    Returns
    -------
    matplotlib.figure.Figure
        An axes for each measure, in their order, and the one of counts against genes.

    Raises
    ------
    MissingKeyError
        Where there is no such column, or no measure.
    BadInputError
        Where a column holds no numbers.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> fe.pp.calculate_qc_metrics(cells, percent_top=None, inplace=True)
    >>> [ax.get_ylabel() for ax in fe.pl.qc(cells).axes]
    ['genes per cell', 'counts per cell', 'genes']
    """
    from matplotlib import pyplot as plt

    adata = target(adata)
    wanted = _measures(adata) if keys is None else [keys] if isinstance(keys, str) else [str(key) for key in keys]
    if not wanted:
        message = "there are no measures of quality"
        raise MissingKeyError(message, place="obs", hint="call fe.pp.calculate_qc_metrics(adata, inplace=True)")
    for name in limits or {}:
        if name not in wanted:
            message = f"there is no measure `{name}` on the figure"
            hint = f"there are {', '.join(f'`{key}`' for key in wanted)}"
            raise MissingKeyError(message, place="limits", hint=hint)
    counts, genes = _column(adata, 1), _column(adata, 0)
    with_scatter = scatter and counts is not None and genes is not None
    levels = [""] if groupby is None else categories_of(require(adata.obs, groupby))[0]
    wide = 1.9 + 0.32 * (len(levels) - 1)
    widths = [wide] * len(wanted) + ([3.6] if with_scatter else [])
    figure, panels = plt.subplots(
        1,
        len(widths),
        figsize=(sum(widths), 2.9 + room(levels)),
        width_ratios=widths,
        layout="constrained",
        squeeze=False,
    )
    try:
        for ax, name in zip(panels[0], wanted, strict=False):
            qc_violin(adata, name, groupby=groupby, limits=(limits or {}).get(name), style=style, ax=ax)
        if counts is not None and genes is not None and with_scatter:
            qc_scatter(adata, counts, genes, color=_column(adata, 2), ax=panels[0, -1])
    except Exception:
        plt.close(figure)
        raise
    if title:
        figure.suptitle(shown(title), fontsize=11)
    return figure


@styled
def qc_violin(
    adata: ad.AnnData,
    key: str,
    *,
    groupby: str | None = None,
    limits: tuple[float | None, float | None] | None = None,
    style: Style = "scanpy",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of one measure over cells: a violin per group, its median and quartiles, some cells beside.

    Parameters
    ----------
    adata
        Cells × genes.
    key
        A column of obs that holds numbers.
    groupby
        A column of obs: a violin for each of its levels.
    limits
        Lower and upper bound, drawn as lines; either may be ``None``.
    style
        The dialect under which new colours of groups are kept in uns.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        At most 2,000 cells are drawn as points, the same ones each time.

    Raises
    ------
    MissingKeyError
        Where there is no such column.
    BadInputError
        Where it holds no numbers.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> ax = fe.pl.qc_violin(small_study(), "age", groupby="condition")
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['ctrl', 'stim']
    """
    adata = target(adata)
    values = _numbers(adata, key)
    levels, codes, colours = _groups(adata, groupby, style)
    ax = axes(ax, (1.6 + 0.4 * len(levels), 2.9 + room(levels)))
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        message = "no cell has a value"
        raise BadInputError(message, place=f"obs column `{key}`")
    rng = np.random.default_rng(0)
    share = min(1.0, MANY / len(values))
    for i, colour in enumerate(colours):
        mine = values[(codes == i) & np.isfinite(values)]
        if len(mine) == 0:
            continue
        drawn = mine[rng.random(len(mine)) < share]
        ax.scatter(
            i + rng.uniform(-0.3, 0.3, len(drawn)), drawn, s=1.5, color=INK, alpha=0.25, linewidths=0, zorder=1,
            rasterized=len(values) > MANY,
        )  # fmt: skip
        found = _density.curve(mine, float(mine.min()), float(mine.max()))
        if found is not None:
            wide = 0.42 * found.density / found.density.max()
            ax.fill_betweenx(found.at, i - wide, i + wide, color=colour, alpha=0.55, lw=0, zorder=2)
        low, middle, high = np.percentile(mine, [25.0, 50.0, 75.0])
        ax.plot([i, i], [low, high], color=INK, lw=2.5, solid_capstyle="butt", zorder=3)
        ax.plot(i, middle, "o", color="white", ms=4.0, mec=INK, mew=0.8, zorder=4)
    note = _bounds(ax, values, limits)
    ax.set_xlim(-0.6, len(levels) - 0.4)
    if groupby is None:
        ax.set_xticks([])
    else:
        ax.set_xticks(range(len(levels)), [shown(level) for level in levels], rotation=90, fontsize=7.0)
    return tidy(ax, title=title or (" " if note else None), xlabel="", ylabel=_words(key), note=note)


def _bounds(ax: Axes, values: Any, limits: tuple[float | None, float | None] | None) -> str:
    """Lines at the bounds, and the share of cells beyond."""
    if limits is None:
        return ""
    low, high = limits
    beyond = np.zeros(len(values), dtype=bool)
    for bound, outside in ((low, np.less), (high, np.greater)):
        if bound is not None:
            ax.axhline(bound, color=UP, lw=0.9, ls="--", zorder=5)
            beyond |= outside(values, bound)
    return f"{100.0 * beyond.mean():.1f} % beyond"


@styled
def qc_scatter(
    adata: ad.AnnData,
    x: str,
    y: str,
    *,
    color: str | None = None,
    cmap: Any = "viridis",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw two measures of cells against each other.

    Parameters
    ----------
    adata
        Cells × genes.
    x, y
        Columns of obs that hold numbers.
    color
        A column of obs: of numbers, whose high ones are drawn on top, or of categories, which are drawn in turn, cell
        by cell, so that none covers another.
    cmap
        The map of colours of numbers.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingKeyError
        Where there is no such column.
    BadInputError
        Where `x` or `y` holds no numbers.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> fe.pp.calculate_qc_metrics(cells, percent_top=None, inplace=True)
    >>> ax = fe.pl.qc_scatter(cells, "total_counts", "n_genes_by_counts")
    >>> ax.get_xlabel()
    'counts'
    """
    from matplotlib.ticker import MaxNLocator

    adata = target(adata)
    across, up = _numbers(adata, x), _numbers(adata, y)
    named = color is not None and is_categories(require(adata.obs, color))
    levels, codes, colours = _groups(adata, color if named else None, "scanpy")
    ax = axes(ax, (4.2 + (legend_width(levels) if named else 0.0), 3.4))
    size = float(np.clip(12_000.0 / max(len(across), 1), 0.5, 10.0))
    look: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": len(across) > _MANY}
    if color is None:
        ax.scatter(across, up, color=DOWN, alpha=0.5, **look)
    elif named:
        turn = np.random.default_rng(0).permutation(len(across))
        ax.scatter(across[turn], up[turn], c=np.array([*colours, MISSING])[codes[turn]], **look)
        legend(ax, levels, colours)
    else:
        shade = _numbers(adata, color)
        order = np.argsort(np.where(np.isnan(shade), -np.inf, shade), kind="stable")
        drawn = ax.scatter(
            across[order], up[order], c=shade[order], cmap=with_lower(cmap, None), plotnonfinite=True, **look
        )
        bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.05, pad=0.02, aspect=16, shrink=0.6)
        bar.set_label(_words(color), fontsize=8)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=7.0, length=2.0)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    return tidy(ax, title=title, xlabel=_words(x).removesuffix(" per cell"), ylabel=_words(y).removesuffix(" per cell"))


def _measures(adata: ad.AnnData) -> list[str]:
    return [name for i in range(len(_MEASURES)) if (name := _column(adata, i)) is not None]


def _column(adata: ad.AnnData, measure: int) -> str | None:
    """The column of a measure, in the dialect that is there."""
    return next((name for name in _MEASURES[measure][0] if name in adata.obs.columns), None)


def _words(key: str) -> str:
    """What a column is called on an axis; shares are percent in scanpy's words, and parts of 1 in exprmat's."""
    for names, words in _MEASURES:
        if key in names:
            unit = {"pct_counts": " counts (%)", "pct.": " counts (share)"}
            return words + next((unit[start] for start in unit if key.startswith(start)), "")
    return shown(key)


def _numbers(adata: ad.AnnData, key: str) -> np.ndarray[Any, Any]:
    series = require(adata.obs, key)
    if is_categories(series):
        message = f"the column holds {series.dtype}, expected numbers"
        raise BadInputError(message, place=f"obs column `{key}`")
    return np.asarray(series.to_numpy(dtype=float, na_value=np.nan))


def _groups(adata: ad.AnnData, groupby: str | None, style: str) -> tuple[list[str], Any, list[str]]:
    """Levels that some cell has, codes of cells into them, and colours."""
    if groupby is None:
        return [""], np.zeros(adata.n_obs, dtype=int), category_colours(1)
    levels, codes = categories_of(require(adata.obs, groupby))
    colour_of = level_colours(adata, groupby, levels, style=style)
    used = [i for i in range(len(levels)) if (codes == i).any()]
    if all(level.isdigit() for level in levels):
        used.sort(key=lambda i: int(levels[i]))
    place = np.full(len(levels) + 1, -1)
    place[used] = np.arange(len(used))
    return [levels[i] for i in used], place[codes], [colour_of[levels[i]] for i in used]


@styled
def highly_variable_genes(
    adata: ad.AnnData | pd.DataFrame,
    *,
    label: int = 10,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the variation of genes against their mean, with those that were chosen in colour.

    Parameters
    ----------
    adata
        Cells × genes with the columns of :func:`ferrocyte.pp.highly_variable_genes` in var, in either dialect; or that
        table.
    label
        How many of the most variable genes are named.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Normalised variances or dispersions against means; genes without are left out.

    Raises
    ------
    MissingKeyError
        Where variable genes have not been found.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=200)
    >>> fe.pp.highly_variable_genes(cells, flavor="seurat_v3", n_top_genes=20)
    >>> ax = fe.pl.highly_variable_genes(cells)
    >>> ax.get_ylabel()
    'normalised variance'
    """
    var = adata if hasattr(adata, "columns") else target(adata).var
    names, words = _variation(var)
    means, spread = (var[name].to_numpy(dtype=float) for name in names[:2])
    chosen = var[names[2]].to_numpy(dtype=bool)
    variances = words.endswith("variance")
    # Dispersions may be negative, and means of logarithms are drawn as they are.
    there = np.isfinite(means) & np.isfinite(spread) & ((means > 0.0) & (spread > 0.0) if variances else True)
    ax = axes(ax, (4.6, 3.5))
    for kept, colour, name, order in ((~chosen, FAINT, "others", 1), (chosen, DOWN, "highly variable", 2)):
        at = there & kept
        ax.scatter(
            means[at], spread[at], s=4, color=colour, linewidths=0, zorder=order, rasterized=int(at.sum()) > MANY,
            label=f"{name} ({int(kept.sum()):,})",
        )  # fmt: skip
    if variances:
        ax.set_xscale("log")
        ax.set_yscale("log")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=2.5, handletextpad=0.1, borderpad=0.0)
    tidy(ax, title=title, xlabel="mean", ylabel=words)
    first = np.flatnonzero(there & chosen)
    first = first[np.argsort(-spread[first], kind="stable")][:label]
    if len(first):
        lay_out(ax)
        points = np.column_stack([means[there], spread[there]])
        label_points(ax, list(means[first]), list(spread[first]), [shown(var.index[i]) for i in first], points)
    return ax


def _variation(var: pd.DataFrame) -> tuple[tuple[str, str, str], str]:
    """Columns of means, variation and choice, and what the variation is called."""
    for dialect in DIALECTS.values():
        for measure, words in (
            ("variances_norm", "normalised variance"),
            ("dispersions_norm", "normalised dispersion"),
        ):
            names = tuple(dialect.hvg[part] for part in ("means", measure, "highly_variable"))
            if all(name in var.columns for name in names):
                return (names[0], names[1], names[2]), words
    message = "there are no highly variable genes"
    raise MissingKeyError(message, place="var", hint="call fe.pp.highly_variable_genes first")


@styled
def elbow(
    adata: ad.AnnData | Sequence[float],
    *,
    key: str = "pca",
    n_comps: int | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of the variance that each principal component accounts for.

    Parameters
    ----------
    adata
        Cells × genes with principal components, in either dialect; or the shares themselves.
    key
        Where the components are described in uns.
    n_comps
        How many are drawn; by default all.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Components, counted from 1, on the x axis; the sum of the shares that are drawn stands below the title.

    Raises
    ------
    MissingKeyError
        Where there are no principal components.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> fe.pp.pca(cells, n_comps=10)
    >>> len(fe.pl.elbow(cells).lines[0].get_xdata())
    10
    """
    from matplotlib.ticker import MaxNLocator

    shares = 100.0 * _shares(adata, key)[:n_comps]
    ax = axes(ax, (4.2, 3.2))
    places = np.arange(1, len(shares) + 1)
    ax.plot(places, shares, "o-", color=DOWN, ms=3.5, lw=0.8)
    ax.set_ylim(bottom=0.0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    note = f"{len(shares)} components account for {shares.sum():.1f} % of the variance"
    return tidy(ax, title=title or " ", xlabel="principal component", ylabel="share of variance (%)", note=note)


def _shares(adata: Any, key: str) -> np.ndarray[Any, Any]:
    if not hasattr(adata, "uns"):
        shares = np.asarray(adata, dtype=float)
        if shares.ndim != 1 or len(shares) == 0 or not np.isfinite(shares).all():
            message = f"expected the shares of components, found an array of shape {shares.shape}"
            raise BadInputError(message, place="adata")
        return shares
    held = adata.uns.get(key)
    for dialect in DIALECTS.values():
        if held is not None and dialect.variance_ratio in held:
            return np.asarray(held[dialect.variance_ratio], dtype=float)
    message = f"there are no principal components `{key}`"
    raise MissingKeyError(message, place="uns", hint="call fe.pp.pca first")

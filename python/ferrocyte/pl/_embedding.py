"""Cells in two dimensions, coloured by what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from .._annotated import close_to, natural, target
from .._features import feature
from .._keys import DIALECTS, Style
from ..errors import BadInputError, MissingKeyError
from . import _density
from ._colours import FALSE, MISSING, TRUE, level_colours, with_lower
from ._style import INK, axes, styled, tidy
from ._words import legend, legend_width, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS = ("legend", "data", "index", "none")
_CONTOURS = (True, False, "groups")

#: More points than this are drawn as pixels in vector files.
_MANY = 50_000


class Points(NamedTuple):
    """Where cells are, and what the axes are called."""

    x: np.ndarray[Any, Any]
    y: np.ndarray[Any, Any]
    words: tuple[str, str]


@dataclass
class Look:
    """How points are drawn: see :func:`embedding`."""

    labels: str = "legend"
    palette: Any = None
    cmap: Any = "viridis"
    cmap_lower: Any = None
    vmin: float | str | None = None
    vmax: float | str | None = None
    sort: bool = True
    contours: bool | str = False
    size: float | None = None
    alpha: float = 1.0
    style: str = "scanpy"


@styled
def embedding(
    adata: ad.AnnData,
    basis: str = "umap",
    *,
    color: str | None = None,
    layer: str | None = None,
    use_raw: bool | None = None,
    gene_symbols: str | None = None,
    dims: tuple[int, int] = (1, 2),
    labels: Literal["legend", "data", "index", "none"] = "legend",
    palette: str | Sequence[Any] | Mapping[str, Any] | None = None,
    cmap: Any = "viridis",
    cmap_lower: Any = None,
    vmin: float | str | None = None,
    vmax: float | str | None = None,
    sort: bool = True,
    contours: bool | Literal["groups"] = False,
    size: float | None = None,
    alpha: float = 1.0,
    title: str | None = None,
    style: Style = "scanpy",
    ax: Axes | None = None,
) -> Axes:
    """Draw cells where an embedding puts them, coloured by a column of obs or a gene.

    Parameters
    ----------
    adata
        Cells × genes, with an embedding.
    basis
        ``"umap"``, ``"pca"``, ``"harmony"`` in either dialect, or a key of obsm.
    color
        A column of obs, or a gene by name or symbol; ``None`` draws all cells alike.
    layer, use_raw
        The matrix of the gene: X, a layer, or that of raw (``None``: if there is one and no layer is named).
    gene_symbols
        The column of var with the symbols; ``None``: names of genes, then the usual columns of symbols.
    dims
        Which dimensions, counted from 1.
    labels
        What names categories: a ``"legend"``; their names on the ``"data"``, at the mean position of each; an
        ``"index"`` from 1 there, explained by a legend; or ``"none"``.
    palette
        Colours of categories: a list, a mapping of levels, or the name of a map of matplotlib. By default those in uns,
        else those of the house, as many as are needed.
    cmap, cmap_lower
        The map of numbers, and a colour for the lowest 2 % of it, such as ``"#E0E0E0"``, so that zeros recede.
    vmin, vmax
        Numbers beyond are drawn as these; ``"p99"`` is a percentile.
    sort
        Whether high numbers are drawn over low ones.
    contours
        Whether lines show how dense cells lie: of all cells, or of each category (``"groups"``). The kernel is normal,
        half as wide as Scott's rule has it; there are 10 levels, with equal shares of the cells between them.
    size
        The area of a point, in square typographic points.
    alpha
        How opaque points are.
    title
        By default `color`.
    style
        The dialect under which new colours of categories are kept in uns.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Points without value are grey, below all others; more than 50,000 are drawn as pixels.

    Raises
    ------
    MissingKeyError
        Where there is no such embedding, column or gene; names that are like it are listed.
    BadInputError
        Where several genes have the symbol, or options are out of range.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> cells.obsm["X_umap"] = np.random.default_rng(0).normal(size=(240, 2))
    >>> ax = fe.pl.embedding(cells, "umap", color="cell_type")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['B', 'T']
    """
    look = Look(labels, palette, cmap, cmap_lower, vmin, vmax, sort, contours, size, alpha, style)
    _check(look)
    adata = target(adata)
    points = points_of(adata, basis, dims)
    values = None
    if color is not None:
        values = feature(adata, color, layer=layer, use_raw=use_raw, symbols=gene_symbols, place="color")
    if values is not None and is_categories(values):
        levels, codes = categories_of(values)
        width = legend_width(levels) if labels in ("legend", "index") else 0.0
        ax = axes(ax, (3.9 + width, 3.7))
        _draw_categories(ax, adata, str(color), points, levels, codes, look)
    elif values is not None:
        ax = axes(ax, (4.6, 3.7))
        scatter_numbers(ax, points, np.asarray(values.to_numpy(dtype=float, na_value=np.nan)), look)
    else:
        ax = axes(ax, (3.9, 3.7))
        _scatter(ax, points, np.arange(len(points.x)), look, color="#8FA3B5")
    if contours is True:
        _contours(ax, points.x, points.y, INK)
    tidy(ax, title=shown(color or "") if title is None else title, xlabel=points.words[0], ylabel=points.words[1])
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


@styled
def embeddings(
    adata: ad.AnnData,
    features: str | Sequence[str],
    *,
    basis: str = "umap",
    ncols: int = 4,
    title: str | None = None,
    **keywords: Any,
) -> Figure:
    """Draw an embedding once for each of several columns of obs or genes.

    Parameters
    ----------
    adata
        Cells × genes, with an embedding.
    features
        Columns of obs, and genes by name or symbol.
    basis
        The embedding.
    ncols
        How many stand in a row.
    title
        The title of all.
    **keywords
        Of :func:`embedding`.

    Returns
    -------
    matplotlib.figure.Figure
        An axes for each feature, in their order.

    Raises
    ------
    MissingKeyError
        Where there is no such embedding, column or gene; names that are like it are listed.
    BadInputError
        Where several genes have a symbol, or there is no feature.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> cells.obsm["X_umap"] = np.random.default_rng(0).normal(size=(240, 2))
    >>> figure = fe.pl.embeddings(cells, ["cell_type", "gene1", "gene2"], ncols=2)
    >>> [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    ['cell_type', 'gene1', 'gene2']
    """
    from matplotlib import pyplot as plt

    wanted = [features] if isinstance(features, str) else [str(name) for name in features]
    if not wanted:
        message = "there is nothing to colour cells by"
        raise BadInputError(message, place="features")
    if ncols < 1:
        message = f"expected at least one column, found {ncols}"
        raise BadInputError(message, place="ncols")
    for name in ("color", "ax"):
        if name in keywords:
            message = "each panel has its own"
            raise BadInputError(message, place=name, hint="fe.pl.embedding draws one panel")
    ncols = min(ncols, len(wanted))
    rows = -(-len(wanted) // ncols)
    wide = max(_width_of(adata, name, keywords.get("labels", "legend")) for name in wanted)
    figure, panels = plt.subplots(
        rows, ncols, figsize=(ncols * (2.7 + wide), 2.7 * rows), layout="constrained", squeeze=False
    )
    try:
        for ax, name in zip(panels.flat, wanted, strict=False):
            embedding(adata, basis, color=name, ax=ax, **keywords)
    except Exception:
        plt.close(figure)
        raise
    for ax in list(panels.flat)[len(wanted) :]:
        ax.remove()
    if title:
        figure.suptitle(shown(title), fontsize=11)
    return figure


def _width_of(adata: ad.AnnData, name: str, labels: str) -> float:
    """What explains the colours of a panel takes so many inches."""
    if name in getattr(adata, "obs", {}) and is_categories(adata.obs[name]):
        return legend_width(categories_of(adata.obs[name])[0]) if labels in ("legend", "index") else 0.0
    return 0.5


def _check(look: Look) -> None:
    for place, value, choices in (("labels", look.labels, _LABELS), ("contours", look.contours, _CONTOURS)):
        if not any(value is one or (isinstance(one, str) and value == one) for one in choices):
            message = f"there is no choice `{value}`"
            raise BadInputError(message, place=place, hint=f"it is one of {', '.join(f'`{one}`' for one in choices)}")


def points_of(adata: ad.AnnData, basis: str, dims: tuple[int, int]) -> Points:
    """Two columns of an embedding, by its key in either dialect."""
    names = [basis, f"X_{basis}"]
    for dialect in DIALECTS.values():
        names += [place for word, place in _bases(dialect) if word == basis]
    key = next((name for name in dict.fromkeys(names) if name in adata.obsm), None)
    if key is None:
        message = f"there is no embedding `{basis}`"
        raise MissingKeyError(message, place="obsm", hint=close_to(basis, [str(name) for name in adata.obsm]))
    values = adata.obsm[key]
    coordinates = np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=float)
    if len(dims) != 2 or min(dims) < 1 or max(dims) > coordinates.shape[1]:
        message = f"there are no dimensions {dims} of `{key}`, which has {coordinates.shape[1]}"
        raise BadInputError(message, place="dims", hint="two numbers, counted from 1")
    if adata.n_obs == 0:
        message = "there is no cell to draw"
        raise BadInputError(message, place="obs")
    x, y = (coordinates[:, d - 1] for d in dims)
    if not (np.isfinite(x) & np.isfinite(y)).any():
        message = "no cell has coordinates"
        raise BadInputError(message, place=f"obsm `{key}`")
    word = key.removeprefix("X_")
    short = {"pca": "PC", "umap": "UMAP", "tsne": "tSNE"}.get(word, f"{shown(word)} ")
    return Points(x, y, (f"{short}{dims[0]}", f"{short}{dims[1]}"))


def _bases(dialect: Any) -> list[tuple[str, str]]:
    return [("umap", dialect.umap), ("pca", dialect.pca), ("harmony", dialect.harmony)]


def is_categories(values: pd.Series[Any]) -> bool:
    """Whether a column is drawn as categories: whatever holds no numbers."""
    import pandas as pd

    return bool(pd.api.types.is_bool_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype))


def categories_of(values: pd.Series[Any]) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Levels and codes (-1 where there is none); texts in an order in which numbers count as numbers."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(values.dtype):
        codes = np.where(values.isna(), -1, values.fillna(value=False).astype(int))
        return ["False", "True"], codes.astype(int)
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [str(level) for level in values.cat.categories], np.asarray(values.cat.codes, dtype=int)
    texts = values.astype(object).where(values.notna(), None)
    present = [str(text) for text in texts if text is not None]
    levels = natural(set(present))
    place = {level: i for i, level in enumerate(levels)}
    return levels, np.array([-1 if text is None else place[str(text)] for text in texts], dtype=int)


def _draw_categories(
    ax: Axes, adata: ad.AnnData, key: str, points: Points, levels: list[str], codes: Any, look: Look
) -> None:
    if levels == ["False", "True"] and look.palette is None:
        colour_of = {"False": FALSE, "True": TRUE}
    else:
        colour_of = level_colours(adata, key, levels, palette=look.palette, style=look.style)
    lut = np.asarray([*(colour_of[level] for level in levels), MISSING], dtype=object)
    there = np.isfinite(points.x) & np.isfinite(points.y)
    # No category lies over another: cells are drawn in an order drawn at random, those without label first.
    order = np.random.default_rng(0).permutation(np.flatnonzero(there))
    if levels == ["False", "True"]:
        order = order[np.argsort(codes[order], kind="stable")]
    order = np.concatenate([order[codes[order] < 0], order[codes[order] >= 0]])
    _scatter(ax, points, order, look, c=list(lut[codes[order]]))
    used = [i for i in range(len(levels)) if ((codes == i) & there).any()]
    if all(level.isdigit() for level in levels):
        used.sort(key=lambda i: int(levels[i]))
    if look.contours == "groups":
        for i in used:
            mine = (codes == i) & there
            _contours(ax, points.x[mine], points.y[mine], colour_of[levels[i]])
    names, colours = [levels[i] for i in used], [colour_of[levels[i]] for i in used]
    if look.labels in ("data", "index"):
        words = names if look.labels == "data" else [str(i + 1) for i in range(len(names))]
        for word, i in zip(words, used, strict=True):
            mine = (codes == i) & there
            _label(ax, float(points.x[mine].mean()), float(points.y[mine].mean()), shown(word))
    if look.labels == "index":
        names = [f"{i + 1} {name}" for i, name in enumerate(names)]
    if look.labels in ("legend", "index"):
        if ((codes < 0) & there).any():
            names, colours = [*names, "no value"], [*colours, MISSING]
        legend(ax, names, colours)


def _label(ax: Axes, x: float, y: float, word: str) -> None:
    from matplotlib.patheffects import withStroke

    ax.text(
        x, y, word, ha="center", va="center", fontsize=8.0, fontweight="bold", color=INK, zorder=6,
        path_effects=[withStroke(linewidth=2.2, foreground="white", alpha=0.9)],
    )  # fmt: skip


def scatter_numbers(ax: Axes, points: Points, values: Any, look: Look) -> None:
    """Cells coloured by a number each, with the scale beside the axes."""
    there = np.isfinite(points.x) & np.isfinite(points.y)
    low, high = (_limit(values[there], bound, end) for bound, end in ((look.vmin, np.min), (look.vmax, np.max)))
    if low > high:
        message = f"vmin is {low:g} and vmax {high:g}"
        raise BadInputError(message, place="vmin", hint="vmin is below vmax")
    known = there & ~np.isnan(values)
    order = np.flatnonzero(known)
    if look.sort:
        order = order[np.argsort(values[order], kind="stable")]
    missing = np.flatnonzero(there & ~known)
    if len(missing):
        _scatter(ax, points, missing, look, color=MISSING)
    # Values that are all the same need a range to be drawn in.
    drawn = _scatter(
        ax, points, order, look, c=values[order], cmap=with_lower(look.cmap, look.cmap_lower), vmin=low,
        vmax=high if high > low else low + 1.0,
    )  # fmt: skip
    bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.045, pad=0.02, aspect=16, shrink=0.5, anchor=(0.0, 1.0))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, length=2.0)
    if bar.solids is not None:
        bar.solids.set(alpha=1.0)


def _limit(values: Any, bound: float | str | None, end: Any) -> float:
    """An end of the scale: given, a percentile, or that of the values."""
    finite = values[np.isfinite(values)]
    if isinstance(bound, str):
        try:
            share = float(bound.removeprefix("p"))
            inside = bound.startswith("p") and 0.0 <= share <= 100.0
        except ValueError:
            inside = False
        if not inside:
            message = f"`{bound}` is neither a number nor a percentile"
            raise BadInputError(message, place="vmin" if end is np.min else "vmax", hint="such as `p99`")
        return float(np.percentile(finite, share)) if len(finite) else 0.0
    if bound is not None:
        return float(bound)
    return float(end(finite)) if len(finite) else 0.0


def _scatter(ax: Axes, points: Points, order: Any, look: Look, **colours: Any) -> Any:
    n = len(points.x)
    size = float(np.clip(30_000.0 / n, 0.4, 24.0)) if look.size is None else look.size
    return ax.scatter(
        points.x[order], points.y[order], s=size, linewidths=0, alpha=look.alpha, rasterized=n > _MANY, **colours
    )


def _contours(ax: Axes, x: Any, y: Any, colour: Any) -> None:
    found = _density.grid(np.asarray(x), np.asarray(y))
    if found is not None:
        lines = _density.levels(found)
        ax.contour(found.x, found.y, found.density, levels=lines, colors=[colour], linewidths=0.6, alpha=0.8)

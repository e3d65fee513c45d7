"""Cells where they lie in tissues, and shares of ecotypes over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._annotated import close_to, natural, target
from .._features import feature
from ..errors import BadInputError, MissingKeyError
from ._colours import MISSING, _kept, category_colours, level_colours, with_lower
from ._embedding import categories_of, is_categories
from ._style import FAINT, INK, MANY, axes, styled
from ._words import legend, legend_width, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The longer side of a panel, in inches: alone, and among others.
_ALONE, _AMONG = 4.2, 2.9

#: The share of its place that a cell covers.
_COVERED = 0.45


@dataclass
class _Look:
    """How cells are drawn."""

    palette: Any
    cmap: Any
    vmin: float | None
    vmax: float | None
    size: float | None
    unit: str
    invert_y: bool


@dataclass
class _Paint:
    """What cells are coloured by: categories (levels, codes, colours) or numbers (values, limits)."""

    name: str
    levels: list[str]
    codes: np.ndarray[Any, Any]
    colours: list[str]
    values: np.ndarray[Any, Any] | None
    limits: tuple[float, float]


def is_none(label: str) -> bool:
    """Whether a label says that a cell belongs to no ecotype."""
    return label.lower() == "nonse"


def ecotype_colours(names: Sequence[str], palette: Any = None) -> dict[str, str]:
    """A colour for each ecotype, in the order of their names; cells of none are grey."""
    levels = natural({name for name in names if not is_none(name)})
    if palette is None:
        found = dict(zip(levels, category_colours(len(levels)), strict=True))
    elif hasattr(palette, "get"):
        found = {level: palette.get(level, MISSING) for level in levels}
    else:
        listed = list(palette)
        if len(listed) < len(levels):
            message = f"{len(listed)} colours for {len(levels)} ecotypes"
            raise BadInputError(message, place="palette", hint="give a colour for each, or a mapping")
        found = dict(zip(levels, listed, strict=False))
    return {**{name: FAINT for name in names if is_none(name)}, **found}


@styled
def spatial(
    data: Any,
    color: str,
    *,
    layer: str | None = None,
    palette: Mapping[str, Any] | Sequence[Any] | None = None,
    cmap: Any = "viridis",
    vmin: float | None = None,
    vmax: float | None = None,
    size: float | None = None,
    unit: str = "",
    invert_y: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the cells of a tissue where they lie, coloured by type, ecotype, another column or a gene.

    Parameters
    ----------
    data
        An AnnData with ``obsm["spatial"]``, or with columns ``X`` and ``Y``; or a data frame with these columns.
    color
        A column of cells, or a gene.
    layer
        The matrix of the gene.
    palette
        Colours of categories: a mapping or a list. By default those in uns, else those of the house, which are then
        kept there; cells of no ecotype (``NonSE``) are grey.
    cmap, vmin, vmax
        The map of numbers and its limits.
    size
        The area of a point, in square typographic points.
    unit
        The unit of coordinates, for the bar of scale: ``"µm"``.
    invert_y
        Whether y grows downwards, as rows of an image do.
    title
        By default `color`.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Both axes have the same scale, which the bar below tells; more than 2,000 points are drawn as pixels.

    Raises
    ------
    MissingKeyError
        There are no coordinates, or no such column or gene.
    BadInputError
        No cell has coordinates.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.ecotype.simulate(1, samples=1, cells=200, genes=40)
    >>> ax = fe.pl.spatial(cells, "SE", unit="µm")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['SE1', 'SE2', 'SE3', 'SE4', 'nonSE']
    """
    study, places = _study(data)
    look = _Look(palette, cmap, vmin, vmax, size, unit, invert_y)
    paint = _paint(study, str(color), layer, look)
    wide, high = _extent(places, _ALONE)
    ax = axes(ax, (wide + 0.3 + _beside(paint), high + 0.55))
    drawn = _panel(ax, places, paint, np.arange(len(places)), look, (wide, high))
    _explain(ax, paint, drawn)
    ax.set_title(shown(color) if title is None else title, loc="left")
    return ax


@styled
def spatials(
    data: Any,
    colors: str | Sequence[str],
    *,
    sample: str | None = None,
    samples: Sequence[str] | None = None,
    ncols: int = 4,
    layer: str | None = None,
    palette: Mapping[str, Any] | Sequence[Any] | None = None,
    cmap: Any = "viridis",
    vmin: float | None = None,
    vmax: float | None = None,
    size: float | None = None,
    unit: str = "",
    invert_y: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw several tissues, or one for several columns or genes: a panel for each sample and colour.

    Parameters
    ----------
    data, layer, palette, cmap, vmin, vmax, size, unit, invert_y
        As in :func:`spatial`; colours and limits are the same in all samples.
    colors
        Columns of cells, and genes.
    sample
        The column of samples; ``None`` takes all cells for one.
    samples
        Which samples; by default all.
    ncols
        How many panels stand in a row, where there is one colour or one sample; else a row is a colour.
    title
        The title of all.

    Returns
    -------
    matplotlib.figure.Figure
        An axes for each panel.

    Raises
    ------
    MissingKeyError
        There are no coordinates, or no such column, gene or sample.
    BadInputError
        There is nothing to draw.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.ecotype.simulate(1, samples=2, cells=200, genes=40)
    >>> figure = fe.pl.spatials(cells, ["CellType", "SE"], sample="Sample")
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['S1, CellType', 'S2, CellType', 'S1, SE', 'S2, SE']
    """
    from matplotlib import pyplot as plt

    wanted = [colors] if isinstance(colors, str) else [str(name) for name in colors]
    if not wanted or ncols < 1:
        message = (
            "there is nothing to colour cells by" if not wanted else f"expected at least one column, found {ncols}"
        )
        raise BadInputError(message, place="ncols" if wanted else "colors")
    study, places = _study(data)
    look = _Look(palette, cmap, vmin, vmax, size, unit, invert_y)
    paints = [_paint(study, name, layer, look) for name in wanted]
    parts = _samples(study, sample, samples)
    total = len(parts) * len(paints)
    columns = len(parts) if len(parts) > 1 and len(paints) > 1 else min(ncols, total)
    # What explains colours stands once where samples share them, else at each panel.
    explained = {columns - 1} if len(paints) == 1 else set(range(len(parts) - 1, total, len(parts)))
    sizes = [_extent(places[rows], _AMONG) for _, rows in parts]
    wide, high = (max(size[i] for size in sizes) for i in (0, 1))
    rows = -(-total // columns)
    legends = (columns if len(parts) == 1 else 1) * max(map(_beside, paints))
    figure, panels = plt.subplots(
        rows, columns, figsize=(columns * (wide + 0.15) + legends, rows * (high + 0.65)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    flat = list(panels.flat)
    for at, (paint, (name, cells)) in enumerate((paint, part) for paint in paints for part in parts):
        drawn = _panel(flat[at], places[cells], paint, cells, look, _extent(places[cells], _AMONG))
        words = [name] if len(parts) > 1 else []
        words += [paint.name] if len(paints) > 1 or not words else []
        flat[at].set_title(", ".join(map(shown, words)), loc="left")
        if at in explained:
            _explain(flat[at], paint, drawn)
    for ax in flat[total:]:
        ax.remove()
    if title:
        figure.suptitle(shown(title), fontsize=11)
    return figure


@styled
def ecotype_abundance(
    spots: pd.DataFrame,
    *,
    ecotypes: Sequence[str] | None = None,
    ncols: int = 4,
    cmap: Any = "viridis",
    vmax: float | None = None,
    unit: str = "",
    invert_y: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw the share of each ecotype over the squares of a grid.

    Parameters
    ----------
    spots
        What :func:`ferrocyte.ecotype.abundance` or :func:`~ferrocyte.ecotype.smooth_abundance` gives: ``X``, ``Y``, and
        a column for each ecotype. Squares are drawn where their names (``X3_Y5``) put them; others as points.
    ecotypes
        Which; by default all.
    ncols
        How many panels stand in a row.
    cmap, vmax
        The map of shares, from 0 to `vmax` (by default the largest), the same in all panels.
    unit, invert_y
        As in :func:`spatial`.
    title
        The title of all.

    Returns
    -------
    matplotlib.figure.Figure
        An axes for each ecotype, and one for the scale of all.

    Raises
    ------
    MissingKeyError
        There are no coordinates, or no such ecotype.
    BadInputError
        There is no square.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.ecotype.simulate(1, samples=1, cells=400, genes=40)
    >>> figure = fe.pl.ecotype_abundance(fe.ecotype.abundance(cells), ecotypes=["SE1", "SE2"])
    >>> [ax.get_title(loc="left") for ax in figure.axes[:2]]
    ['SE1', 'SE2']
    """
    from matplotlib import pyplot as plt

    known = [str(name) for name in spots.columns if name not in ("X", "Y")]
    if not {"X", "Y"} <= set(spots.columns):
        message = "there are no columns `X` and `Y`"
        raise MissingKeyError(message, place="spots", hint="give what fe.ecotype.abundance gives")
    wanted = sorted(natural(known), key=is_none) if ecotypes is None else [str(name) for name in ecotypes]
    absent = next((name for name in wanted if name not in known), None)
    if absent is not None:
        message = f"there is no ecotype `{absent}`"
        raise MissingKeyError(message, place="ecotypes", hint=close_to(absent, known))
    if not wanted or len(spots) == 0:
        message = "there is no square to draw"
        raise BadInputError(message, place="spots", hint="squares with fewer than `min_cells` cells are left out")
    places = spots[["X", "Y"]].to_numpy(dtype=float)
    wide, high = _extent(places, _AMONG)
    columns = max(1, min(int(ncols), len(wanted)))
    rows = -(-len(wanted) // columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(columns * (wide + 0.15) + 0.8, rows * (high + 0.65)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    most = float(np.nanmax(spots[wanted].to_numpy(dtype=float))) if vmax is None else float(vmax)
    drawn = None
    for ax, name in zip(panels.flat, wanted, strict=False):
        drawn = _squares(ax, spots, name, cmap, most or 1.0)
        _bare(ax, drawn.get_datalim(ax.transData).get_points(), unit, invert_y=invert_y)
        ax.set_title(shown(name), loc="left")
    for ax in list(panels.flat)[len(wanted) :]:
        ax.remove()
    bar = figure.colorbar(drawn, ax=list(panels.flat)[: len(wanted)], fraction=0.03, pad=0.02, aspect=24, shrink=0.7)
    bar.set_label("share of cells", fontsize=8.0)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, length=2.0)
    if title:
        figure.suptitle(shown(title), fontsize=11)
    return figure


def _study(data: Any) -> tuple[ad.AnnData, np.ndarray[Any, Any]]:
    """The cells as an AnnData, and their coordinates; a data frame has columns X and Y."""
    from ..ecotype._inputs import coordinates

    if not hasattr(data, "obsm"):
        if not hasattr(data, "columns"):
            message = f"expected an AnnData or a data frame, found {type(data).__name__}"
            raise BadInputError(message, place="data")
        import anndata as ad

        data = ad.AnnData(obs=data.set_axis([str(i) for i in range(len(data))], axis=0))
    places = np.column_stack(coordinates(data))
    if not np.isfinite(places).all(axis=1).any():
        message = "no cell has coordinates"
        raise BadInputError(message, place="data")
    return target(data), places


def _paint(study: ad.AnnData, name: str, layer: str | None, look: _Look) -> _Paint:
    """What cells are coloured by."""
    values = feature(study, name, layer=layer, use_raw=None, symbols=None, place="color")
    nothing = np.empty(0, dtype=int)
    if not is_categories(values):
        numbers = np.asarray(values.to_numpy(dtype=float, na_value=np.nan))
        finite = numbers[np.isfinite(numbers)]
        low = look.vmin if look.vmin is not None else float(finite.min(initial=0.0))
        high = look.vmax if look.vmax is not None else float(finite.max(initial=low))
        return _Paint(name, [], nothing, [], numbers, (low, high if high > low else low + 1.0))
    levels, codes = categories_of(values)
    palette = look.palette
    if palette is None and any(map(is_none, levels)) and _kept(study, name, len(levels), "scanpy") is None:
        palette = ecotype_colours(levels)
    colour_of = level_colours(study, name, levels, palette=palette)
    return _Paint(name, levels, codes, [colour_of[level] for level in levels], None, (0.0, 0.0))


def _samples(
    study: ad.AnnData, sample: str | None, wanted: Sequence[str] | None
) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Names of samples, and their cells."""
    if sample is None:
        return [("", np.arange(study.n_obs))]
    if sample not in study.obs:
        message = f"there is no column `{sample}`"
        raise MissingKeyError(message, place="sample", hint=close_to(sample, [str(name) for name in study.obs]))
    levels, codes = categories_of(study.obs[sample].astype("category"))
    names = natural(levels) if wanted is None else [str(name) for name in wanted]
    absent = next((name for name in names if name not in levels), None)
    if absent is not None:
        message = f"there is no sample `{absent}`"
        raise MissingKeyError(message, place="samples", hint=close_to(absent, levels))
    return [
        (name, np.flatnonzero(codes == levels.index(name))) for name in names if (codes == levels.index(name)).any()
    ]


def _extent(places: Any, longest: float) -> tuple[float, float]:
    """Width and height of a panel in inches, in the proportions of the tissue, none less than a third."""
    spans = np.maximum(np.nanmax(places, axis=0) - np.nanmin(places, axis=0), 1e-12)
    wide, high = np.clip(spans / spans.max(), 1 / 3, 1.0) * longest
    return float(wide), float(high)


def _beside(paint: _Paint) -> float:
    """What explains the colours takes so many inches."""
    return 0.75 if paint.values is not None else 0.1 + legend_width(paint.levels)


def _panel(ax: Axes, places: Any, paint: _Paint, rows: Any, look: _Look, inches: tuple[float, float]) -> Any:
    """The cells of a tissue; those without a value, and those of no ecotype, lie below the others."""
    there = np.isfinite(places).all(axis=1)
    size = look.size
    if size is None:
        size = float(np.clip(_COVERED * inches[0] * inches[1] * 72.0**2 / max(int(there.sum()), 1), 0.3, 30.0))
    how: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": int(there.sum()) > MANY}
    drawn = None
    if paint.values is None:
        lut = np.asarray([*paint.colours, MISSING], dtype=object)
        last = np.array([is_none(level) for level in paint.levels] + [True])
        codes = paint.codes[rows]
        # No category lies over another: cells are drawn in an order drawn at random.
        order = np.random.default_rng(0).permutation(np.flatnonzero(there))
        order = order[np.argsort(~last[codes[order]], kind="stable")]
        ax.scatter(places[order, 0], places[order, 1], c=list(lut[codes[order]]), **how)
    else:
        values = paint.values[rows]
        known = np.flatnonzero(there & ~np.isnan(values))
        unknown = np.flatnonzero(there & np.isnan(values))
        if len(unknown):
            ax.scatter(places[unknown, 0], places[unknown, 1], color=MISSING, **how)
        known = known[np.argsort(values[known], kind="stable")]
        drawn = ax.scatter(
            places[known, 0], places[known, 1], c=values[known], cmap=with_lower(look.cmap, None),
            vmin=paint.limits[0], vmax=paint.limits[1], **how,
        )  # fmt: skip
    _bare(ax, places[there], look.unit, invert_y=look.invert_y)
    return drawn


def _explain(ax: Axes, paint: _Paint, drawn: Any) -> None:
    """What colours mean, beside a panel: a legend of all levels that any cell has, or a scale."""
    if paint.values is None:
        used = [i for i in range(len(paint.levels)) if (paint.codes == i).any()]
        used.sort(key=lambda i: is_none(paint.levels[i]))
        names, colours = [paint.levels[i] for i in used], [paint.colours[i] for i in used]
        if (paint.codes < 0).any():
            names, colours = [*names, "no value"], [*colours, MISSING]
        legend(ax, names, colours)
        return
    bar = ax.figure.colorbar(drawn, cax=ax.inset_axes((1.03, 0.5, 0.04, 0.5)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, length=2.0)


def _bare(ax: Axes, places: Any, unit: str, *, invert_y: bool) -> None:
    """Axes without marks, of the same scale both ways, and a bar that tells it."""
    low, high = places.min(axis=0), places.max(axis=0)
    margin = 0.02 * max(float((high - low).max()), 1e-12)
    ax.set_xlim(low[0] - margin, high[0] + margin)
    ax.set_ylim(*((high[1] + margin, low[1] - margin) if invert_y else (low[1] - margin, high[1] + margin)))
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    length = _round(0.25 * float(high[0] - low[0] + 2 * margin))
    bar = ax.get_xaxis_transform()
    ax.plot([low[0], low[0] + length], [-0.02, -0.02], transform=bar, color=INK, lw=1.6, clip_on=False,
            solid_capstyle="butt")  # fmt: skip
    words = f"{length:,g} {unit}".strip()
    ax.annotate(
        words, (low[0] + length, -0.02), xycoords=bar, xytext=(4.0, 0.0), textcoords="offset points", ha="left",
        va="center", fontsize=7.5, color=INK, annotation_clip=False,
    )  # fmt: skip


def _round(length: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** np.floor(np.log10(max(length, 1e-12)))
    return float(power * max(step for step in (1.0, 2.0, 5.0) if step * power <= length * (1 + 1e-12)))


def _squares(ax: Axes, spots: pd.DataFrame, name: str, cmap: Any, most: float) -> Any:
    """The squares of a grid by their names, or points where names tell no place."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import Normalize

    shares = spots[name].to_numpy(dtype=float)
    how: dict[str, Any] = {"cmap": with_lower(cmap, None), "norm": Normalize(0.0, most)}
    at = spots.index.to_series().astype(str).str.extract(r"^X(-?\d+)_Y(-?\d+)$")
    if at.isna().to_numpy().any():
        size = float(np.clip(_COVERED * _AMONG**2 * 72.0**2 / len(spots), 1.0, 60.0))
        return ax.scatter(spots["X"], spots["Y"], c=shares, s=size, linewidths=0, rasterized=len(spots) > MANY, **how)
    index = at.to_numpy(dtype=float)
    places = spots[["X", "Y"]].to_numpy(dtype=float)
    # Centres are medians of cells within half a width of index × width.
    width = float((index * places).sum() / max(float((index**2).sum()), 1e-300)) or 1.0
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * width
    # Without smoothed edges, between which the page would shine through.
    drawn = PolyCollection(
        list(index[:, None, :] * width + corners), array=shares, linewidths=0, antialiaseds=False,
        rasterized=len(spots) > MANY, **how,
    )  # fmt: skip
    ax.add_collection(drawn)
    return drawn

"""Programs of consensus NMF: how many, how stable, how far apart, and where they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._annotated import close_to, seed_of, target
from ..errors import BadInputError, MissingKeyError, TooLargeError
from ._colours import category_colours, level_colours
from ._embedding import Look, points_of, scatter_numbers
from ._style import DOWN, FAINT, INK, UP, axes, styled, tidy
from ._words import legend, legend_width, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Distances between more things than this are not computed: they would fill the memory, and no page shows them.
_MOST = 6000

_METRICS = ("cosine", "correlation", "euclidean")
_LINKAGES = ("single", "complete", "average", "weighted", "ward")


class _Ordered(NamedTuple):
    """Distances between things in the order of a tree, and which things they are."""

    distances: np.ndarray[Any, Any]
    order: np.ndarray[Any, Any]


@styled
def cnmf_k_selection(
    data: ad.AnnData | pd.DataFrame, *, key: str = "cnmf", title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the stability and the error of consensus NMF against the number of programs.

    Parameters
    ----------
    data
        Cells × genes with the statistics of a run in uns; or their table, with a row for each number of programs.
    key
        The key of the run.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Silhouette on the left axis, squared error on the right: a second axes over the first.

    Raises
    ------
    MissingKeyError
        Where there is no run of that key, or the table is another.

    Examples
    --------
    >>> import ferrocyte as fe, pandas as pd
    >>> stats = pd.DataFrame({"k": [5, 6, 7], "silhouette": [0.98, 0.99, 0.7], "prediction_error": [9.0, 8.0, 7.5]})
    >>> ax = fe.pl.cnmf_k_selection(stats)
    >>> ax.get_ylabel()
    'stability (silhouette)'
    """
    table = data if hasattr(data, "columns") else _held(data, f"{key}.stats", "uns")
    k = _first(table, ("k", "ncomps", "n_components"))
    stability = _first(table, ("silhouette", "silhoutte"))
    error = _first(table, ("prediction_error", "error"))
    order = np.argsort(k, kind="stable")
    ax = axes(ax, (4.6, 3.2))
    ax.plot(k[order], stability[order], "o-", color=DOWN, ms=4.0, lw=1.2)
    other = ax.twinx()
    other.plot(k[order], error[order], "s-", color=UP, ms=4.0, lw=1.2)
    ax.set_xticks(np.unique(k))
    tidy(ax, title=title, xlabel="programs (k)", ylabel="stability (silhouette)")
    tidy(other, title=None, xlabel="", ylabel="squared error")
    for side, one, colour in (("left", ax, DOWN), ("right", other, UP)):
        one.spines["right"].set_visible(one is other)
        one.spines[side].set_color(colour)
        one.yaxis.label.set_color(colour)
        one.tick_params(axis="y", colors=colour)
    return ax


@styled
def cnmf_clustergram(
    data: ad.AnnData | np.ndarray[Any, Any],
    k: int | None = None,
    *,
    labels: Sequence[int] | None = None,
    density: Sequence[float] | None = None,
    threshold: float | None = None,
    key: str = "cnmf",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far the spectra of all replicates lie apart, clustered, and how dense they lie.

    Parameters
    ----------
    data
        Cells × genes with a consensus in uns; or the distances between spectra, spectra × spectra, in the order in
        which they are drawn.
    k
        The number of programs, for an AnnData.
    labels
        The cluster of each spectrum, in that order: coloured bands.
    density
        The local density of every spectrum, also of those left out: a histogram beside the map.
    threshold
        Spectra whose local density is below it were kept: a line in the histogram.
    key
        The key of the run.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the map; that of the histogram is one of its children.

    Raises
    ------
    MissingKeyError
        Where there is no consensus of that many programs.
    BadInputError
        Where distances are not square, or labels are of other spectra.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> spectra = np.repeat(np.eye(3), 4, axis=0)
    >>> apart = np.sqrt(2.0 - 2.0 * spectra @ spectra.T)
    >>> ax = fe.pl.cnmf_clustergram(apart, labels=np.repeat([1, 2, 3], 4), density=np.zeros(12), threshold=0.5)
    >>> ax.get_xlabel()
    '12 spectra'
    """
    distances, density, threshold = _consensus(data, k, density, threshold, key)
    n = len(distances)
    with_histogram = density is not None
    ax = axes(ax, (5.9 if with_histogram else 4.3, 3.7))
    _map(distances, f"{n:,} spectra", title, ax)
    if labels is not None:
        codes = np.asarray(labels)
        if codes.shape != (n,):
            message = f"{len(codes)} labels for {n} spectra"
            raise BadInputError(message, place="labels")
        levels, place = np.unique(codes, return_inverse=True)
        _bands(ax, place, category_colours(len(levels)))
    if density is not None:
        # Its note stands above it, within the height of the map.
        _histogram(ax.inset_axes((1.24, 0.55, 0.5, 0.39)), density, threshold, small=True)
    return ax


@styled
def cnmf_density(
    data: ad.AnnData | Sequence[float],
    k: int | None = None,
    *,
    threshold: float | None = None,
    key: str = "cnmf",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of the local density of spectra: what lies beyond the threshold was left out.

    Parameters
    ----------
    data
        Cells × genes with a consensus in uns; or the mean distance of each spectrum to its neighbours.
    k
        The number of programs, for an AnnData.
    threshold
        The threshold; by default that of the extraction of this k, or of the run, if it is known.
    key
        The key of the run.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        How many spectra are kept stands below the title.

    Raises
    ------
    MissingKeyError
        Where there is no consensus of that many programs.
    BadInputError
        Where values are missing.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> ax = fe.pl.cnmf_density([0.1, 0.12, 0.2, 0.9], threshold=0.5)
    >>> [text.get_text() for text in ax.texts]
    ['3 of 4 spectra below 0.5']
    """
    if hasattr(data, "uns"):
        values, found = _densities(data, k, key)
        threshold = found if threshold is None else threshold
    else:
        values = np.asarray(data, dtype=float).ravel()
    ax = axes(ax, (4.4, 3.0))
    _histogram(ax, values, threshold, small=False)
    if title:
        ax.set_title(shown(title), pad=17.0)
    return ax


@styled
def cnmf_distance_comps(
    data: ad.AnnData | np.ndarray[Any, Any],
    k: int | None = None,
    *,
    key: str = "cnmf",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far the spectra of all replicates lie apart, clustered.

    Parameters
    ----------
    data
        Cells × genes with a consensus in uns; or the distances, in the order in which they are drawn.
    k
        The number of programs, for an AnnData.
    key
        The key of the run.
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
        Where there is no consensus of that many programs.
    BadInputError
        Where distances are not square.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> ax = fe.pl.cnmf_distance_comps(1.0 - np.eye(4))
    >>> ax.images[0].get_array().shape
    (4, 4)
    """
    distances = _matrix(data if not hasattr(data, "uns") else _held(data, f"{key}.dist.{_k(k)}", "uns"))
    return _map(distances, f"{len(distances):,} spectra", title, ax)


@styled
def cnmf_distance_usages(
    data: ad.AnnData | pd.DataFrame | np.ndarray[Any, Any],
    k: int | None = None,
    *,
    metric: str = "cosine",
    downsample: float = 0.1,
    method: str = "single",
    annotations: str | Sequence[str] | None = None,
    seed: int = 42,
    key: str = "cnmf",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far cells lie apart by their use of programs, clustered.

    Parameters
    ----------
    data
        Cells × genes with a consensus in obsm; or usages, cells × programs.
    k
        The number of programs, for an AnnData.
    metric
        ``"cosine"``, ``"correlation"`` or ``"euclidean"``.
    downsample
        The share of the cells that is drawn.
    method
        How clusters are joined: ``"single"``, ``"complete"``, ``"average"``, ``"weighted"`` or ``"ward"``.
    annotations
        A column of obs, or labels of cells, for coloured bands.
    seed
        Which cells are drawn.
    key
        The key of the run.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Cells without any usage are left out where the distance is of directions.

    Raises
    ------
    MissingKeyError
        Where there is no consensus of that many programs, or no such column.
    BadInputError
        Where values are missing, or options are out of range.
    TooLargeError
        Where more than 6,000 cells would be compared each with each.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> usages = np.random.default_rng(0).gamma(1.0, size=(50, 3))
    >>> fe.pl.cnmf_distance_usages(usages, downsample=0.5).get_xlabel()
    '25 cells'
    """
    usages = np.asarray(_held(data, f"{key}.{_k(k)}", "obsm") if hasattr(data, "uns") else data, dtype=float)
    found = _ordered(usages, metric, method, downsample, seed, "cells")
    names = _annotation(data, annotations, len(usages))
    extra = 0.0 if names is None else legend_width(names[0]) + 0.3
    ax = axes(ax, (4.5 + extra, 3.7))
    _map(found.distances, f"{len(found.order):,} cells", title, ax)
    if names is not None:
        levels, codes, colours = names
        _bands(ax, codes[found.order], colours)
        legend(ax, levels, colours[: len(levels)], beside=1.22)
    return ax


@styled
def cnmf_distance_modules(
    data: ad.AnnData | pd.DataFrame | np.ndarray[Any, Any],
    k: int | None = None,
    *,
    metric: str = "cosine",
    downsample: float = 1.0,
    method: str = "complete",
    seed: int = 42,
    key: str = "cnmf",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far genes lie apart by their weights in programs, clustered, with the program of the largest weight.

    Parameters
    ----------
    data
        Cells × genes with a consensus in varm; or weights, genes × programs.
    k
        The number of programs, for an AnnData.
    metric
        ``"cosine"``, ``"correlation"`` or ``"euclidean"``.
    downsample
        The share of the genes that is drawn.
    method
        How clusters are joined: ``"single"``, ``"complete"``, ``"average"``, ``"weighted"`` or ``"ward"``.
    seed
        Which genes are drawn.
    key
        The key of the run.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Genes without weight in any program are left out.

    Raises
    ------
    MissingKeyError
        Where there is no consensus of that many programs.
    BadInputError
        Where values are missing, or options are out of range.
    TooLargeError
        Where more than 6,000 genes would be compared each with each.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> weights = np.random.default_rng(0).gamma(0.3, size=(60, 3))
    >>> fe.pl.cnmf_distance_modules(weights).get_xlabel()
    '60 genes'
    """
    weights = np.asarray(_held(data, f"{key}.{_k(k)}", "varm") if hasattr(data, "uns") else data, dtype=float)
    found = _ordered(weights, metric, method, downsample, seed, "genes")
    programs = [f"program {i + 1}" for i in range(weights.shape[1])]
    ax = axes(ax, (4.8 + legend_width(programs), 3.7))
    _map(found.distances, f"{len(found.order):,} genes", title, ax)
    colours = category_colours(weights.shape[1])
    _bands(ax, weights[found.order].argmax(axis=1), colours)
    legend(ax, programs, colours, beside=1.22)
    return ax


@styled
def cnmf_usages(
    data: ad.AnnData | pd.DataFrame | np.ndarray[Any, Any],
    k: int | None = None,
    *,
    coordinates: np.ndarray[Any, Any] | None = None,
    basis: str = "umap",
    programs: Sequence[int] | None = None,
    normalize: bool = True,
    ncols: int = 4,
    cmap: Any = "viridis",
    cmap_lower: Any = "#E4E4E4",
    size: float | None = None,
    key: str = "cnmf",
    title: str | None = None,
) -> Figure:
    """Draw how much each cell uses each program, on an embedding.

    Parameters
    ----------
    data
        Cells × genes with a consensus in obsm; or usages, cells × programs, with `coordinates`.
    k
        The number of programs, for an AnnData.
    coordinates
        Where cells are drawn, cells × 2, instead of the embedding.
    basis
        The embedding, as in :func:`embedding`.
    programs
        Which programs, counted from 1; by default all.
    normalize
        Whether the usages of each cell are brought to the sum 1.
    ncols
        How many stand in a row.
    cmap, cmap_lower
        The map of colours, and a colour for its lowest 2 %.
    size
        The area of a point, in square typographic points.
    key
        The key of the run.
    title
        The title of all.

    Returns
    -------
    matplotlib.figure.Figure
        An axes for each program.

    Raises
    ------
    MissingKeyError
        Where there is no consensus of that many programs, or no such embedding.
    BadInputError
        Where there are no such programs, or coordinates of other cells.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> rng = np.random.default_rng(0)
    >>> figure = fe.pl.cnmf_usages(rng.gamma(1.0, size=(50, 3)), coordinates=rng.normal(size=(50, 2)))
    >>> [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    ['program 1', 'program 2', 'program 3']
    """
    from matplotlib import pyplot as plt

    usages = np.asarray(_held(data, f"{key}.{_k(k)}", "obsm") if hasattr(data, "uns") else data, dtype=float)
    wanted = list(range(1, usages.shape[1] + 1)) if programs is None else [int(i) for i in programs]
    if not wanted or min(wanted) < 1 or max(wanted) > usages.shape[1]:
        message = f"there are no programs {wanted} of {usages.shape[1]}"
        raise BadInputError(message, place="programs", hint="they are counted from 1")
    points = _where(data, coordinates, basis, len(usages))
    if normalize:
        totals = usages.sum(axis=1, keepdims=True)
        usages = usages / np.where(totals > 0.0, totals, 1.0)
    ncols = max(1, min(int(ncols), len(wanted)))
    rows = -(-len(wanted) // ncols)
    figure, panels = plt.subplots(rows, ncols, figsize=(3.1 * ncols, 2.7 * rows), layout="constrained", squeeze=False)
    look = Look(cmap=cmap, cmap_lower=cmap_lower, size=size)
    for ax, program in zip(panels.flat, wanted, strict=False):
        scatter_numbers(ax, points, usages[:, program - 1], look)
        tidy(ax, title=f"program {program}", xlabel=points.words[0], ylabel=points.words[1])
        ax.set_xticks([])
        ax.set_yticks([])
    for ax in list(panels.flat)[len(wanted) :]:
        ax.remove()
    if title:
        figure.suptitle(shown(title), fontsize=11)
    return figure


def _where(data: Any, coordinates: Any, basis: str, n: int) -> Any:
    """Where cells are drawn: given, or an embedding of the object."""
    from ._embedding import Points

    if coordinates is None:
        if not hasattr(data, "uns"):
            message = "where are the cells?"
            raise BadInputError(message, place="coordinates", hint="give cells × 2 coordinates, or an AnnData")
        return points_of(target(data), basis, (1, 2))
    places = np.asarray(coordinates, dtype=float)
    if places.ndim != 2 or places.shape[0] != n or places.shape[1] < 2:
        message = f"expected {n} × 2 coordinates, found an array of shape {places.shape}"
        raise BadInputError(message, place="coordinates")
    return Points(places[:, 0], places[:, 1], ("1", "2"))


def _k(k: int | None) -> int:
    if k is None:
        message = "how many programs?"
        raise BadInputError(message, place="k", hint="give the k of a consensus that was extracted")
    return int(k)


def _held(data: Any, name: str, slot: str) -> Any:
    """An item that a run left in a slot of the object."""
    held = getattr(target(data), slot)
    if name not in held:
        message = f"there is no `{name}`"
        known = [str(one) for one in held if str(one).startswith(name.split(".")[0])]
        hint = close_to(name, known) if known else "call fe.cnmf.consensus_nmf and extract a consensus first"
        raise MissingKeyError(message, place=slot, hint=hint)
    return held[name]


def _first(table: Any, names: Sequence[str]) -> np.ndarray[Any, Any]:
    """A column by the first of its names that is there; k may be the index."""
    for name in names:
        if name in table.columns:
            return table[name].to_numpy(dtype=float)
    if names[0] == "k":
        return np.asarray(table.index, dtype=float)
    message = f"there is no column `{names[0]}`"
    raise MissingKeyError(message, place="data", hint=close_to(names[0], [str(name) for name in table.columns]))


def _densities(data: Any, k: int | None, key: str) -> tuple[np.ndarray[Any, Any], float | None]:
    """Local densities of a run, and the threshold of this k, or of the run, if it is known."""
    values = np.asarray(_held(data, f"{key}.density.{_k(k)}", "uns"), dtype=float).ravel()
    arguments = data.uns.get(f"{key}.args")
    threshold = arguments.get("density_threshold") if hasattr(arguments, "get") else None
    threshold = data.uns.get(f"{key}.threshold.{_k(k)}", threshold)
    return values, None if threshold is None else float(np.asarray(threshold).item())


def _consensus(data: Any, k: int | None, density: Any, threshold: float | None, key: str) -> Any:
    """Distances, densities and threshold: given, or those of a run."""
    if hasattr(data, "uns"):
        distances = _matrix(_held(data, f"{key}.dist.{_k(k)}", "uns"))
        if density is None and f"{key}.density.{_k(k)}" in data.uns:
            density, found = _densities(data, k, key)
            threshold = found if threshold is None else threshold
    else:
        distances = _matrix(data)
    return distances, None if density is None else np.asarray(density, dtype=float).ravel(), threshold


def _matrix(distances: Any) -> np.ndarray[Any, Any]:
    values = np.asarray(distances, dtype=float)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.isfinite(values).all():
        message = f"expected distances of spectra from one another, found an array of shape {values.shape}"
        raise BadInputError(message, place="data", hint="square, and no value missing")
    return values


def _ordered(values: Any, metric: str, method: str, downsample: float, seed: int, what: str) -> _Ordered:
    """Distances between rows, those in the order of a hierarchical clustering of a seeded subset."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist, squareform

    for place, word, choices in (("metric", metric, _METRICS), ("method", method, _LINKAGES)):
        if word not in choices:
            message = f"there is no choice `{word}`"
            raise BadInputError(message, place=place, hint=f"it is one of {', '.join(f'`{c}`' for c in choices)}")
    if values.ndim != 2 or not np.isfinite(values).all():
        message = f"expected {what} × programs without missing values, found an array of shape {values.shape}"
        raise BadInputError(message, place="data")
    if not 0.0 < downsample <= 1.0:
        message = f"expected a share above 0 and up to 1, found {downsample}"
        raise BadInputError(message, place="downsample")
    # A direction is needed where distances are those of directions.
    spread = np.ptp(values, axis=1) if metric == "correlation" else np.abs(values).max(axis=1, initial=0.0)
    there = np.arange(len(values)) if metric == "euclidean" and what == "cells" else np.flatnonzero(spread > 0.0)
    n = max(min(len(there), 2), round(downsample * len(there)))
    if n < 2:
        message = f"{n} of the {what} can be compared"
        raise BadInputError(message, place="data")
    if n > _MOST:
        message = f"{n:,} {what} are too many to compare each with each, at most {_MOST:,}"
        hint = f"downsample={_MOST / len(there):.2g} or less"
        raise TooLargeError(message, place="downsample", hint=hint)
    chosen = np.sort(np.random.default_rng(seed_of(seed)).choice(there, n, replace=False))
    apart = np.maximum(pdist(values[chosen], metric), 0.0)
    leaves = leaves_list(linkage(apart, method))
    return _Ordered(squareform(apart)[np.ix_(leaves, leaves)], chosen[leaves])


def _annotation(data: Any, annotations: Any, n: int) -> tuple[list[str], np.ndarray[Any, Any], list[str]] | None:
    """Levels, codes and colours (the last is that of no label) of what cells are labelled with."""
    import pandas as pd

    from .._obs import require
    from ._colours import MISSING
    from ._embedding import categories_of

    if annotations is None:
        return None
    if isinstance(annotations, str) and hasattr(data, "uns"):
        levels, codes = categories_of(require(data.obs, annotations))
        colour_of = level_colours(data, annotations, levels)
        return levels, codes, [*(colour_of[level] for level in levels), MISSING]
    if isinstance(annotations, str) or len(annotations) != n:
        message = f"expected a label for each of {n} cells"
        raise BadInputError(message, place="annotations")
    levels, codes = categories_of(pd.Series(list(annotations), dtype=object))
    return levels, codes, [*category_colours(len(levels)), MISSING]


def _map(distances: Any, words: str, title: str | None, ax: Axes | None) -> Axes:
    """The map of distances and its scale."""
    ax = axes(ax, (4.3, 3.7))
    picture = ax.imshow(distances, cmap="viridis", vmin=0.0, vmax=max(float(distances.max(initial=0.0)), 1e-12))
    _square(ax, words)
    bar = ax.figure.colorbar(picture, cax=ax.inset_axes((1.05, 0.0, 0.045, 0.38)))
    bar.set_label("distance", fontsize=7.5)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.0, length=2.0)
    if title:
        ax.set_title(shown(title))
    return ax


def _square(ax: Axes, words: str) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(words)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _bands(ax: Axes, codes: Any, colours: list[str]) -> None:
    """The group of each row as a colour left of it; code -1 takes the last colour."""
    from matplotlib.colors import ListedColormap

    place = ax.inset_axes((-0.045, 0.0, 0.035, 1.0))
    shades = np.where(codes < 0, len(colours) - 1, codes)
    place.imshow(
        shades[:, None], cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    place.axis("off")


def _histogram(ax: Axes, values: Any, threshold: float | None, *, small: bool) -> None:
    """The distribution of local densities; what was left out is grey."""
    if len(values) == 0 or not np.isfinite(values).all():
        message = (
            "expected a density for each spectrum, found missing values" if len(values) else "there is no spectrum"
        )
        raise BadInputError(message, place="density")
    high = max(float(values.max()), threshold or 0.0, 1e-12) * 1.05
    bins = np.linspace(0.0, high, 41)
    kept = values < threshold if threshold is not None else np.ones(len(values), dtype=bool)
    ax.hist([values[kept], values[~kept]], bins=list(bins), stacked=True, color=[DOWN, FAINT])
    size = 7.0 if small else 9.0
    if threshold is not None:
        ax.axvline(threshold, color=UP, lw=1.0, ls="--")
        note = f"{int(kept.sum()):,} of {len(values):,} spectra below {threshold:g}"
        tidy(ax, title=None if small else " ", xlabel="mean distance to neighbours", ylabel="spectra", note=note)
    else:
        tidy(ax, title=None, xlabel="mean distance to neighbours", ylabel="spectra")
    ax.xaxis.label.set(size=size, color=INK)
    ax.yaxis.label.set(size=size, color=INK)
    if small:
        ax.tick_params(labelsize=6.5)

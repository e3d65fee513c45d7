"""Ecotypes: what their models are made of, what belongs together, how good labels are."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from .._annotated import close_to, natural
from ..errors import BadInputError, MissingKeyError
from ._spatial import ecotype_colours, is_none
from ._style import DOWN, INK, axes, diverging, styled, tidy
from ._words import room, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

#: With more states than this their names cannot be read.
_NAMED = 60

#: Below this share of the largest value a number on a cell is dark.
_DARK = 0.55


@styled
def ecotype_signatures(
    models: Any,
    *,
    cell_type: str | None = None,
    n: int = 8,
    palette: Mapping[str, Any] | Sequence[Any] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the weights of the genes that mark each ecotype in a model.

    Parameters
    ----------
    models
        Of :func:`ferrocyte.ecotype.train`, :func:`~ferrocyte.ecotype.train_ensemble` or
        :func:`~ferrocyte.ecotype.aggregate`, or one table of features × ecotypes.
    cell_type
        Whose model, if there are several.
    n
        How many genes of each ecotype: those whose weight is furthest above the second largest.
    palette
        Colours of ecotypes: a mapping or a list.
    title
        By default the cell type.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Genes on the y axis, in blocks of the ecotype that they mark, told by colours; ecotypes on the x axis. Weights
        are those of the positive parts of genes where a model has signs.

    Raises
    ------
    MissingKeyError
        There is no model of this type.
    BadInputError
        There are several models and none was chosen, or no gene marks an ecotype.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.ecotype.simulate(1, cells=400, genes=60)
    >>> models = fe.ecotype.train(cells, sample="Sample", normalize="log1p_cp10k")
    >>> ax = fe.pl.ecotype_signatures(models, cell_type="type1", n=3)
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['SE1', 'SE2', 'SE3', 'SE4', 'nonSE']
    """
    name, table = _one_model(models, cell_type)
    names, weights, marks = _marking(table, n)
    wide, high = 1.3 + room(names) + 0.34 * weights.shape[1], 1.2 + 0.16 * len(weights)
    ax = axes(ax, (wide, high))
    picture = ax.imshow(
        weights.to_numpy(), aspect="auto", cmap=_rising(), vmin=0.0, vmax=float(weights.to_numpy().max()) or 1.0,
        interpolation="nearest",
    )  # fmt: skip
    colour_of = ecotype_colours(list(weights.columns), palette)
    codes = [list(weights.columns).index(mark) for mark in marks]
    _band(ax, codes, [colour_of[label] for label in weights.columns], side="left")
    _band(ax, range(weights.shape[1]), [colour_of[label] for label in weights.columns], side="top")
    edges = np.flatnonzero(np.diff(codes)) + 0.5
    ax.hlines(edges, -0.5, weights.shape[1] - 0.5, color="white", lw=1.4)
    _names(ax, [shown(one) for one in weights.columns], names, pad=8.5)
    _bar(ax, picture, "weight")
    ax.set_title(shown(name) if title is None else title, loc="left", pad=12.0)
    return ax


@styled
def ecotype_stability(
    ensemble: Any,
    *,
    cell_type: str | None = None,
    n: int = 6,
    palette: Mapping[str, Any] | Sequence[Any] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how surely genes mark ecotypes over the runs of an ensemble.

    Parameters
    ----------
    ensemble
        Of :func:`ferrocyte.ecotype.train_ensemble` or :func:`~ferrocyte.ecotype.aggregate`.
    cell_type
        Whose models, if there are several.
    n
        How many genes of each ecotype: those whose mean weight is furthest above the second largest.
    palette
        Colours of ecotypes: a mapping or a list.
    title
        By default the cell type.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        For each gene its mean weight in the ecotype that it marks, with the standard deviation over runs; a tick at the
        largest weight in another; and the share of the runs in which it marks the ecotype.

    Raises
    ------
    MissingKeyError
        There is no model of this type.
    BadInputError
        This is no ensemble, there are several models and none was chosen, or no gene marks an ecotype.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.ecotype.simulate(1, cells=400, genes=60)
    >>> found = fe.ecotype.train_ensemble(cells, sample="Sample", n_runs=5, normalize="log1p_cp10k")
    >>> ax = fe.pl.ecotype_stability(found, cell_type="type1", n=2)
    >>> ax.get_xlabel()
    'weight, mean and standard deviation of 5 runs'
    """
    if not all(hasattr(ensemble, slot) for slot in ("models", "frequency", "sd", "n_models")):
        message = f"expected an ensemble, found {type(ensemble).__name__}"
        raise BadInputError(message, place="ensemble", hint="give what fe.ecotype.train_ensemble gives")
    of, table = _one_model(ensemble.models, cell_type)
    names, weights, marks = _marking(table, n)
    at = np.arange(len(weights))
    own = np.array([list(weights.columns).index(mark) for mark in marks])
    values = weights.to_numpy()
    spread = ensemble.sd[of].loc[weights.index, weights.columns].to_numpy()[at, own]
    often = ensemble.frequency[of].loc[weights.index, weights.columns].to_numpy()[at, own]
    others = np.where(own[:, None] == np.arange(values.shape[1]), -np.inf, values).max(axis=1)
    colour_of = ecotype_colours(list(weights.columns), palette)
    colours = [colour_of[mark] for mark in marks]
    ax = axes(ax, (4.6 + room(names), 1.0 + 0.17 * len(weights)))
    starts = np.concatenate([[0], np.flatnonzero(np.diff(own)) + 1, [len(own)]])
    for i, (low, high) in enumerate(itertools.pairwise(starts)):
        if i % 2 == 0:
            ax.axhspan(low - 0.5, high - 0.5, color="#F4F4F4", lw=0, zorder=0)
        ax.annotate(
            shown(marks[low]), (1.0, 0.5 * (low + high - 1)), xycoords=ax.get_yaxis_transform(), xytext=(38.0, 0.0),
            textcoords="offset points", ha="left", va="center", fontsize=8.0, fontweight="bold", color=INK,
        )  # fmt: skip
    ax.hlines(at, values[at, own] - spread, values[at, own] + spread, color=colours, lw=1.2)
    ax.scatter(values[at, own], at, c=colours, s=22.0, linewidths=0, zorder=3)
    ax.scatter(others, at, marker="|", s=34.0, color="#666666", linewidths=1.0, zorder=2)
    for i, share in enumerate(often):
        ax.annotate(
            f"{100 * share:.0f} %", (1.0, i), xycoords=ax.get_yaxis_transform(), xytext=(30.0, 0.0),
            textcoords="offset points", ha="right", va="center", fontsize=7.0, color=INK,
        )  # fmt: skip
    ax.set_yticks(at, names, fontsize=7.0)
    ax.set_ylim(len(at) - 0.5, -0.5)
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.tick_params(axis="y", length=0)
    runs = int(ensemble.n_models[of])
    tidy(
        ax, title=shown(of) if title is None else title, ylabel="",
        xlabel=f"weight, mean and standard deviation of {runs} runs",
        note="| largest weight elsewhere;  %: runs in which the gene marks the ecotype",
    )  # fmt: skip
    return ax


@styled
def ecotype_coassociation(
    index: pd.DataFrame,
    *,
    test: pd.DataFrame | None = None,
    palette: Mapping[str, Any] | Sequence[Any] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw which states rise and fall together over samples, in blocks of ecotypes.

    Parameters
    ----------
    index
        Of :func:`ferrocyte.ecotype.coassociation`: states × states.
    test
        Of :func:`ferrocyte.ecotype.block_test`: z of each ecotype stands beside its block.
    palette
        Colours of ecotypes: a mapping or a list.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Correlations; the blocks of ecotypes are framed.

    Raises
    ------
    BadInputError
        This is no square table of states.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.ecotype.simulate(1, samples=4, cells=400, genes=40)
    >>> ax = fe.pl.ecotype_coassociation(fe.ecotype.coassociation(cells, non_se="nonSE"))
    >>> ax.get_images()[0].get_clim()
    (-1.0, 1.0)
    """
    return _states(index, test, 1.0, "correlation over samples", palette, title, ax)


@styled
def ecotype_colocalization(
    index: Any,
    *,
    test: pd.DataFrame | None = None,
    limit: float | None = None,
    palette: Mapping[str, Any] | Sequence[Any] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw which states are near which, in blocks of ecotypes.

    Parameters
    ----------
    index
        Of :func:`ferrocyte.ecotype.colocalization` or :func:`~ferrocyte.ecotype.colocalization_meta`, or z of states ×
        states.
    test
        Of :func:`ferrocyte.ecotype.block_test`: z of each ecotype stands beside its block. Of a meta-analysis it is
        known.
    limit
        Values beyond are drawn as this; by default what a tenth of all values exceed, whatever their sign.
    palette
        Colours of ecotypes: a mapping or a list.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        z of pairs, rows being the cells whose neighbours are counted; the blocks of ecotypes are framed.

    Raises
    ------
    BadInputError
        This is no square table of states.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.ecotype.simulate(1, samples=1, cells=400, genes=40)
    >>> cells.obs["CellState"] = [f"{a}_{b}" for a, b in zip(cells.obs["SE"], cells.obs["CellType"])]
    >>> ax = fe.pl.ecotype_colocalization(fe.ecotype.colocalization(cells, n_permutations=20), limit=5)
    >>> ax.get_images()[0].get_clim()
    (-5.0, 5.0)
    """
    table = getattr(index, "z", getattr(index, "index", None) if hasattr(index, "test") else None)
    table = index if table is None else table
    test = getattr(index, "test", None) if test is None and not hasattr(index, "columns") else test
    if limit is None and hasattr(table, "to_numpy"):
        limit = float(np.nanquantile(np.abs(table.to_numpy(dtype=float)), 0.9)) or 1.0
    return _states(table, test, float(limit or 1.0), "z against shuffled states", palette, title, ax)


@styled
def ecotype_confusion(
    table: Any,
    *,
    truth: str = "SE",
    predicted: str = "cvPred",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what cells of each ecotype were taken for, with the F1 of each.

    Parameters
    ----------
    table
        Columns of cells: of :func:`ferrocyte.ecotype.cross_validate`, another data frame, or an AnnData.
    truth, predicted
        The columns of labels. ``nonSE`` and ``NonSE`` are the same.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        True labels on the y axis with their numbers of cells, predicted ones on the x axis; shares of the cells of a
        row in per cent.

    Raises
    ------
    MissingKeyError
        There is no such column.
    BadInputError
        There is no cell.

    Examples
    --------
    >>> import pandas as pd
    >>> import ferrocyte as fe
    >>> labels = pd.DataFrame({"SE": ["SE1", "SE1", "SE2", "SE2"], "cvPred": ["SE1", "SE1", "SE2", "SE1"]})
    >>> ax = fe.pl.ecotype_confusion(labels)
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['SE1 (2)', 'SE2 (2)']
    """
    import pandas as pd

    from ..ecotype._inputs import column_of

    pairs = [["NonSE" if is_none(label) else label for label in column_of(table, name)] for name in (truth, predicted)]
    if not pairs[0]:
        message = "there is no cell"
        raise BadInputError(message, place="table")
    counts = pd.crosstab(np.array(pairs[0], dtype=object), np.array(pairs[1], dtype=object))
    labels = natural({*counts.index, *counts.columns})
    labels.sort(key=is_none)
    rows = [label for label in labels if label in counts.index]
    counts = counts.reindex(index=labels, columns=labels, fill_value=0)
    found, total = np.diag(counts), counts.to_numpy().sum(axis=0) + counts.to_numpy().sum(axis=1)
    f1 = dict(zip(labels, 2.0 * found / np.maximum(total, 1), strict=True))
    counts = counts.loc[rows]
    shares = counts.to_numpy() / counts.to_numpy().sum(axis=1, keepdims=True)
    high, wide = shares.shape
    ax = axes(ax, (1.9 + 0.42 * wide, 1.35 + 0.36 * high))
    ax.imshow(shares, aspect="auto", cmap=_rising(), vmin=0.0, vmax=1.0, interpolation="nearest")
    for i, j in np.argwhere(counts.to_numpy() > 0):
        ax.text(
            j, i, f"{100 * shares[i, j]:.0f}" if shares[i, j] >= 0.005 else "·", ha="center", va="center",
            fontsize=7.5, color="white" if shares[i, j] > _DARK else INK,
        )  # fmt: skip
    ax.set_xticks(np.arange(wide + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(high + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", lw=0.8)
    ax.tick_params(which="minor", length=0)
    sizes = counts.to_numpy().sum(axis=1)
    _names(ax, [shown(one) for one in labels], [f"{shown(a)} ({b:,})" for a, b in zip(rows, sizes, strict=True)])
    for i, label in enumerate([None, *rows]):
        ax.annotate(
            "F1" if label is None else f"{f1[label]:.2f}", (1.0, i - 1), xycoords=ax.get_yaxis_transform(),
            xytext=(8.0, 0.0), textcoords="offset points", ha="left", va="center", fontsize=8.0,
            fontweight="bold" if label is None else "normal", color=INK, annotation_clip=False,
        )  # fmt: skip
    macro = float(np.mean([f1[label] for label in rows]))
    correct = float(found.sum() / counts.to_numpy().sum())
    ax.set_xlabel("predicted")
    ax.set_ylabel("true (cells)")
    ax.annotate(
        f"per cent of true labels; macro F1 {macro:.3f}, correct {100 * correct:.1f} %", (0.0, 1.0), xytext=(0.0, 4.0),
        xycoords="axes fraction", textcoords="offset points", ha="left", va="bottom", fontsize=7.5, color="#666666",
        annotation_clip=False, in_layout=False,
    )  # fmt: skip
    ax.set_title(title or " ", loc="left", pad=17.0)
    return ax


def _one_model(models: Any, cell_type: str | None) -> tuple[str, pd.DataFrame]:
    """The model of a type."""
    held = getattr(models, "models", models)
    if hasattr(held, "columns"):
        return "" if cell_type is None else cell_type, held
    if not hasattr(held, "items") or not held:
        message = "no models given" if hasattr(held, "items") else f"expected models, found {type(models).__name__}"
        raise BadInputError(message, place="models", hint="give what fe.ecotype.train gives")
    names = [str(name) for name in held]
    if cell_type is None and len(names) > 1:
        message = f"there are models of {len(names)} cell types"
        raise BadInputError(message, place="cell_type", hint=f"choose one: {', '.join(f'`{one}`' for one in names)}")
    name = names[0] if cell_type is None else str(cell_type)
    if name not in names:
        message = f"there is no model of `{name}`"
        raise MissingKeyError(message, place="cell_type", hint=close_to(name, names))
    return name, held[name]


def _marking(table: pd.DataFrame, n: int) -> tuple[list[str], pd.DataFrame, list[str]]:
    """Genes that mark ecotypes, their weights (ecotypes in the order of their names), and what each marks."""
    if n < 1:
        message = f"expected at least one gene, found {n}"
        raise BadInputError(message, place="n")
    order = natural(str(name) for name in table.columns)
    order.sort(key=is_none)
    signed = [str(name) for name in table.index]
    kept = [i for i, name in enumerate(signed) if not name.endswith("__neg")]
    weights = table.iloc[kept].set_axis([str(name) for name in table.columns], axis=1)[order]
    values = weights.to_numpy(dtype=float)
    if values.size == 0 or values.shape[1] < 2:
        message = f"a model of {values.shape[0]} genes and {values.shape[1]} ecotypes has no marks"
        raise BadInputError(message, place="models")
    ranked = np.sort(values, axis=1)
    apart = ranked[:, -1] - ranked[:, -2]
    own = values.argmax(axis=1)
    rows: list[int] = []
    for k in range(len(order)):
        mine = np.flatnonzero((own == k) & (apart > 0.0))
        rows += list(mine[np.argsort(-apart[mine], kind="stable")][:n])
    if not rows:
        message = "no gene marks an ecotype"
        raise BadInputError(message, place="models", hint="every weight is the same in two ecotypes")
    chosen = weights.iloc[rows].astype(float)
    names = [shown(str(name).removesuffix("__pos")) for name in chosen.index]
    return names, chosen, [order[own[i]] for i in rows]


def _states(
    index: Any, test: pd.DataFrame | None, limit: float, words: str, palette: Any, title: str | None, ax: Axes | None
) -> Axes:
    """A map of states × states with frames around ecotypes, bands of their colours, and their z."""
    if not hasattr(index, "columns") or list(index.index) != list(index.columns) or len(index) == 0:
        message = "expected a square table of states"
        raise BadInputError(message, place="index", hint="give what fe.ecotype.coassociation or colocalization gives")
    names = [str(name) for name in index.index]
    held = index.attrs.get("ecotypes")
    of = list(held) if held is not None and len(held) == len(names) else [name.partition("_")[0] for name in names]
    ecotypes = natural(set(of))
    ecotypes.sort(key=is_none)
    rank = {name: i for i, name in enumerate(natural(names))}
    order = sorted(range(len(names)), key=lambda i: (ecotypes.index(of[i]), rank[names[i]]))
    values = index.to_numpy(dtype=float)[np.ix_(order, order)]
    codes = [ecotypes.index(of[i]) for i in order]
    named = len(names) <= _NAMED
    side = min(0.19 * len(names), 5.6) if named else 5.0
    beside = 1.6 + (room(names) if named else 0.2)
    ax = axes(ax, (max(side, 1.8) + beside, max(side, 1.8) + beside - 0.7))
    picture = ax.imshow(values, cmap=diverging(), vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    colour_of = ecotype_colours(ecotypes, palette)
    for place in ("left", "top"):
        _band(ax, codes, [colour_of[name] for name in ecotypes], side=place)
    from matplotlib.patches import Rectangle

    for k, name in enumerate(ecotypes):
        low, count = codes.index(k), codes.count(k)
        ax.add_patch(Rectangle((low - 0.5, low - 0.5), count, count, fill=False, ec=INK, lw=1.0))
        ax.annotate(
            _told(name, test), (1.0, low + 0.5 * (count - 1)), xycoords=ax.get_yaxis_transform(), xytext=(4.0, 0.0),
            textcoords="offset points", ha="left", va="center", fontsize=7.5, color=INK, annotation_clip=False,
        )  # fmt: skip
    states = [shown(names[i]) for i in order]
    _names(ax, states if named else [], states if named else [], pad=8.5, size=6.5 if len(names) > 24 else 7.5)
    if not named:
        ax.set_xlabel(f"{len(names)} states")
    _bar(ax, picture, words, beside=1.02 + (54.0 if test is not None else 32.0) / 72.0 / max(side, 1.8))
    ax.set_title(title or "", loc="left", pad=12.0)
    return ax


def _told(name: str, test: pd.DataFrame | None) -> str:
    """The name of an ecotype, and its z if there is a test of it."""
    if test is None or name not in test.index or not np.isfinite(test.loc[name, "Z"]):
        return shown(name)
    return f"{shown(name)}  z {test.loc[name, 'Z']:.1f}"


def _rising() -> Any:
    """The colour map of what is at least 0, from white to the colour of estimates below zero."""
    from matplotlib.colors import LinearSegmentedColormap

    steps = [(0.0, "#FFFFFF"), (0.7, DOWN), (1.0, "#003A5C")]
    return LinearSegmentedColormap.from_list("ferrocyte_rising", steps).with_extremes(bad="#D4D4D4")


def _band(ax: Axes, codes: Sequence[int], colours: list[str], *, side: str) -> None:
    """The ecotype of each row or column as a line of its colour beside it."""
    from matplotlib.transforms import ScaledTranslation

    left = side == "left"
    inches = ax.figure.dpi_scale_trans
    if left:
        where = ax.get_yaxis_transform() + ScaledTranslation(-4.5 / 72.0, 0.0, inches)
    else:
        where = ax.get_xaxis_transform() + ScaledTranslation(0.0, 4.5 / 72.0, inches)
    listed = np.asarray(list(codes))
    starts = [0, *(np.flatnonzero(np.diff(listed)) + 1), len(listed)]
    for low, high in itertools.pairwise(starts):
        along, across = [low - 0.45, high - 0.55], [0.0, 0.0] if left else [1.0, 1.0]
        ax.plot(
            *((across, along) if left else (along, across)), color=colours[listed[low]], lw=5.0, transform=where,
            clip_on=False, solid_capstyle="butt", scalex=False, scaley=False,
        )  # fmt: skip


def _names(ax: Axes, below: list[str], beside: list[str], pad: float = 2.0, size: float = 8.0) -> None:
    """Names of columns and rows, without ticks and frame."""
    ax.set_xticks(range(len(below)), below, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    ax.set_yticks(range(len(beside)), beside, fontsize=min(size, 7.5))
    ax.tick_params(which="major", length=0)
    ax.tick_params(axis="y", pad=pad)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _bar(ax: Axes, picture: Any, words: str, beside: float = 1.04) -> None:
    """The scale of colours, beside the axes."""
    bar = ax.figure.colorbar(picture, cax=ax.inset_axes((beside, 0.0, 0.045, 0.38)))
    bar.set_label(words, fontsize=7.5)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.0, length=2.0)

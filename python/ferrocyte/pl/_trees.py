"""Trees of hierarchical clusterings, beside what they order and on their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._annotated import target
from ..errors import MissingKeyError
from ._style import INK, axes, styled, tidy
from ._words import room, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    from matplotlib.axes import Axes


@styled
def dendrogram(
    adata: ad.AnnData,
    groupby: str | Sequence[str],
    *,
    key: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the hierarchical clustering of groups of cells.

    Parameters
    ----------
    adata
        Cells × genes.
    groupby
        The column of obs with the groups, or several.
    key
        Where :func:`ferrocyte.tl.dendrogram` left its result in uns; by default ``dendrogram_`` and the columns.
        Without `key`, a clustering that is not there is made, and not kept.
    title
        By default the columns.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Groups on the y axis; the x axis is 1 - correlation.

    Raises
    ------
    MissingKeyError
        Where there is no such column, or no clustering of that name.
    BadInputError
        Where there are fewer than two groups.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> ax = fe.pl.dendrogram(small_study(), "donor")
    >>> len(ax.get_yticklabels())
    6
    """
    from ..tl import dendrogram as cluster

    adata = target(adata)
    by = [groupby] if isinstance(groupby, str) else list(groupby)
    place = f"dendrogram_{'_'.join(by)}" if key is None else key
    found = adata.uns.get(place)
    if found is None and key is not None:
        message = f"there is no clustering `{key}`"
        raise MissingKeyError(message, place="uns", hint="call fe.tl.dendrogram first")
    if found is None:
        found = cluster(adata, by, inplace=False)
    names = list(found["categories_ordered"])
    ax = axes(ax, (3.4 + room(names), 0.9 + 0.2 * len(names)))
    draw_tree(ax, found["linkage"], sideways=True)
    ax.axis("on")
    ax.set_yticks(range(len(names)), [shown(name) for name in names])
    ax.invert_xaxis()
    ax.yaxis.tick_right()
    ax.tick_params(axis="y", length=0.0)
    words = shown(", ".join(by)) if title is None else title
    tidy(ax, title=words, xlabel=f"1 - correlation ({found['cor_method']})", ylabel="")
    ax.spines["left"].set_visible(False)
    return ax


def draw_tree(ax: Axes, tree: Any, *, sideways: bool) -> None:
    """A tree whose leaves stand at the middles of rows (`sideways`) or columns."""
    from matplotlib.collections import LineCollection
    from scipy.cluster.hierarchy import dendrogram as laid_out

    drawn = laid_out(np.asarray(tree, dtype=float), no_plot=True)
    # scipy puts leaves at 5, 15, 25, ...
    along, up = (np.asarray(drawn[name]) for name in ("icoord", "dcoord"))
    along = (along - 5.0) / 10.0
    points = np.stack([up, along] if sideways else [along, up], axis=-1)
    ax.add_collection(LineCollection(list(points), colors=INK, linewidths=0.7))
    n, most = len(drawn["leaves"]), 1.02 * float(up.max()) or 1.0
    if sideways:
        ax.set_xlim(0.0, most)
        ax.set_ylim(n - 0.5, -0.5)
    else:
        ax.set_xlim(-0.5, n - 0.5)
        ax.set_ylim(0.0, most)
    ax.axis("off")

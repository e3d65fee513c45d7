"""The exons of one gene, beside one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import FAINT, INK, UP, axes, styled, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: With more exons than this not every one is named.
_NAMED = 40


@styled
def splice(
    fit: Any,
    *,
    coef: int | str = -1,
    gene: str | None = None,
    rank: int = 1,
    fdr: float = 0.05,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how the log fold changes of the exons of a gene differ from the rest of it (limma's plotSplice).

    Exons below `fdr` are coloured, and larger the smaller their p-value.

    Parameters
    ----------
    fit
        Of ``fe.limma.diff_splice``.
    coef
        Which coefficient or contrast.
    gene
        The gene; by default that of `rank`.
    rank
        Which gene, from 1, in the order of the F tests.
    fdr
        False discovery rate, over the exons of all genes, below which an exon is marked.
    title
        By default the gene.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Exons on the x axis; the numbers are those of ``fe.limma.splice_points``.

    Raises
    ------
    BadInputError
        The fit holds no tests of splicing, or there is no such rank.
    MissingKeyError
        No such gene with several exons.
    """
    from ..limma._points import splice_points

    points = splice_points(fit, coef, gene, rank=rank, fdr=fdr)
    n = len(points)
    at, change = np.arange(n), points["log_fc"].to_numpy()
    found = points["significant"].to_numpy(dtype=bool)
    ax = axes(ax, (min(2.4 + 0.22 * n, 9.0), 3.2))
    ax.axhline(0.0, color=INK, lw=0.6, ls=":")
    ax.plot(at, change, color=FAINT, lw=0.9, zorder=1)
    ax.scatter(at[~found], change[~found], s=14, color=INK, linewidths=0, zorder=2)
    sizes = _sizes(points["p_value"].to_numpy()[found])
    ax.scatter(at[found], change[found], s=sizes, color=UP, linewidths=0, zorder=3)
    step = -(-n // _NAMED)
    names = [str(exon) for exon in points["exon"]]
    ax.set_xticks(at[::step], names[::step], rotation=90 if max(map(len, names)) > 2 else 0)
    ax.set_xlim(-0.6, n - 0.4)
    words = f"{points.attrs['gene']}, {list(fit.coef_names)[fit.coef_index(coef)]}"
    note = f"{n} exons, {found.sum() or 'none'} at FDR < {100 * fdr:g} %"
    ylabel = "relative log2 fold change"
    return tidy(ax, title=words if title is None else title, xlabel="exon", ylabel=ylabel, note=note)


def _sizes(p_value: Any) -> Any:
    """Areas of points that grow with the evidence, none too large to tell neighbours apart."""
    evidence = -np.log10(np.maximum(p_value, 1e-300))
    return 18.0 + 42.0 * np.minimum(evidence / 10.0, 1.0)

"""Figures of results, in one style.

Every function takes a table of tests (of :meth:`ferrocyte.lmm.Fit.contrast` or :meth:`~ferrocyte.lmm.Fit.test`) or a
study, draws on matplotlib axes (`ax=`, or those of a new figure), returns them, and never shows or saves: compose
them, change them, then :func:`save`, which embeds fonts. Colours can be told apart with every kind of colour vision;
many points are rasterised, so that a vector file stays small; matplotlib's own settings stay as they are.

===========================  ==============================================================================
:func:`volcano`              size of the effect against evidence, for one group and contrast
:func:`volcano_grid`         the same for every group, on shared axes
:func:`qq`                   p-values against what chance would give
:func:`p_histogram`          distribution of p-values
:func:`heatmap_top`          the first genes of each group, over all groups
:func:`plot_gene`            one gene by condition: samples, donors, cells
:func:`variance_shares`      what accounts for the variance of genes: fixed effects, random terms, residual
:func:`variance_shares_top`  the same for the genes of which one part accounts for most
:func:`qq_normal`            z values against the normal distribution
:func:`prior`           the variance between units of each gene, and its distribution over genes
:func:`style`                the style, for figures of one's own
:func:`save`                 a file, fonts embedded
===========================  ==============================================================================
"""

from __future__ import annotations

from ._gene import plot_gene
from ._heatmap import heatmap_top
from ._prior import prior
from ._quantiles import p_histogram, qq, qq_normal
from ._shares import variance_shares, variance_shares_top
from ._style import PALETTE, save, style
from ._volcano import volcano, volcano_grid

__all__ = [
    "PALETTE",
    "heatmap_top",
    "p_histogram",
    "plot_gene",
    "prior",
    "qq",
    "qq_normal",
    "save",
    "style",
    "variance_shares",
    "variance_shares_top",
    "volcano",
    "volcano_grid",
]

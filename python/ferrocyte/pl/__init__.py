"""Figures of results, in one style.

Every function draws on matplotlib axes (`ax=`, or a new figure), returns them, and never shows or saves: compose them,
change them, then :func:`save`, which embeds fonts. Colours can be told apart with every kind of colour vision; many
points are rasterised, so that a vector file stays small.

=====================  ===============================================================
:func:`volcano`        size of the effect against evidence, for one group and contrast
:func:`qq`             p-values against what chance would give
:func:`p_histogram`    distribution of p-values
:func:`plot_gene`      one gene by condition: samples, donors, cells
:func:`heatmap_top`    the first genes of each group, over all groups
:func:`qq_normal`      z values against the normal distribution
:func:`save`           a file, fonts embedded
=====================  ===============================================================
"""

from __future__ import annotations

from ._gene import plot_gene
from ._heatmap import heatmap_top
from ._style import PALETTE, save, style
from ._tests import p_histogram, qq, qq_normal, volcano

__all__ = ["PALETTE", "heatmap_top", "p_histogram", "plot_gene", "qq", "qq_normal", "save", "style", "volcano"]

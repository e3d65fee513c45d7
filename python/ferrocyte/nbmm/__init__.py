r"""Negative-binomial mixed models of counts: which genes respond, given that cells come from donors.

Model, per gene: the count of cell j of donor i is negative binomial with mean :math:`o_j e^{x_j'b + w_i}` and variance
:math:`\mu + \tau \mu^2`; :math:`w_i \sim N(0, s_2)`. The marginal likelihood is exact, and depends on the cells only
through sums (:class:`Sums`) that one pass over the matrix collects, so that a fit costs nothing per cell.

AnnData goes in as cells x genes; results are genes x coefficients, natural logarithms of the mean.

===================================  ====================================================================
:func:`fit`                          models of all genes, of all groups
:func:`sums`                         the sums alone: to store, to merge, to share without cells
===================================  ====================================================================
"""

from __future__ import annotations

from ._fit import fit
from ._result import Fit, Residuals
from ._sums import Sums, sums

__all__ = ["Fit", "Residuals", "Sums", "fit", "load", "sums"]

load = Fit.load

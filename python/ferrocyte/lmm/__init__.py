r"""Linear mixed models of many genes: which genes respond, given that cells come from donors.

Model, per gene: :math:`y = X b + Z_1 u_1 + \dots + Z_k u_k + e` with :math:`u_i \sim N(0, \sigma_i^2 I)` and
:math:`e \sim N(0, \sigma_0^2 I)` over cells. The likelihood depends on the cells only through sums (:class:`Sums`)
that one pass over the matrix collects, so that the fit itself costs nothing per cell.

AnnData goes in as cells x genes; results are genes x coefficients. Estimates are in the unit of the transformed
counts, by default *difference of ln(1 + count)*, which is not a log2 fold change.

===================================  ====================================================================
:func:`check`                        what a design can tell, before any count is read
:func:`fit`                          models of all genes, of all groups
:meth:`Fit.contrast`                 one level of a factor against another, as a table
:meth:`Fit.test`                     any linear expression of coefficients
:meth:`Fit.test_joint`               several coefficients, or a term, at once
:meth:`Fit.test_components`          whether a variance is above zero
:meth:`Fit.variance_shares`          what accounts for the variance of each gene
:meth:`Fit.compare`                  two models of the same cells
:func:`sums`, :func:`sums_from_arrays`  the sums alone: to store, to merge, to share without cells
:func:`simulate`                     counts of which the truth is known: :func:`ferrocyte.sim.study`
===================================  ====================================================================

References
----------
FLASH-MM, for the idea of the sums; Smyth (2004), doi 10.2202/1544-6115.1027, for moderated tests; Satterthwaite (1946),
doi 10.2307/3002019, for degrees of freedom.
"""

from __future__ import annotations

from ..sim import study as simulate
from ._check import Check, check
from ._fit import fit
from ._result import Fit
from ._sums import Sums, sums, sums_from_arrays

__all__ = ["Check", "Fit", "Sums", "check", "fit", "load", "simulate", "sums", "sums_from_arrays"]

load = Fit.load

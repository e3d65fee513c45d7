"""Heritability by environment: mixed models of traits with one kinship (GxEMM, Dahl et al. 2020).

* :func:`fit`: genetic and noise variances of all people and of each environment, by ``reml``, moments (``he``) or, for
  cases and controls, ``pcgc``, to a :class:`GxemmResult`.
* :func:`kinship`: a kinship from a file of it, or from PLINK genotypes.
* :func:`waldtest`, :func:`mvwaldtest`, :func:`h2_equal_test`: tests of estimates.
* :func:`lrtest`: two fits compared by their likelihoods, also where variances lie on their boundary.

The names and the parametrisation of the R package GxEMM are in :mod:`ferrocyte.compat.gxemm`.
"""

from __future__ import annotations

from ._fit import fit
from ._kinship import kinship
from ._result import GxemmResult, load
from ._tests import h2_equal_test, lrtest, mvwaldtest, waldtest

__all__ = ["GxemmResult", "fit", "h2_equal_test", "kinship", "load", "lrtest", "mvwaldtest", "waldtest"]

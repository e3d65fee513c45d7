"""Cell type-specific mixed models: which genes vary between people, in all cell types alike or in some only (CTMM).

Arrays are genes × individuals × cell types. The road of a study:

* :func:`prepare`: from cells to :class:`Pseudobulk`, means per individual and cell type with the variance of each mean.
* :func:`fit`: models of all genes at once, by moments (``he``), ``reml`` or ``ml``, to a :class:`CtmmResult`.
* :func:`score_tests`: score tests that hold their level with few individuals.
* :func:`lrt`: two fits compared by their likelihoods.

The peer's names (``op.free_HE``, ``ctp.full_ML``, ..) are in :mod:`ferrocyte.compat.ctmm`.
"""

from __future__ import annotations

from ._fit import fit, lrt, score_tests
from ._prepare import prepare
from ._result import CtmmResult, load
from ._study import Pseudobulk

__all__ = ["CtmmResult", "Pseudobulk", "fit", "load", "lrt", "prepare", "score_tests"]

"""Non-negative matrix factorisation: cells as sums of programs.

A matrix of cells × genes becomes usages (cells × programs) times spectra (programs × genes), all at least 0.

* :func:`fit`: one or more ranks, one or more starts each, from an AnnData, a file or a matrix. Replicas share the
  matrix and are iterated together.
* :func:`fit_given`: from given factors, or with one of them held.
* :class:`NMF`: one factorisation with the face of ``sklearn.decomposition.NMF``, for pipelines. The same start gives
  the same iterates.

Results depend on matrix, options and seed only: not on threads, nor on what else is fitted in the same call.
"""

from __future__ import annotations

from ._estimator import NMF
from ._fit import fit
from ._given import fit_given
from ._result import NmfResult, load

__all__ = ["NMF", "NmfResult", "fit", "fit_given", "load"]

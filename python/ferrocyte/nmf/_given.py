"""Factorisations from given factors, and fits of one factor while the other is held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _core
from .._run import means
from .._sources import matrix_of
from ..errors import BadInputError, UnsupportedError
from ._fit import _described, _whole
from ._request import Request
from ._result import Factors, NmfResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fit_given"]


def fit_given(
    data: Any,
    W: Any = None,
    H: Any = None,
    *,
    fixed: Literal["W", "H"] | None = None,
    refit: Literal["exact", "peer"] = "exact",
    beta_loss: str | float = "frobenius",
    solver: Literal["auto", "cd", "accelerated", "mu"] = "auto",
    sweeps: int = 4,
    tol: float = 1e-4,
    max_iter: int = 1000,
    alpha_w: float = 0.0,
    alpha_h: float = 0.0,
    l1_ratio: float = 0.0,
    precision: Literal["double", "single"] = "double",
    layer: str | None = None,
    mask_var: str | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> NmfResult:
    """Factorise a matrix of cells × genes from given factors, or find one factor while the other stays.

    Parameters
    ----------
    data
        As :func:`fit` takes it. With ``fixed="W"`` in memory.
    W, H
        Usages, cells × programs, and spectra, programs × genes: where iterations begin, both; or the one that is held.
    fixed
        Which factor stays as it is; ``None``: neither.
    refit
        With a fixed factor: ``"exact"`` finds the optimum, which is the only one, of every cell (or gene);
        ``"peer"`` ends by the stopping rule. Exact refits are those of losses with 1 <= beta <= 2.
    beta_loss, solver, sweeps, tol, max_iter, alpha_w, alpha_h, l1_ratio, precision, layer, mask_var
        As :func:`fit` takes them.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    NmfResult
        With one replica, whose seed is 0 and whose explained share is missing.

    Raises
    ------
    BadInputError
        Where factors are missing, of another size, negative or not finite.
    UnsupportedError
        Where W is held and the matrix is in a file.

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(60, 20))
    >>> H = fe.nmf.fit(counts, 3).spectra().to_numpy()
    >>> fe.nmf.fit_given(counts, H=H, fixed="H").usages().shape
    (60, 3)
    """
    matrix, cells, genes, name, fingerprint = _described(data, layer, mask_var)
    n, g = matrix.shape if matrix.genes is None else (matrix.shape[0], len(matrix.genes))
    w, h = _factor(W, "W"), _factor(H, "H")
    _check(w, h, fixed, n, g)
    held_w = fixed == "W"
    request = Request(
        beta_loss=str(beta_loss),
        solver=solver,
        sweeps=_whole(sweeps, "sweeps"),
        tol=float(tol),
        max_iter=_whole(max_iter, "max_iter"),
        # With W held the matrix is turned over, and with it the penalties.
        alpha_w=float(alpha_h if held_w else alpha_w),
        alpha_h=float(alpha_w if held_w else alpha_h),
        l1_ratio=float(l1_ratio),
        precision=precision,
    )
    way = means(n_threads, max_memory, progress=progress)
    if fixed is None:
        k = len(h)
        (w, h), n_iter, loss, status = _core.nmf_factorise(matrix, k, ("random", 0, (w, h)), request, way)
    elif fixed == "H":
        w, n_iter, loss, status = _core.nmf_refit(matrix, h, refit, request, way)
    else:
        turned = matrix_of(_turned(data, layer, mask_var), name)
        columns, n_iter, loss, status = _core.nmf_refit(turned, np.ascontiguousarray(w.T), refit, request, way)
        h = np.ascontiguousarray(columns.T)
    k = len(h)
    options = {"fixed": fixed or "", "refit": refit if fixed else "", **request.__dict__}
    return NmfResult(
        replicas=_table(k, n_iter, loss, status),
        factors={(k, 0): Factors(w, h)},
        cells=[str(cell) for cell in cells],
        genes=[str(gene) for gene in genes],
        provenance={
            "method": "nmf.fit_given",
            "options": {**options, "layer": layer or "X", "mask_var": mask_var or ""},
            "inputs": [{"name": name, "fingerprint": fingerprint}],
        },
    )


def _factor(values: Any, place: str) -> Any:
    if values is None:
        return None
    factor = np.ascontiguousarray(np.asarray(values), dtype=np.float64)
    if factor.ndim != 2 or not np.isfinite(factor).all() or factor.min(initial=0.0) < 0.0:
        message = f"a factor is a matrix of finite values >= 0, found an array of shape {factor.shape}"
        raise BadInputError(message, place=place)
    return factor


def _check(w: Any, h: Any, fixed: Any, n: int, g: int) -> None:
    """Refuse factors that are missing or do not fit."""
    if fixed not in (None, "W", "H"):
        message = f"expected 'W', 'H' or None, found {fixed!r}"
        raise BadInputError(message, place="fixed")
    needed = {None: (w, h), "W": (w,), "H": (h,)}[fixed]
    if any(factor is None for factor in needed):
        message = "a start needs W and H" if fixed is None else f"{fixed} is to be held, and is not given"
        raise BadInputError(message, place="W" if w is None and fixed != "H" else "H")
    if w is not None and len(w) != n:
        message = f"expected usages of {n} cells, found {len(w)}"
        raise BadInputError(message, place="W")
    if h is not None and h.shape[1] != g:
        message = f"expected spectra of {g} genes, found {h.shape[1]}"
        raise BadInputError(message, place="H")
    if fixed is None and w.shape[1] != len(h):
        message = f"W has {w.shape[1]} programs and H {len(h)}"
        raise BadInputError(message, place="H")


def _turned(data: Any, layer: str | None, mask_var: str | None) -> Any:
    """Genes × cells, of what is in memory."""
    if not hasattr(data, "var_names"):
        if not hasattr(data, "T"):
            message = "W can be held for a matrix in memory only"
            raise UnsupportedError(message, place="data", hint="read the study first")
        return data.T.to_numpy() if hasattr(data, "to_numpy") else data.T
    if getattr(data, "isbacked", False):
        message = "W can be held for a matrix in memory only"
        raise UnsupportedError(message, place="data", hint="call to_memory() first")
    values = data.X if layer in (None, "X") else data.layers[layer]
    if mask_var is not None:
        values = values[:, np.flatnonzero(data.var[mask_var].to_numpy(dtype=bool))]
    return values.T


def _table(k: int, n_iter: int, loss: float, status: str) -> pd.DataFrame:
    import pandas as pd

    reasons = {word: sentence for word, _, sentence in _core.nmf_statuses()}
    return pd.DataFrame(
        {
            "k": [k], "replica": [0], "seed": [0], "iterations": [n_iter], "objective": [loss],
            "explained": [np.nan], "best": [True], "status": [status], "reason": [reasons[status]],
        }
    )  # fmt: skip

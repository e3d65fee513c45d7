"""Factorisations of a study: several ranks, several starts, the best of each."""

from __future__ import annotations

import numbers
import os
from typing import TYPE_CHECKING, Any, Literal

from .. import _core
from .._run import means
from .._sources import matrix_of, open_source
from .._tables import frame
from ..errors import BadInputError
from ._request import Replicas, Request
from ._result import Factors, NmfResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._sources import Matrix

__all__ = ["fit"]


def fit(
    data: Any,
    k: int | Iterable[int],
    *,
    n_replicas: int = 1,
    seed: int = 0,
    init: Literal["random", "nndsvd", "nndsvda", "nndsvdar"] = "random",
    beta_loss: str | float = "frobenius",
    solver: Literal["auto", "cd", "accelerated", "mu"] = "auto",
    sweeps: int = 4,
    tol: float = 1e-4,
    max_iter: int = 1000,
    alpha_w: float = 0.0,
    alpha_h: float = 0.0,
    l1_ratio: float = 0.0,
    precision: Literal["double", "single"] = "double",
    keep: Literal["best", "all"] = "best",
    layer: str | None = None,
    mask_var: str | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> NmfResult:
    """Factorise a matrix of cells × genes at one or more ranks, from one or more starts each.

    Parameters
    ----------
    data
        An AnnData (in memory, a view, backed), the path of a study, which is streamed, or a matrix of cells × genes
        (numpy, scipy sparse). Values are at least 0: counts, or counts over the standard deviations of genes.
    k
        How many programs: one number or several.
    n_replicas
        Factorisations of each `k`, each from a start of its own. All of them are iterated together.
    seed
        From which the seeds of the starts are drawn.
    init
        ``"random"`` numbers, or singular vectors.
    beta_loss
        What is made small: ``"frobenius"``, ``"kullback-leibler"``, ``"itakura-saito"`` or the beta of a divergence.
    solver
        ``"cd"``: coordinate descent, for the squared norm. ``"accelerated"``: the same with several sweeps for each
        pass over the matrix; fewer passes, other local optima for some starts. ``"mu"``: multiplicative updates.
        ``"auto"``: ``"cd"`` where it is possible.
    sweeps
        How many sweeps the accelerated solver makes for each pass.
    tol
        Iterations end when what they change falls to this share of what the first changed.
    max_iter
        The most iterations. Replicas that use them up have the status ``max_iter``.
    alpha_w, alpha_h, l1_ratio
        Penalties on usages (for each gene) and on spectra (for each cell), and the share of them that is on sums; the
        rest is on squares.
    precision
        ``"double"`` meets the digits of others, ``"single"`` is twice as fast.
    keep
        Factors of which replicas: of the best of each `k`, or of all.
    layer
        The matrix of an AnnData or file.
    mask_var
        Column of var that says which genes are used, such as ``"highly_variable"``.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    NmfResult
        Factors, and how every replica came about. `data` is not touched.

    Raises
    ------
    BadInputError
        Where a value is missing, infinite or negative (its cell and gene are named), a `k` exceeds the smaller side of
        the matrix, or a loss needs values above 0.

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> counts = np.random.default_rng(0).poisson(2.0, size=(60, 20))
    >>> found = fe.nmf.fit(counts, k=[2, 3], n_replicas=4)
    >>> found.usages(3).shape, found.spectra(3).shape
    ((60, 3), (3, 20))
    """
    matrix, cells, genes, name, fingerprint = _described(data, layer, mask_var)
    request = Request(
        beta_loss=str(beta_loss),
        solver=solver,
        sweeps=_whole(sweeps, "sweeps"),
        tol=float(tol),
        max_iter=_whole(max_iter, "max_iter"),
        alpha_w=float(alpha_w),
        alpha_h=float(alpha_h),
        l1_ratio=float(l1_ratio),
        precision=precision,
    )
    ks = [k] if isinstance(k, numbers.Number) else list(k)  # type: ignore[arg-type]
    replicas = Replicas(
        k=[_whole(one, "k") for one in ks],
        n_replicas=_whole(n_replicas, "n_replicas"),
        seed=_whole(seed, "seed"),
        init=init,
        keep=keep,
    )
    labels = ([str(cell) for cell in cells], [str(gene) for gene in genes])
    made = _core.nmf_fit(matrix, labels, request, replicas, means(n_threads, max_memory, progress=progress))
    provenance = made["provenance"]
    provenance["options"].update({"layer": layer or "X", "mask_var": mask_var or ""})
    provenance["inputs"] = [{"name": name, "fingerprint": fingerprint}]
    return NmfResult(
        replicas=frame(made["replicas"]),
        factors={(rank, replica): Factors(w, h) for rank, replica, w, h in made["fits"]},
        cells=labels[0],
        genes=labels[1],
        provenance=provenance,
    )


def _described(data: Any, layer: str | None, mask_var: str | None) -> tuple[Matrix, list[Any], list[Any], str, str]:
    """The matrix, the names of its cells and genes, its name and fingerprint."""
    from dataclasses import replace

    if not isinstance(data, (str, os.PathLike, list, tuple)) and not hasattr(data, "var_names"):
        if layer is not None or mask_var is not None:
            message = f"{type(data).__name__} has neither layers nor var"
            raise BadInputError(message, place="layer" if layer is not None else "mask_var")
        cells: list[Any] = []
        genes: list[Any] = []
        if hasattr(data, "columns") and hasattr(data, "to_numpy"):
            cells, genes, data = list(data.index), list(data.columns), data.to_numpy()
        matrix = matrix_of(data, "matrix")
        n, g = matrix.shape
        return matrix, cells or list(range(n)), genes or list(range(g)), "matrix", f"{n} x {g}"
    source = open_source(data, layer)
    matrix, genes = source.matrix, list(source.genes)
    cells = list(data.obs_names) if hasattr(data, "obs_names") else matrix.content[1].obs_names()
    if mask_var is not None:
        chosen = [i for i, kept in enumerate(source.mask(mask_var)) if kept]
        shown = matrix.genes
        matrix = replace(matrix, genes=[shown[i] if shown is not None else i for i in chosen])
        genes = [genes[i] for i in chosen]
    return matrix, cells, genes, matrix.name, source.fingerprint


def _whole(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not 0 <= int(value) < 2**32:
        message = f"expected a whole number from 0 up, found {value!r}"
        raise BadInputError(message, place=place)
    return int(value)

"""Principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._keys import DIALECTS, keys
from .._run import means
from ..errors import BadInputError, UnsupportedError
from ._study import cells_and_genes, matrix, refuse, seed_of, selected, to_change, truths, whole

if TYPE_CHECKING:
    import anndata as ad

    from .._keys import Style

_SOLVERS = ("arpack", "auto", "covariance_eigh", "full", "lobpcg", "randomized", "tsqr")


class _HighlyVariable:
    """The default of `mask_var`: the variable genes, if they have been found."""

    def __repr__(self) -> str:
        return "highly variable genes, if found"


_DEFAULT = _HighlyVariable()


def pca(
    data: ad.AnnData,
    n_comps: int | None = None,
    *,
    layer: str | None = None,
    zero_center: bool = True,
    svd_solver: str | None = None,
    chunked: bool = False,
    chunk_size: int | None = None,
    random_state: int = 0,
    return_info: bool = False,
    mask_var: Any = _DEFAULT,
    use_highly_variable: bool | None = None,
    dtype: Any = "float32",
    key_added: str | None = None,
    copy: bool = False,
    scale: bool = False,
    max_value: float | None = None,
    style: Style = "scanpy",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Find the principal components of cells, without a dense matrix.

    The covariance of the genes is summed up in one pass, in 64 bits, and its leading eigenvectors are found: nothing is
    random, and the largest entry of each loading vector is positive.

    Parameters
    ----------
    data
        An AnnData, cells × genes, in memory, a view or backed.
    n_comps
        How many; ``None`` is 50, or one less than there are cells or genes.
    layer
        The matrix; ``None`` is X.
    zero_center
        Only ``True``.
    svd_solver
        Any of scanpy's words: all stand for the same components, which are found as above.
    chunked, chunk_size
        Have no effect: cells are always read block by block.
    random_state
        Has no effect: nothing is random.
    return_info
        Has no effect: an AnnData always gains everything.
    mask_var
        Column of var, or truth values of genes: the genes that are used. By default the variable ones, if they have
        been found; ``None`` is all.
    use_highly_variable
        The older word: ``True`` is ``mask_var="highly_variable"``, ``False`` is ``None``.
    dtype
        Type of the scores.
    key_added
        Name in obsm, varm and uns instead of the usual ones.
    copy
        Whether a copy gains the results and is returned.
    scale, max_value
        Whether genes are first brought to variance 1, and clipped, as :func:`scale` does it (``style="exprmat"``: with
        the standard deviation of the population).
    style
        The dialect in which results are named; ``"exprmat"`` keeps scores in 64 bits.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None or anndata.AnnData
        With `copy` the copy. obsm gains ``X_pca`` (cells × components), varm ``PCs`` (genes × components, 0 for genes
        that are not used), uns ``pca`` (``params``, ``variance``, ``variance_ratio``).

    Raises
    ------
    BadInputError
        Where values are missing or infinite, or as many components are asked for as there are cells or genes.
    MissingKeyError
        Where a layer or column does not exist.
    TooLargeError
        Where there are too many genes for their covariance: choose variable ones first.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> fe.pp.log_normalize(cells)
    >>> fe.pp.pca(cells, n_comps=5)
    >>> cells.obsm["X_pca"].shape, cells.varm["PCs"].shape
    ((240, 5), (60, 5))
    """
    refuse("zero_center", zero_center, "components are those of the covariance", "leave it at True", usual=True)
    _check_words(svd_solver)
    seed_of(random_state)
    names = keys(style)
    adata = to_change(data, copy=copy)
    source = matrix(adata, layer)
    mask, used = _mask(adata, mask_var, use_highly_variable, style)
    if mask is not None:
        source = selected(adata, source, mask)
    scaled = (0 if style == "exprmat" else 1, None if max_value is None else float(max_value)) if scale else None
    if max_value is not None and not scale:
        message = "max_value clips standardised values, and scale=False"
        raise BadInputError(message, place="max_value", hint="give scale=True too")
    n_comps = None if n_comps is None else whole(n_comps, "n_comps")
    labels = cells_and_genes(adata)
    if mask is not None:
        labels = labels._replace(genes=[name for name, kept in zip(labels.genes, mask, strict=True) if kept])
    found = _core.cells_pca(source, labels, n_comps, scaled, means(n_threads, max_memory, progress=progress))
    double = style == "exprmat"
    scores = found["scores"].astype(np.float64 if double else dtype)
    values = adata.X if layer is None else adata.layers[layer]
    variances = np.float64 if double or values.dtype == np.float64 else np.dtype(dtype)
    params: dict[str, Any] = {"zero_center": True, "use_highly_variable": mask is not None, "mask_var": used}
    if layer is not None:
        params["layer"] = layer
    if scale:
        params.update({"scale": True, "max_value": max_value})
    info = {
        "params": params,
        "variance": found["variance"].astype(variances),
        names.variance_ratio: found["variance_ratio"].astype(variances),
    }
    if names.singular is not None:
        info[names.singular] = found["singular_values"]
    adata.obsm[key_added or names.pca] = scores
    adata.varm[key_added or names.loadings] = _loadings(adata.n_vars, found["loadings"], mask)
    adata.uns[key_added or "pca"] = info
    return adata if copy else None


def _check_words(svd_solver: str | None) -> None:
    if svd_solver is not None and svd_solver not in _SOLVERS:
        message = f"there is no solver `{svd_solver}`"
        raise UnsupportedError(message, place="svd_solver", hint="leave it out: components are found exactly")


def _mask(
    adata: ad.AnnData, mask_var: Any, use_highly_variable: Any, style: str
) -> tuple[np.ndarray[Any, Any] | None, str | None]:
    """The genes that are used, all if ``None``, and the name of the column that marks them."""
    if use_highly_variable is not None:
        if mask_var is not _DEFAULT:
            message = "use_highly_variable and mask_var say the same thing"
            raise BadInputError(message, place="mask_var", hint="give mask_var")
        mask_var = keys(style).hvg["highly_variable"] if use_highly_variable else None
    if mask_var is _DEFAULT:
        known = [keys(s).hvg["highly_variable"] for s in (style, *DIALECTS)]
        mask_var = next((name for name in known if name in adata.var), None)
    if mask_var is None:
        return None, None
    mask = truths(adata, mask_var, "mask_var")
    if not mask.any():
        message = "no gene is marked"
        raise BadInputError(message, place="mask_var", hint="give None to use all genes")
    return mask, mask_var if isinstance(mask_var, str) else None


def _loadings(n_genes: int, loadings: np.ndarray[Any, Any], mask: np.ndarray[Any, Any] | None) -> Any:
    """Genes × components, 0 for genes that are not used."""
    if mask is None:
        return np.ascontiguousarray(loadings.T)
    full = np.zeros((n_genes, loadings.shape[0]))
    full[mask] = loadings.T
    return full

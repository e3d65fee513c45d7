"""The functions of the R package FLASHMM, by their names: ``lmm``, ``lmmfit``, ``flashmm``, ``sslmm``, ``lmmtest``, ...

Orientation is theirs: **genes x cells in, coefficients x genes out**. Dots in the names of arguments are underscores
(``max.iter`` is `max_iter`, ``is.counts`` is `is_counts`). What differs, on purpose:

* Covariates and random effects in any unit give the right answer (there, coefficients and components of badly scaled
  columns are silently wrong).
* No gene stops the others: `status` tells what became of each, and its numbers are NaN where there is no estimate.
* p-values here have n - p degrees of freedom, as there. For tests between samples use :func:`ferrocyte.lmm.fit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError, MissingKeyError
from ..lmm import Fit, Sums, sums_from_arrays
from ..lmm._fit import HowFitted
from ._simu_rnaseq import simu_rnaseq

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

__all__ = ["LmmFit", "contrast_matrix", "flashmm", "lmm", "lmmfit", "lmmtest", "simu_rnaseq", "sslmm"]

_MAX_ITER, _EPSILON = 50, 1e-5


class LmmFit:
    """What ``lmm`` returns: tables of coefficients x genes, by the names of the R package.

    Attributes
    ----------
    coef, se, t, p
        Estimates of the fixed effects, standard errors, t, two-sided p with `df` degrees of freedom; p x m.
    df
        n - p, one number.
    theta, se_theta, dlogL
        Variance components (``var1 .. vark, var0``), standard errors, gradient; (k + 1) x m.
    logLik, niter, status
        One per gene.
    df_satterthwaite
        Satterthwaite's degrees of freedom; p x m (not in the R package).
    RE
        Predicted random effects, q x m, if asked for; else ``None``.
    summary_data
        The sums, if asked for; else ``None``.
    """

    def __init__(self, fit: Fit, *, cov: bool, FIM: bool, RE: bool, SS: bool) -> None:
        self._fit = fit
        self.coef: pd.DataFrame = fit.coef.T
        self.se: pd.DataFrame = fit.se.T
        self.t: pd.DataFrame = fit.t.T
        self.p: pd.DataFrame = fit.p.T
        self.df_satterthwaite: pd.DataFrame = fit.df_satterthwaite.T
        self.df = float(fit._groups[0]["n_cells"] - len(fit.coefficients))
        self.theta: pd.DataFrame = fit.theta.T
        self.se_theta: pd.DataFrame = fit.se_theta.T
        self.dlogL: pd.DataFrame = fit.dlogL.T
        self.logLik: pd.Series[Any] = fit.log_likelihood.rename("logLik")
        self.niter: pd.Series[Any] = fit.n_iter.rename("niter")
        self.status: pd.Series[Any] = fit.status
        self.RE: pd.DataFrame | None = fit.random_effects().T if RE else None
        self.summary_data = Sums(fit._core.sums()).arrays() if SS else None
        self._wanted = {"cov": cov, "FIM_beta": FIM, "FIM_theta": FIM}
        self._made: dict[str, Any] | None = None

    @property
    def cov(self) -> Any:
        """Covariance of the fixed effects, p x p x m, formed when it is first looked at; ``None`` if not asked for."""
        return self._matrix("cov")

    @property
    def FIM_beta(self) -> Any:  # noqa: N802 -- the name of the R package
        """Information of the fixed effects, p x p x m; ``None`` if not asked for."""
        return self._matrix("FIM_beta")

    @property
    def FIM_theta(self) -> Any:  # noqa: N802 -- the name of the R package
        """Information of the variance components, (k + 1) x (k + 1) x m; ``None`` if not asked for."""
        return self._matrix("FIM_theta")

    def _matrix(self, name: str) -> Any:
        if not self._wanted[name]:
            return None
        if self._made is None:
            found = self._fit._core.matrices(0, means(progress=False))
            # Genes last, as in R.
            self._made = {name: np.moveaxis(array, 0, -1) for name, array in found.items()}
        return self._made[name]

    def __getitem__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(self, name):
            message = f"there is no `{name}`"
            raise MissingKeyError(message, place="fit")
        return getattr(self, name)

    def __repr__(self) -> str:
        return repr(self._fit)


def lmm(
    XX: Any,
    XY: Any,
    ZX: Any,
    ZY: Any,
    ZZ: Any,
    Ynorm: Any,
    n: int,
    d: int | Sequence[int] | None = None,
    method: str = "REML",
    theta0: Sequence[float] | None = None,
    max_iter: int = _MAX_ITER,
    epsilon: float = _EPSILON,
    *,
    output_cov: bool = True,
    output_FIM: bool = False,
    output_RE: bool = False,
    output_SS: bool = False,
    verbose: bool = False,
    n_threads: int | None = None,
) -> LmmFit:
    """Fit linear mixed models from sums.

    Parameters
    ----------
    XX, XY, ZX, ZY, ZZ
        X'X (p x p), X'Y' (p x m), Z'X (q x p), Z'Y' (q x m), Z'Z (q x q); data frames give the names.
    Ynorm
        Sums of squares, one per gene.
    n
        Number of cells.
    d
        Number of columns of each random component; by default all are one component.
    method
        ``"REML"`` or ``"ML"``.
    theta0, max_iter, epsilon
        Start (``s_1 .. s_k, s_0``), most evaluations and largest gradient of the published iteration. It is run only
        where one of them stops or starts it elsewhere; the exact solver, which needs none of them, is run otherwise
        (more iterations or a smaller gradient than the defaults could only come nearer to its answer).
    output_cov, output_FIM, output_RE, output_SS
        Whether `cov`, `FIM_beta` and `FIM_theta`, `RE`, `summary_data` are filled. (The covariances, p x p x genes,
        are large: they are formed when they are first looked at.)
    verbose
        Whether genes without an ordinary estimate are counted in a warning.
    n_threads
        Number of threads; by default all processors.

    Returns
    -------
    LmmFit

    Raises
    ------
    BadInputError
        Shapes that do not fit, numbers that are missing or infinite, dependent columns of X (named), a `theta0` of
        wrong length or with a residual variance that is not above zero.

    Examples
    --------
    >>> import numpy as np
    >>> from ferrocyte.compat.flashmm import lmmfit
    >>> rng = np.random.default_rng(1)
    >>> Z = np.repeat(np.eye(8), 25, axis=0)
    >>> X = np.column_stack([np.ones(200), np.repeat([0.0, 1.0], 100)])
    >>> fit = lmmfit(rng.normal(size=(30, 200)), X, Z)
    >>> fit.coef.shape, fit.theta.shape, fit.df
    ((2, 30), (2, 30), 198.0)
    """
    made = sums_from_arrays(XX=XX, ZX=ZX, ZZ=ZZ, XY=_turned(XY), ZY=_turned(ZY), Ynorm=Ynorm, n=n, d=d)
    resources = means(n_threads, None, progress=False)
    stop = None
    if theta0 is not None or max_iter < _MAX_ITER or epsilon > _EPSILON:
        start = None if theta0 is None else [float(s) for s in np.ravel(theta0)]
        stop = (int(max_iter), float(epsilon), start)
    core = _core.lmm_fit(made._core, HowFitted(method, "allow", moderate=False, min_cells=0), resources, stop)
    fit = LmmFit(Fit(core), cov=output_cov, FIM=output_FIM, RE=output_RE, SS=output_SS)
    if verbose:
        odd = fit.status[~fit.status.isin(["ok", "negative"])]
        if len(odd):
            from .._messages import warn

            warn(f"{len(odd)} genes without an ordinary estimate: {odd.value_counts().to_dict()}")
    return fit


def _turned(table: Any) -> Any:
    """Genes to the rows."""
    return table.T if hasattr(table, "T") else np.asarray(table).T


def sslmm(X: Any, Y: Any, Z: Any, nBlocks: int | None = None) -> dict[str, Any]:
    """Sums of a design given as arrays.

    Parameters
    ----------
    X
        Fixed effects, cells x p.
    Y
        Expression, genes x cells: array, data frame or scipy sparse matrix.
    Z
        Random effects, cells x q.
    nBlocks
        Accepted and not used: it never changed a number.

    Returns
    -------
    dict
        `n`, `XX`, `XY` (p x m), `ZX`, `ZY` (q x m), `ZZ`, `Ynorm`: what :func:`lmm` takes.

    Raises
    ------
    BadInputError
        Numbers of cells that differ; values that are missing or infinite.
    """
    del nBlocks
    import pandas as pd
    from scipy import sparse

    genes, values = _expression(Y)
    x, x_names = _design(X, "X", "x")
    z, z_names = _design(Z, "Z", "z")
    n = values.shape[1]
    for name, found in (("X", x.shape[0]), ("Z", z.shape[0])):
        if found != n:
            message = f"{found} rows, but Y has {n} cells"
            raise BadInputError(message, place=name)
    xz = np.hstack([x, z])
    p = x.shape[1]
    xy = np.asarray(values @ xz)
    norms = (
        np.asarray(values.multiply(values).sum(axis=1)).ravel() if sparse.issparse(values) else (values**2).sum(axis=1)
    )

    def table(entries: Any, rows: list[str], columns: list[str]) -> pd.DataFrame:
        return pd.DataFrame(entries, index=rows, columns=columns)

    return {
        "n": n,
        "XX": table(x.T @ x, x_names, x_names),
        "XY": table(xy[:, :p].T, x_names, genes),
        "ZX": table(z.T @ x, z_names, x_names),
        "ZY": table(xy[:, p:].T, z_names, genes),
        "ZZ": table(z.T @ z, z_names, z_names),
        "Ynorm": pd.Series(norms, index=genes),
    }


def _expression(Y: Any) -> tuple[list[str], Any]:
    """Names of the genes, and values genes x cells, all finite."""
    from scipy import sparse

    values: Any = sparse.csr_matrix(Y, dtype=np.float64) if sparse.issparse(Y) else np.asarray(Y, dtype=np.float64)
    if values.ndim != 2:
        message = f"expected genes x cells, found shape {values.shape}"
        raise BadInputError(message, place="Y")
    genes = [str(g) for g in Y.index] if hasattr(Y, "index") else [f"gene{i + 1}" for i in range(values.shape[0])]
    bad = ~np.isfinite(values.data if sparse.issparse(values) else values)
    if bad.any():
        if sparse.issparse(values):
            k = int(np.flatnonzero(bad)[0])
            row, cell = int(np.searchsorted(values.indptr, k, side="right")) - 1, int(values.indices[k])
        else:
            row, cell = (int(i) for i in np.argwhere(bad)[0])
        message = f"{int(bad.sum())} values are missing or infinite, the first of gene `{genes[row]}` in cell {cell}"
        raise BadInputError(message, place="Y", hint="replace or leave out these values")
    return genes, values


def _design(matrix: Any, name: str, stem: str) -> tuple[np.ndarray[Any, Any], list[str]]:
    array = np.asarray(matrix.todense() if hasattr(matrix, "todense") else matrix, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    columns = (
        [str(c) for c in matrix.columns]
        if hasattr(matrix, "columns")
        else [f"{stem}{i + 1}" for i in range(array.shape[1])]
    )
    bad = ~np.isfinite(array)
    if bad.any():
        j = int(np.flatnonzero(bad.any(axis=0))[0])
        message = f"column `{columns[j]}` is missing or infinite in {int(bad[:, j].sum())} cells"
        raise BadInputError(message, place=name, hint="leave those cells out, or fill the values in")
    return np.ascontiguousarray(array), columns


def lmmfit(
    Y: Any, X: Any, Z: Any, d: int | Sequence[int] | None = None, nBlocks: int | None = None, **options: Any
) -> LmmFit:
    """Fit linear mixed models to expression, with designs given as arrays.

    Parameters
    ----------
    Y
        Expression, genes x cells: array, data frame or scipy sparse matrix; it is modelled as it is.
    X, Z
        Fixed effects (cells x p) and random effects (cells x q).
    d
        Number of columns of each random component; by default all are one component.
    nBlocks
        Accepted and not used: it never changed a number.
    **options
        As of :func:`lmm`.

    Returns
    -------
    LmmFit
    """
    made = sslmm(X, Y, Z, nBlocks)
    return lmm(made["XX"], made["XY"], made["ZX"], made["ZY"], made["ZZ"], made["Ynorm"], made["n"], d=d, **options)


def flashmm(
    Y: Any,
    fixed: str,
    random: str | Sequence[str],
    metadata: pd.DataFrame,
    is_counts: bool = False,  # noqa: FBT001, FBT002 -- the position that it has in R
    method: str = "REML",
    nBlocks: int | None = None,
    **options: Any,
) -> LmmFit:
    """Fit linear mixed models to expression, with designs given as formulas.

    Parameters
    ----------
    Y
        Expression, genes x cells: array, data frame or scipy sparse matrix.
    fixed
        Fixed effects: ``"~ 0 + log(libsize) + cls + cls:trt"``.
    random
        Random effects: ``"~ 0 + sam"``, ``"(1 | sam)"``, or a list, a component each.
    metadata
        A row per cell. Text, categorical and boolean columns are factors, numbers are covariates.
    is_counts
        Whether log2(1 + count) is taken first.
    method
        ``"REML"`` or ``"ML"``.
    nBlocks
        Accepted and not used: it never changed a number.
    **options
        As of :func:`lmm`.

    Returns
    -------
    LmmFit

    Raises
    ------
    MissingKeyError
        A variable that is no column of `metadata`.
    BadInputError
        Numbers of cells that differ; missing values (column and number of cells).
    """
    del nBlocks
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    from ..lmm import sums

    if "~" in str(fixed).strip()[1:]:
        message = f"expected a formula such as `~ covariates`, found `{fixed}`"
        raise BadInputError(message, place="fixed")
    genes, values = _expression(Y)
    if len(metadata) != values.shape[1]:
        message = f"{len(metadata)} rows, but Y has {values.shape[1]} cells"
        raise BadInputError(message, place="metadata")
    _check_order(Y, metadata)
    cells = sparse.csr_matrix(values.T) if sparse.issparse(values) else np.ascontiguousarray(values.T)
    obs = metadata.copy(deep=False)
    obs.index = pd.RangeIndex(len(obs)).astype(str)
    adata = ad.AnnData(cells, obs=obs)
    adata.var_names = [f"{i}" for i in range(len(genes))]
    terms = [random] if isinstance(random, str) else list(random)
    made = sums(
        adata, str(fixed), random=[str(t) for t in terms], transform="log2p1" if is_counts else "none", progress=False
    )
    arrays = made.arrays()
    sizes = [len(columns) for _, columns in arrays["components"]]
    names = [name for _, columns in arrays["components"] for name in columns]
    fixed_names = arrays["coefficients"]

    def table(entries: Any, rows: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
        return pd.DataFrame(entries, index=list(rows), columns=list(columns))

    return lmm(
        table(arrays["XX"], fixed_names, fixed_names),
        table(arrays["XY"].T, fixed_names, genes),
        table(arrays["ZX"], names, fixed_names),
        table(arrays["ZY"].T, names, genes),
        table(arrays["ZZ"], names, names),
        arrays["Ynorm"],
        arrays["n"],
        d=sizes,
        method=method,
        **options,
    )


def _check_order(Y: Any, metadata: pd.DataFrame) -> None:
    """Cells that have names in both must stand in one order."""
    columns = getattr(Y, "columns", None)
    if columns is None:
        return
    left, right = [str(c) for c in columns], [str(c) for c in metadata.index]
    if set(left) == set(right) and left != right:
        at = next(i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a != b)
        message = f"cells stand in another order than in Y: cell {at} is `{right[at]}` here, `{left[at]}` there"
        raise BadInputError(message, place="metadata", hint="align them: metadata.loc[Y.columns]")


def lmmtest(
    fit: LmmFit,
    index: Sequence[str] | Sequence[int] | str | int | None = None,
    contrast: Any = None,
    alternative: str = "two.sided",
) -> pd.DataFrame:
    """Test coefficients or contrasts with n - p degrees of freedom.

    Parameters
    ----------
    fit
        What :func:`lmm`, :func:`lmmfit` or :func:`flashmm` returned.
    index
        The coefficients, by name or position from 0; by default all. Not used with `contrast`.
    contrast
        A vector of p weights, or a matrix p x r (its column names name the contrasts), such as that of
        :func:`contrast_matrix`.
    alternative
        ``"two.sided"``, ``"less"`` or ``"greater"``.

    Returns
    -------
    DataFrame
        Genes x 3 r: columns ``NAME_coef`` of all contrasts, then ``NAME_t``, then ``NAME_p``; the name of a bare
        vector is empty.

    Raises
    ------
    MissingKeyError
        No such coefficient.
    BadInputError
        The contrast has another number of weights than there are coefficients.
    """
    import pandas as pd

    names = list(fit.coef.index)
    weights, labels = _weights(names, index, contrast)
    found = fit._fit._core.estimates(0, weights, alternative, means(progress=False))
    columns = [f"{label}_{what}" for what in ("coef", "t", "p") for label in labels]
    return pd.DataFrame(np.hstack([found["estimate"], found["t"], found["p"]]), index=fit.coef.columns, columns=columns)


def _weights(names: list[str], index: Any, contrast: Any) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Contrasts x coefficients, and the names of the contrasts."""
    p = len(names)
    if contrast is not None:
        array = np.asarray(contrast, dtype=np.float64)
        if array.ndim == 1:
            labels, array = [""], array[:, None]
        elif hasattr(contrast, "columns"):
            labels = [str(c) for c in contrast.columns]
        else:
            labels = ["" if array.shape[1] == 1 else f"contrast{j + 1}" for j in range(array.shape[1])]
        if array.shape[0] != p:
            message = f"{array.shape[0]} weights for {p} coefficients"
            raise BadInputError(message, place="contrast")
        return np.ascontiguousarray(array.T), labels
    chosen = range(p) if index is None else [index] if isinstance(index, (str, int)) else list(index)
    positions = []
    for one in chosen:
        if isinstance(one, str) and one not in names:
            message = f"there is no coefficient `{one}`"
            raise MissingKeyError(message, place="index", hint=f"there are {', '.join(f'`{name}`' for name in names)}")
        if not isinstance(one, str) and not -p <= int(one) < p:
            message = f"position {one}, but there are {p} coefficients"
            raise MissingKeyError(message, place="index")
        positions.append(names.index(one) if isinstance(one, str) else int(one) % p)
    return np.ascontiguousarray(np.eye(p)[positions]), [names[i] for i in positions]


def contrast_matrix(
    contrast: str | Sequence[str] | Mapping[str, str],
    model_matrix_names: Sequence[str] | pd.DataFrame,
) -> pd.DataFrame:
    """Weights of linear expressions of coefficients.

    Parameters
    ----------
    contrast
        An expression (``"A-(B+C+D)/3"``), a list of them, or names with expressions.
    model_matrix_names
        Names of the coefficients in order, or the design as a data frame.

    Returns
    -------
    DataFrame
        Coefficients x contrasts; a column is called by the name of its contrast, else by the expression.

    Raises
    ------
    BadInputError
        Not a linear expression: a product of coefficients, a constant that stands free.
    MissingKeyError
        An unknown name; the nearest ones are listed.

    Examples
    --------
    >>> from ferrocyte.compat.flashmm import contrast_matrix
    >>> contrast_matrix({"AvsB": "A-B", "AvsBC": "A-(B+C)/2"}, ["A", "B", "C"])
       AvsB  AvsBC
    A   1.0    1.0
    B  -1.0   -0.5
    C   0.0   -0.5
    """
    import pandas as pd

    names = [str(name) for name in getattr(model_matrix_names, "columns", model_matrix_names)]
    if isinstance(contrast, str):
        pairs = [("", contrast)]
    elif hasattr(contrast, "items"):
        pairs = [(str(name), str(expression)) for name, expression in contrast.items()]
    else:
        pairs = [("", str(expression)) for expression in contrast]
    weights = _core.lmm_contrast_weights(names, [expression for _, expression in pairs])
    return pd.DataFrame(weights.T, index=names, columns=[name or expression for name, expression in pairs])

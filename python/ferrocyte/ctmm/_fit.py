"""Models of all genes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._result import CtmmResult
from ._study import Floats, Handed, Pseudobulk

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


@dataclass
class Request:
    """How a model is fitted."""

    model: str
    method: str
    variance: str
    jackknife: str
    mean_test: str


def fit(
    ctp: Pseudobulk | Floats,
    ctnu: Floats | None = None,
    P: Floats | pd.DataFrame | None = None,
    *,
    level: str = "ctp",
    model: str = "free",
    method: str = "he",
    fixed: Mapping[str, Any] | pd.DataFrame | None = None,
    random: Mapping[str, Any] | pd.DataFrame | None = None,
    jackknife: bool | str = True,
    variance: str = "unconstrained",
    mean_test: str = "ols",
    genes: Sequence[str] | None = None,
    individuals: Sequence[str] | None = None,
    cell_types: Sequence[str] | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> CtmmResult:
    """Fit a cell type-specific mixed model to every gene.

    Parameters
    ----------
    ctp
        :class:`Pseudobulk`, or an array genes × individuals × cell types (NaN where a pair was not observed). With
        ``level="op"`` also overall pseudobulk as it is, genes × individuals.
    ctnu
        The variance of each value of `ctp`, where that is an array.
    P
        Proportions, individuals × cell types: needed by ``level="op"``, else only for shares of variance. A data
        frame is aligned by its index where individuals are named.
    level
        ``"ctp"`` (values per cell type) or ``"op"`` (their weighted mean).
    model
        ``"hom"`` (one variance for all cell types), ``"iid"``, ``"free"`` (a variance for each besides) or ``"full"``.
    method
        ``"he"`` (moments), ``"reml"`` or ``"ml"``.
    fixed
        Covariates of individuals by name: numbers, one column or more; texts and categories become indicator columns.
        Data frames and series are aligned by their index. No intercept: it is in the model.
    random
        Random covariates by name: labels (a batch, a pool), or a matrix individuals × levels.
    jackknife
        Covariances of the estimates by leaving out individuals: ``True`` (``"exact"``), ``"onestep"``, or ``False``
        (``"none"``: from the information; moments then have no tests of variances).
    variance
        ``"unconstrained"``, or ``"nonnegative"``.
    mean_test
        How equal means are tested after moments: ``"ols"``, ``"ols_jackknife"``, ``"gls_jackknife"``.
    genes, individuals, cell_types
        Names, where `ctp` is an array.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    CtmmResult
        A row for each gene: variances, standard errors, means, p-values, shares, status.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> made, truth = fe.sim.ctmm(n_genes=40, n_individuals=100, truth="free", seed=1)
    >>> found = fe.ctmm.fit(made, method="reml", jackknife=False)
    >>> bool((found.to_df()["p[V]"] < 0.05).mean() > 0.8)
    True
    """
    words = {True: "exact", False: "none"}
    request = Request(model, method, variance, words.get(jackknife, jackknife), mean_test)  # type: ignore[arg-type,call-overload]
    handed, overall = _handed(ctp, ctnu, P, level, (genes, individuals, cell_types))
    ids = handed.individuals
    handed.fixed = _covariates(fixed, ids, named=_named(ctp, individuals), membership=False)
    handed.random = _covariates(random, ids, named=_named(ctp, individuals), membership=True)
    made = _core.ctmm_fit(handed, request, overall, means(n_threads, max_memory, progress=progress))
    return CtmmResult.of(made)


def score_tests(
    ctp: Pseudobulk | Floats,
    ctnu: Floats | None = None,
    P: Floats | pd.DataFrame | None = None,
    *,
    fixed: Mapping[str, Any] | pd.DataFrame | None = None,
    random: Mapping[str, Any] | pd.DataFrame | None = None,
    genes: Sequence[str] | None = None,
    individuals: Sequence[str] | None = None,
    cell_types: Sequence[str] | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Test every gene by score tests, which hold their level where Wald and jackknife tests do not.

    Arguments are those of :func:`fit`; values are per cell type, with a variance for each (the model ``free``).

    Returns
    -------
    pandas.DataFrame
        A row for each gene, p-values with false discovery rates: ``p[hom2]`` (no shared variance), ``p[V]`` (none
        specific to cell types), ``p[V equal]`` (the same specific variance in all cell types), ``p[mean]`` (equal
        means), ``p[V[TYPE]]`` (none specific to one).

    Examples
    --------
    >>> import ferrocyte as fe
    >>> made, truth = fe.sim.ctmm(n_genes=50, n_individuals=100, truth="free", seed=1)
    >>> bool((fe.ctmm.score_tests(made)["p[V]"] < 0.05).mean() > 0.9)
    True
    """
    from .._tables import frame

    handed, _ = _handed(ctp, ctnu, P, "ctp", (genes, individuals, cell_types))
    ids, named = handed.individuals, _named(ctp, individuals)
    handed.fixed = _covariates(fixed, ids, named=named, membership=False)
    handed.random = _covariates(random, ids, named=named, membership=True)
    return frame(_core.ctmm_test(handed, means(n_threads, max_memory, progress=progress)))


def _named(ctp: Any, individuals: Any) -> bool:
    return isinstance(ctp, Pseudobulk) or individuals is not None


def _handed(ctp: Any, ctnu: Any, share: Any, level: str, names: tuple[Any, Any, Any]) -> tuple[Handed, bool]:
    """The study, and whether overall pseudobulk is still to be made of it."""
    if isinstance(ctp, Pseudobulk):
        out = ctp.handed()
        if share is not None:
            out.proportions = _proportions(share, out.individuals, named=True)
        return out, level == "op"
    if ctnu is None:
        message = "an array of CTP needs its noise"
        raise BadInputError(message, place="ctnu")
    values, noise = (np.asarray(x, dtype=np.float64) for x in (ctp, ctnu))
    direct = level == "op" and values.ndim == 2
    if values.ndim != (2 if direct else 3):
        message = f"expected genes x individuals x cell types, found an array of {values.ndim} dimensions"
        raise BadInputError(message, place="CTP")
    if values.shape != noise.shape:
        message = f"CTP and ctnu must have the same shape, found {values.shape} and {noise.shape}"
        raise BadInputError(message, place="ctnu")
    g, n = values.shape[:2]
    if direct and share is None:
        message = "overall pseudobulk needs the proportions of cell types"
        raise BadInputError(message, place="P")
    c = np.shape(share)[1] if direct else values.shape[2]
    sizes = (("genes", g, "gene"), ("individuals", n, "individual"), ("cell_types", c, "type"))
    ids = []
    for given, (what, size, prefix) in zip(names, sizes, strict=True):
        found = [f"{prefix}{k}" for k in range(size)] if given is None else [str(name) for name in given]
        if len(found) != size:
            message = f"{len(found)} names for {size} {what}"
            raise BadInputError(message, place=what)
        ids.append(found)
    proportions = None if share is None else _proportions(share, ids[1], named=names[1] is not None)
    return Handed(*ids, "op" if direct else "ctp", values.ravel(), noise.ravel(), proportions, [], []), level == "op"


def _proportions(share: Any, ids: list[str], *, named: bool) -> Floats:
    out = _aligned(share, ids, "P", named=named)
    if out.ndim != 2:
        message = f"expected individuals x cell types, found an array of {out.ndim} dimensions"
        raise BadInputError(message, place="P")
    return np.ascontiguousarray(out, dtype=np.float64)


def _aligned(values: Any, ids: list[str], table: str, *, named: bool) -> np.ndarray[Any, Any]:
    """The rows of a data frame or series in the order of the individuals, by its index; arrays as they are."""
    import pandas as pd

    if isinstance(values, (pd.DataFrame, pd.Series)) and named:
        found = [str(name) for name in values.index]
        if isinstance(values.index, pd.RangeIndex) and len(found) == len(ids) and set(found) != set(ids):
            return np.asarray(values)
        return np.asarray(values.iloc[_core.ctmm_align(ids, found, table)])
    return np.asarray(values)


def _covariates(given: Any, ids: list[str], *, named: bool, membership: bool) -> list[tuple[str, Floats]]:
    """Covariates by name, as columns of numbers."""
    import pandas as pd

    if given is None:
        return []
    if isinstance(given, pd.DataFrame):
        given = {str(name): given[name] for name in given.columns}
    out = []
    for name, values in given.items():
        rows = _aligned(values, ids, f"covariate `{name}`", named=named)
        if rows.ndim == 1 and (membership or rows.dtype.kind not in "iufb"):
            rows = _indicators(rows, str(name), every=membership)
        rows = np.atleast_2d(np.asarray(rows, dtype=np.float64).T).T
        out.append((str(name), np.ascontiguousarray(rows)))
    return out


def _indicators(labels: np.ndarray[Any, Any], name: str, *, every: bool) -> Floats:
    """A column of 0 and 1 for each level, without the first unless `every` is wanted."""
    import pandas as pd

    codes, levels = pd.factorize(labels, sort=True)
    if (codes < 0).any():
        message = f"covariate `{name}` has missing labels"
        raise BadInputError(message, place=f"covariate `{name}`")
    columns = np.eye(len(levels))[codes]
    return columns if every else columns[:, 1:]


def lrt(fit1: CtmmResult, fit0: CtmmResult, df: int | None = None) -> pd.DataFrame:
    """Likelihood-ratio tests of two fits of the same genes by the same method, the larger model first.

    `df` is the number of parameters that the smaller model lacks; by default that of the models. The reference
    distribution is χ²: conservative where the smaller model lies on the boundary of the larger.
    """
    import pandas as pd

    if fit1.genes != fit0.genes:
        message = "the fits are of different genes"
        raise BadInputError(message, place="fit0")
    methods = {fit1.options["method"], fit0.options["method"]}
    if len(methods) != 1 or "he" in methods:
        message = f"two fits by reml or two by ml are compared, found {' and '.join(sorted(methods))}"
        raise BadInputError(message, place="fit0")
    if df is None:
        df = len(fit1.variances) - len(fit0.variances)
    if df < 1:
        message = f"the first model has {df} parameters more than the second"
        raise BadInputError(message, place="df", hint="the larger model comes first")
    ln_p = _core.ctmm_ln_likelihood_ratio(fit1.log_likelihood, fit0.log_likelihood, float(df))
    statistic = np.maximum(2 * (fit1.log_likelihood - fit0.log_likelihood), 0.0)
    return pd.DataFrame(
        {"gene": fit1.genes, "stat": statistic, "df": df, "p_value": np.exp(ln_p), "log10_p_value": ln_p / np.log(10)}
    )

"""Utilities of a few lines: duplicates and weights, z-scores, comparisons of models and of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._fit import lm_fit
from ._inputs import grid, vector, weights_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Array = np.ndarray[Any, Any]

__all__ = [
    "as_matrix_weights",
    "au_roc",
    "block_diag",
    "bwss",
    "bwss_matrix",
    "cum_overlap",
    "detection_p_values",
    "fitmixture",
    "logcosh",
    "logsumexp",
    "make_unique",
    "modify_weights",
    "pool_var",
    "qqf",
    "qqt",
    "select_model",
    "unique_genelist",
    "unwrap_dups",
    "zscore",
    "zscore_gamma",
    "zscore_hyper",
]


# ---- duplicates and weights


def unwrap_dups(M: Any, ndups: int = 2, spacing: int = 1) -> Array:
    """Bring the duplicates of each gene into one row.

    Parameters
    ----------
    M
        Rows × samples.
    ndups, spacing
        How often each gene is measured, and how many rows apart.

    Returns
    -------
    ndarray
        Genes × (samples · `ndups`); the duplicates of a sample stand together.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.unwrap_dups([[1, 5], [2, 6]], ndups=2)
    array([[1., 2., 5., 6.]])
    """
    values = grid(M, "M")
    blocks = _duplicated(len(values), ndups, spacing)
    folded = values.reshape(blocks, ndups, spacing, values.shape[1])
    return folded.transpose(0, 2, 3, 1).reshape(blocks * spacing, -1)


def unique_genelist(genelist: Any, ndups: int = 2, spacing: int = 1) -> Any:
    """The annotation of the first row of each gene; see :func:`unwrap_dups`.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.unique_genelist(["a", "b", "a", "b"], ndups=2, spacing=2)
    ['a', 'b']
    """
    blocks = _duplicated(len(genelist), ndups, spacing)
    first = np.arange(len(genelist)).reshape(blocks, ndups, spacing)[:, 0].ravel()
    if hasattr(genelist, "iloc"):
        return genelist.iloc[first]
    if isinstance(genelist, np.ndarray):
        return genelist[first]
    return [genelist[int(row)] for row in first]


def modify_weights(weights: Any, status: Any, values: Sequence[Any], multipliers: Any) -> Array:
    """Multiply the weights of rows by a number for each status.

    Parameters
    ----------
    weights
        Rows × samples, or one weight per row (which gives a single column).
    status
        The status of each row.
    values, multipliers
        Statuses, and the number for each, or one for all.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> fe.limma.modify_weights(np.ones((2, 2)), ["gene", "control"], ["control"], 0)
    array([[1., 1.],
           [0., 0.]])
    """
    out = np.array(weights, dtype=np.float64)
    out = out[:, None] if out.ndim == 1 else out
    given = np.asarray(status)
    if len(given) != len(out):
        message = f"{len(given)} values for {len(out)} rows"
        raise BadInputError(message, place="status")
    factors = np.broadcast_to(np.asarray(multipliers, dtype=np.float64), (len(values),))
    for value, factor in zip(values, factors, strict=True):
        out[given == value] *= factor
    return out


def as_matrix_weights(weights: Any, dim: tuple[int, int]) -> Array:
    """Weights as a matrix of genes × samples: from a number, one per gene, one per sample, or a matrix.

    As many as there are genes and samples are weights of genes, with a warning.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.as_matrix_weights([1, 2], (3, 2)).tolist()
    [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]
    """
    found = weights_of(weights, *dim)
    if found is None:
        return np.ones(dim)
    kind, values = found
    return np.array(np.broadcast_to(values[:, None] if kind == "genes" else values, dim))


def _duplicated(rows: int, ndups: int, spacing: int) -> int:
    if ndups < 1 or spacing < 1 or rows % (ndups * spacing):
        message = f"{rows} rows do not divide into blocks of {ndups} duplicates, {spacing} rows apart"
        raise BadInputError(message, place="ndups")
    return rows // (ndups * spacing)


# ---- z-scores and plots of quantiles


def zscore(q: Any, distribution: str, **parameters: Any) -> Array:
    """Normal deviates with the tail probabilities of values of another distribution, accurate in both tails.

    Parameters
    ----------
    q
        Values.
    distribution
        ``"norm"`` (mean, sd), ``"t"`` (df), ``"f"`` (df1, df2), ``"chisq"`` (df), ``"beta"`` (shape1, shape2),
        ``"exp"`` (rate), ``"gamma"`` (shape, rate or scale), ``"binom"`` (size, prob) or ``"pois"`` (mu).
    parameters
        Those of the distribution: numbers, or one per value.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.zscore([0.0, 3.0], "norm", mean=1, sd=2)
    array([-0.5,  1. ])
    """
    from scipy import stats

    p = {name: np.asarray(value, dtype=np.float64) for name, value in parameters.items()}
    known: dict[str, tuple[tuple[str, ...], Any]] = {
        "norm": (("mean", "sd"), lambda mean=0.0, sd=1.0: stats.norm(mean, sd)),
        "t": (("df",), lambda df: stats.t(df)),
        "f": (("df1", "df2"), lambda df1, df2: stats.f(df1, df2)),
        "chisq": (("df",), lambda df: stats.chi2(df)),
        "beta": (("shape1", "shape2"), lambda shape1, shape2: stats.beta(shape1, shape2)),
        "exp": (("rate",), lambda rate=1.0: stats.expon(scale=1.0 / rate)),
        "gamma": (("shape", "rate", "scale"), _gamma),
        "binom": (("size", "prob"), lambda size, prob: stats.binom(size, prob)),
        "pois": (("mu",), lambda mu: stats.poisson(mu)),
    }
    if distribution not in known:
        message = f"there is no choice `{distribution}`"
        raise BadInputError(message, place="distribution", hint=f"it is one of {', '.join(known)}")
    names, make = known[distribution]
    try:
        made = make(**p)
    except TypeError as error:
        message = f"`{distribution}` has the parameters {', '.join(names)}, found {', '.join(p) or 'none'}"
        raise BadInputError(message, place="parameters") from error
    values = np.asarray(q, dtype=np.float64)
    return _from_tails(made.logcdf(values), made.logsf(values))


def zscore_gamma(q: Any, shape: Any, rate: Any = 1.0, *, scale: Any = None) -> Array:
    """:func:`zscore` of gamma variables; `scale` takes the place of 1 / `rate`.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.zscore_gamma([0.6931471805599453], shape=1).round(12) + 0.0
    array([0.])
    """
    return zscore(q, "gamma", shape=shape, scale=1.0 / np.asarray(rate, dtype=float) if scale is None else scale)


def zscore_hyper(q: Any, m: Any, n: Any, k: Any) -> Array:
    """Normal deviates of hypergeometric counts, half of the probability of the count in either tail.

    Parameters
    ----------
    q
        White balls among those drawn.
    m, n
        White and black balls.
    k
        Balls drawn.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.zscore_hyper([1], m=1, n=1, k=1).round(4)
    array([0.6745])
    """
    from scipy import stats

    drawn = np.asarray(q, dtype=np.float64)
    made = stats.hypergeom(np.asarray(m) + np.asarray(n), np.asarray(m), np.asarray(k))
    half = made.logpmf(drawn) - np.log(2.0)
    return _from_tails(np.logaddexp(made.logcdf(drawn - 1), half), np.logaddexp(made.logsf(drawn), half))


def qqt(y: Any, df: float = np.inf) -> dict[str, Array]:
    """Quantiles of t against the values `y`: ``x`` and ``y``, in the order of `y`, NaN left out.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.qqt([3.0, 1.0, 2.0])["x"].round(3)
    array([ 0.869, -0.869,  0.   ])
    """
    from scipy import stats

    return _quantiles(y, stats.norm() if np.isinf(df) else stats.t(df))


def qqf(y: Any, df1: float, df2: float) -> dict[str, Array]:
    """Quantiles of F against the values `y`: ``x`` and ``y``, in the order of `y`, NaN left out.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.qqf([5.0, 0.1], 2, 4)["x"].round(3)
    array([1.795, 0.353])
    """
    from scipy import stats

    return _quantiles(y, stats.f(df1, df2))


def _gamma(shape: Any, rate: Any = 1.0, scale: Any = None) -> Any:
    from scipy import stats

    return stats.gamma(shape, scale=1.0 / rate if scale is None else scale)


def _from_tails(log_lower: Any, log_upper: Any) -> Array:
    """Normal deviates from the logarithms of both tail probabilities; the smaller one tells."""
    from scipy import special

    low, high = np.asarray(log_lower), np.asarray(log_upper)
    return np.asarray(np.where(high < low, -special.ndtri_exp(high), special.ndtri_exp(low)))


def _quantiles(y: Any, distribution: Any) -> dict[str, Array]:
    values = np.asarray(y, dtype=np.float64).ravel()
    values = values[~np.isnan(values)]
    n = len(values)
    # The plotting positions of R's ppoints; for few values they are further apart.
    shift = 0.375 if n <= 10 else 0.5
    ranks = np.empty(n)
    ranks[np.argsort(values, kind="stable")] = np.arange(1, n + 1)
    return {"x": np.asarray(distribution.ppf((ranks - shift) / (n + 1 - 2 * shift))), "y": values}


# ---- variances and models


def pool_var(var: Any, df: Any = None, multiplier: Any = None, n: Any = None) -> dict[str, float]:
    """Pool variances that need not be equal, with Satterthwaite's degrees of freedom.

    Parameters
    ----------
    var
        Variances of samples.
    df, multiplier
        Their degrees of freedom and coefficients; of means of `n` values ``n - 1`` and ``1 / n``.
    n
        Sizes of the samples.

    Returns
    -------
    dict
        ``var``, ``df`` and ``multiplier``: the variance of the sum is ``var * multiplier``.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.pool_var([1.0, 1.0], n=[4, 4])
    {'var': 1.0, 'df': 6.0, 'multiplier': 0.5}
    """
    if n is None and (df is None or multiplier is None):
        message = "degrees of freedom and multipliers are not known"
        raise BadInputError(message, place="n", hint="give n, or df and multiplier")
    v = np.asarray(var, dtype=np.float64)
    sizes = np.asarray(np.nan if n is None else n, dtype=np.float64)
    d = sizes - 1 if df is None else np.asarray(df, dtype=np.float64)
    m = 1 / sizes if multiplier is None else np.asarray(multiplier, dtype=np.float64)
    parts = v * m
    squares = float(np.sum(parts**2 / d))
    pooled = float(parts.sum() / m.sum())
    return {
        "var": pooled,
        "df": np.inf if squares == 0 else float(parts.sum() ** 2 / squares),
        "multiplier": float(m.sum()),
    }


def bwss(x: Any, group: Any) -> dict[str, float]:
    """Sums of squares between and within groups; missing values are left out.

    Returns
    -------
    dict
        ``bss``, ``wss`` and their degrees of freedom ``bdf``, ``wdf``.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.bwss([1.0, 3.0, 5.0, 7.0], ["a", "a", "b", "b"])
    {'bss': 16.0, 'wss': 4.0, 'bdf': 1, 'wdf': 2}
    """
    import pandas as pd

    values = vector(x, len(group), "x", "label of `group`")
    by = pd.Series(values).groupby(np.asarray(group))
    sizes, centres = by.count(), by.mean()
    filled = sizes > 0
    sizes, centres = sizes[filled], centres[filled]
    total = float((sizes * centres).sum() / sizes.sum())
    return {
        "bss": float((sizes * (centres - total) ** 2).sum()),
        "wss": float(np.nansum((values - by.transform("mean").to_numpy()) ** 2)),
        "bdf": len(sizes) - 1,
        "wdf": int((sizes - 1).sum()),
    }


def bwss_matrix(x: Any) -> dict[str, float]:
    """:func:`bwss` of the columns of a matrix.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.bwss_matrix([[1.0, 2.0], [3.0, 4.0]])
    {'bss': 1.0, 'wss': 4.0, 'bdf': 1, 'wdf': 2}
    """
    values = grid(x, "x")
    return bwss(values.ravel(), np.tile(np.arange(values.shape[1]), values.shape[0]))


def select_model(
    y: Any,
    design_list: Sequence[Any] | Mapping[str, Any],
    criterion: str = "aic",
    *,
    df_prior: float = 0.0,
    s2_prior: float | None = None,
    s2_true: Any = None,
    **options: Any,
) -> dict[str, Any]:
    """Which of several designs fits each gene best.

    Parameters
    ----------
    y
        Log-values of genes × samples, complete.
    design_list
        Designs, by name if it is a mapping.
    criterion
        ``"aic"``, ``"bic"`` or ``"mallowscp"``.
    df_prior, s2_prior
        Prior degrees of freedom and variance, finite.
    s2_true
        The variance of each gene, which ``"mallowscp"`` needs.
    **options
        As for :func:`lm_fit`.

    Returns
    -------
    dict
        ``IC`` (data frame, genes × designs), ``pref`` (the name of the best design of each gene) and ``criterion``.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> line = np.column_stack([np.ones(4), np.arange(4.0)])
    >>> y = np.array([[1.0, 2.1, 2.9, 4.0], [0.1, 0.0, 0.1, 0.0]])
    >>> list(fe.limma.select_model(y, {"flat": np.ones((4, 1)), "line": line}, "bic")["pref"])
    ['line', 'flat']
    """
    import pandas as pd

    penalties = {"aic": 2.0, "bic": None, "mallowscp": 2.0}
    if criterion not in penalties:
        message = f"there is no choice `{criterion}`"
        raise BadInputError(message, place="criterion", hint=f"it is one of {', '.join(penalties)}")
    if not np.isfinite(df_prior) or (df_prior > 0 and s2_prior is None):
        message = f"prior variances need finite df_prior and s2_prior, found {df_prior} and {s2_prior}"
        raise BadInputError(message, place="df_prior")
    if criterion == "mallowscp" and s2_true is None:
        message = "the variance of each gene is not known"
        raise BadInputError(message, place="s2_true", hint='give it, or use criterion="aic"')
    designs = dict(design_list) if hasattr(design_list, "items") else {str(k + 1): d for k, d in enumerate(design_list)}
    scores: dict[str, Any] = {}
    index = None
    for name, design in designs.items():
        fit = lm_fit(y, design, **options)
        n = len(fit.design)
        squares = fit.df_residual * np.nan_to_num(fit.sigma) ** 2
        parameters = n - fit.df_residual
        if criterion == "mallowscp":
            truth = vector(s2_true, len(squares), "s2_true", "gene")
            scores[name] = squares / truth + 2.0 * parameters - n
        else:
            total = df_prior + n
            penalty = 2.0 if criterion == "aic" else np.log(n)
            # The variance is a parameter too.
            posterior = (df_prior * (s2_prior or 0.0) + squares) / total
            scores[name] = total * np.log(posterior) + (parameters + 1) * penalty
        index = fit.genes.index
    table = pd.DataFrame(scores, index=index)
    best = np.array(list(designs))[np.argmin(table.to_numpy(), axis=1)]
    return {"IC": table, "pref": pd.Categorical(best, categories=list(designs)), "criterion": criterion}


def fitmixture(log2e: Any, mixprop: Any, niter: int = 50) -> dict[str, Array]:
    """Intensities of two samples from arrays of mixtures of them (Holloway et al. 2006), by least squares.

    Parameters
    ----------
    log2e
        log2 intensities, genes × mixtures; NaN are left out.
    mixprop
        Share of the first sample in each mixture.
    niter
        Steps at most; limma takes 4 however far it is from the minimum.

    Returns
    -------
    dict
        ``A`` (mean of the two log2 intensities), ``M`` (first less second) and ``stdev`` (residual standard deviation),
        one per gene; NaN with fewer than three values.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> p = np.array([0.1, 0.5, 0.9])
    >>> fe.limma.fitmixture(np.log2(p * 2**8 + (1 - p) * 2**6)[None, :], p)["M"].round(8)
    array([2.])
    """
    values = grid(log2e, "log2e")
    shares = vector(mixprop, values.shape[1], "mixprop", "mixture")
    a, m, stdev = _core.limma_fit_mixture(values, shares, int(niter), means(1, progress=False))
    return {"A": a, "M": m, "stdev": stdev}


# ---- lists and curves


def au_roc(truth: Any, stat: Any = None) -> float:
    """Area under the empirical receiver operating curve.

    Parameters
    ----------
    truth
        Whether each case is one that is sought.
    stat
        What cases are ordered by, the most likely first has the largest; ties count half. By default cases stand in
        this order.

    Returns
    -------
    float
        NaN where all cases are alike, or something is missing.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.au_roc([1, 0, 1], [3.0, 2.0, 1.0])
    0.5
    """
    from scipy import stats

    sought = np.asarray(truth, dtype=np.float64).ravel()
    order = -np.arange(len(sought), dtype=float) if stat is None else vector(stat, len(sought), "stat", "case")
    if np.isnan(sought).any() or np.isnan(order).any() or np.unique(sought != 0).size < 2:
        return float("nan")
    yes = sought != 0
    count = int(yes.sum())
    ranks = stats.rankdata(order)[yes].sum()
    return float((ranks - count * (count + 1) / 2) / (count * (len(yes) - count)))


def cum_overlap(ol1: Sequence[Any], ol2: Sequence[Any]) -> dict[str, Any]:
    """How far the heads of two ordered lists overlap more than by chance.

    Parameters
    ----------
    ol1, ol2
        Identifiers in order, each once; those of one list only are left out.

    Returns
    -------
    dict
        ``n_total`` (identifiers in both), ``n_min`` and ``p_min`` (length and adjusted p-value of the most remarkable
        heads), ``n_overlap``, ``p_value`` and ``adj_p_value`` (of heads of each length: hypergeometric, times the
        length), ``id_overlap`` (identifiers in both of those heads).

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.cum_overlap(["a", "b", "c"], ["b", "a", "c"])["n_overlap"].tolist()
    [0, 2, 3]
    """
    from scipy import stats

    for name, given in (("ol1", ol1), ("ol2", ol2)):
        if len(set(given)) != len(given):
            twice = next(one for k, one in enumerate(given) if one in list(given)[:k])
            message = f"`{twice}` comes twice"
            raise BadInputError(message, place=name)
    both = set(ol1) & set(ol2)
    first, second = [one for one in ol1 if one in both], [one for one in ol2 if one in both]
    n = len(first)
    if n == 0:
        return {"n_total": 0}
    place = {one: k for k, one in enumerate(second)}
    # An identifier belongs to both heads from the larger of its two places on.
    enters = np.array([max(k, place[one]) for k, one in enumerate(first)])
    overlap = np.cumsum(np.bincount(enters, minlength=n))
    sizes = np.arange(1, n + 1)
    p = stats.hypergeom.sf(overlap - 1, n, sizes, sizes)
    adjusted = np.minimum(p * sizes, 1.0)
    best = int(np.argmin(adjusted))
    return {
        "n_total": n,
        "n_min": best + 1,
        "p_min": float(adjusted[best]),
        "n_overlap": overlap,
        "id_overlap": [one for one, at in zip(first, enters, strict=True) if at <= best],
        "p_value": p,
        "adj_p_value": adjusted,
    }


def detection_p_values(x: Any, status: Any, negctrl: str = "negative") -> Array:
    """How likely a negative control is as bright as each probe, sample by sample.

    Parameters
    ----------
    x
        Intensities, probes × samples.
    status
        What each probe is.
    negctrl
        The status of negative controls.

    Returns
    -------
    ndarray
        Probes × samples: the share of controls that are brighter, ties by half. A control counts itself.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.detection_p_values([[1.0], [2.0], [1.5]], ["negative", "negative", "gene"]).ravel()
    array([1. , 0.5, 0.5])
    """
    values = grid(x, "x")
    control = np.asarray(status) == negctrl
    if len(control) != len(values) or not control.any():
        message = f"{len(control)} values for {len(values)} probes, {int(control.sum())} of them `{negctrl}`"
        raise BadInputError(message, place="status")
    out = np.empty_like(values)
    for sample, column in enumerate(values.T):
        known = np.sort(column[control & ~np.isnan(column)])
        below, upto = (np.searchsorted(known, column, side=side) for side in ("left", "right"))
        # Controls of the same value follow each other; on average half of them, and itself, are not below.
        brighter = len(known) - (below + upto) / 2 + np.where(control, 0.5, 0.0)
        out[:, sample] = np.where(np.isnan(column), np.nan, brighter / max(len(known), 1))
    return out


def logsumexp(x: Any, y: Any = None) -> Any:
    """``log(exp(x) + exp(y))`` without overflow; of `x` alone ``log(sum(exp(x)))``.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.logsumexp([1000.0], [1000.0]).round(4)
    array([1000.6931])
    """
    from scipy import special

    if y is None:
        return special.logsumexp(x)
    return np.logaddexp(np.asarray(x, dtype=float), np.asarray(y, dtype=float))


def logcosh(x: Any) -> Array:
    """``log(cosh(x))`` without overflow, and without cancellation near 0.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.logcosh([0.0, 1000.0]).round(4)
    array([  0.    , 999.3069])
    """
    size = np.abs(np.asarray(x, dtype=np.float64))
    # cosh(x) - 1 = 2 sinh(x / 2)^2 keeps all digits of small values.
    near = np.minimum(size, 1.0)
    small = np.log1p(2 * np.sinh(near / 2) ** 2)
    return np.where(size < 1.0, small, size + np.log1p(np.exp(-2 * size)) - np.log(2.0))


def block_diag(*matrices: Any) -> Array:
    """Matrices along a diagonal, zero elsewhere.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.block_diag([[1, 2]], [[3]]).tolist()
    [[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]
    """
    from scipy import linalg

    return np.asarray(linalg.block_diag(*(grid(matrix, "matrices") for matrix in matrices)))


def make_unique(x: Sequence[Any]) -> list[str]:
    """Number names that come several times, with leading zeros.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.make_unique(["a", "b", "a"])
    ['a1', 'b', 'a2']
    """
    from collections import Counter

    names = [str(one) for one in x]
    counts, seen = Counter(names), Counter[str]()
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if counts[name] == 1 else f"{name}{seen[name]:0{len(str(counts[name]))}d}")
    return out

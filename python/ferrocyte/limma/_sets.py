"""Tests of gene sets from log-values: competitive (camera, romer) and self-contained (roast, fry)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._messages import warn
from .._run import means
from ..errors import BadInputError, MissingKeyError
from ._fit import blocks_of
from ._gene_sets import gene_sets, identifiers_of, one_set
from ._inputs import Held, design_of, expressed, vector, weights_of
from ._set_statistics import statistics_of, whole

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

__all__ = [
    "camera",
    "camera_pr",
    "fry",
    "inter_gene_correlation",
    "mroast",
    "roast",
    "romer",
    "top_romer",
]


def camera(
    y: Any,
    index: Any,
    design: Any = None,
    contrast: Any = None,
    *,
    weights: Any = None,
    geneid: Any = None,
    use_ranks: bool = False,
    allow_neg_cor: bool = False,
    inter_gene_cor: Any = 0.01,
    trend_var: bool = False,
    robust: bool = False,
    block: Any = None,
    correlation: float | None = None,
    sort: bool = True,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Test whether the genes of a set rise or fall with a contrast more than the other genes.

    Parameters
    ----------
    y
        Log-values of genes × samples: a data frame, an array, an ``EList`` or an AnnData.
    index
        Genes by name of set, as names, positions from 0, or masks; or one set.
    design
        Design matrix; by default that of `y`.
    contrast
        A coefficient (name or position), an expression such as ``"B - A"``, or weights of all coefficients; by default
        the last coefficient.
    weights
        A number, one per sample, one per gene, or genes × samples; by default those of `y`.
    geneid
        What `index` names genes by: a column of their annotation, or one identifier per gene; by default their names.
    use_ranks
        Whether ranks of moderated t are compared rather than means.
    allow_neg_cor
        Whether an estimated correlation below zero counts; otherwise it is taken for zero.
    inter_gene_cor
        Correlation between the genes of a set: a number, one per set, or ``None`` to estimate it for each.
    trend_var
        Whether the prior variance depends on the mean of a gene.
    robust
        Whether outlying variances are kept from shaping the prior.
    block, correlation
        Blocks of correlated samples, and the correlation within them.
    sort
        Whether sets are ordered by p-value.
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.
    progress
        Whether to show progress; by default on a terminal.

    Returns
    -------
    pandas.DataFrame
        One row per set: ``n_genes``, ``correlation`` (where it is estimated or differs), ``direction``, ``p_value``,
        and ``fdr`` (Benjamini-Hochberg) for several sets.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> y = np.random.default_rng(1).normal(size=(100, 6))
    >>> y[:10, 3:] += 2
    >>> table = fe.limma.camera(y, {"first": range(10)}, np.c_[np.ones(6), [0, 0, 0, 1, 1, 1]])
    >>> table.direction["first"]
    'Up'
    """
    held = expressed(y, layer)
    sets = gene_sets(index, identifiers_of(geneid, held.genes), held.values.shape[0])
    correlations = _correlations(inter_gene_cor, sets.kept, _count(index))
    out = _core.limma_camera(
        _experiment(held, design, contrast, weights, block, correlation),
        sets.core(),
        use_ranks,
        allow_neg_cor,
        correlations,
        (trend_var, robust),
        means(n_threads, progress=progress),
    )
    return _competitive(sets.names, out, inter_gene_cor, sort=sort)


def camera_pr(
    statistic: Any,
    index: Any,
    *,
    use_ranks: bool = False,
    inter_gene_cor: Any = 0.01,
    sort: bool = True,
) -> pd.DataFrame:
    """Test sets as :func:`camera` does, from any statistic that is higher in genes that rise.

    Parameters
    ----------
    statistic
        One number per gene; a Series names the genes.
    index
        Genes by name of set, as names, positions from 0, or masks; or one set.
    use_ranks
        Whether ranks are compared rather than means.
    inter_gene_cor
        Correlation between the genes of a set: a number, or one per set.
    sort
        Whether sets are ordered by p-value.

    Returns
    -------
    pandas.DataFrame
        One row per set, as of :func:`camera`.
    """
    values, identifiers = statistics_of(statistic)
    sets = gene_sets(index, identifiers, len(values))
    correlations = _correlations(inter_gene_cor, sets.kept, _count(index))
    if correlations is None:
        message = "the correlation between genes cannot be estimated from one statistic per gene"
        raise BadInputError(message, place="inter_gene_cor", hint="give a number, or use camera")
    out = _core.limma_camera_pr(values, sets.core(), use_ranks, correlations)
    return _competitive(sets.names, out, inter_gene_cor, sort=sort)


def fry(
    y: Any,
    index: Any = None,
    design: Any = None,
    contrast: Any = None,
    *,
    geneid: Any = None,
    gene_weights: Any = None,
    standardize: str = "posterior.sd",
    weights: Any = None,
    trend_var: bool = False,
    robust: bool = False,
    block: Any = None,
    correlation: float | None = None,
    sort: bool | str = "directional",
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Test whether the genes of a set respond to a contrast, without random rotations.

    Close to what :func:`mroast` gives for very many rotations.

    Parameters
    ----------
    y, design, contrast, geneid, weights, trend_var, robust, block, correlation, layer, n_threads, progress
        As for :func:`camera`.
    index
        Genes by name of set; by default one set of all genes.
    gene_weights
        What each gene counts in its sets, with a sign for its expected direction; one per gene.
    standardize
        By what effects are divided: ``"posterior.sd"``, ``"residual.sd"``, ``"p2"`` or ``"none"``.
    sort
        ``"directional"`` or ``"mixed"``: by which p-value sets are ordered; ``"none"``: not at all.

    Returns
    -------
    pandas.DataFrame
        One row per set: ``n_genes``, ``direction``, ``p_value``, ``fdr``, ``p_value_mixed``, ``fdr_mixed``; the
        adjusted ones for several sets.
    """
    held = expressed(y, layer)
    sets = gene_sets(_or_all(index, held), identifiers_of(geneid, held.genes), held.values.shape[0])
    out = _core.limma_fry(
        _experiment(held, design, contrast, weights, block, correlation),
        sets.core(),
        standardize,
        _gene_weights(gene_weights, held),
        (trend_var, robust),
        means(n_threads, progress=progress),
    )
    columns = {
        "n_genes": out["n_genes"],
        "direction": _direction(out["up"]),
        **{name: out[name] for name in ("p_value", "fdr", "p_value_mixed", "fdr_mixed")},
    }
    return _sorted(_frame(columns, sets.names), sort)


def mroast(
    y: Any,
    index: Any = None,
    design: Any = None,
    contrast: Any = None,
    *,
    geneid: Any = None,
    set_statistic: str = "mean",
    gene_weights: Any = None,
    var_prior: float | None = None,
    df_prior: float | None = None,
    nrot: int = 1999,
    approx_zscore: bool = True,
    adjust_method: str = "BH",
    midp: bool = True,
    sort: bool | str = "directional",
    weights: Any = None,
    trend_var: bool = False,
    robust: bool = False,
    block: Any = None,
    correlation: float | None = None,
    seed: int = 0,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Test whether the genes of sets respond to a contrast, by random rotations that all sets share.

    Parameters
    ----------
    y, design, contrast, geneid, weights, trend_var, robust, block, correlation, layer, n_threads, progress
        As for :func:`camera`.
    index
        Genes by name of set; by default one set of all genes.
    set_statistic
        ``"mean"``, ``"floormean"``, ``"mean50"`` or ``"msq"``: for sets of which most, some, half or few genes respond.
    gene_weights
        What each gene counts in its sets, with a sign for its expected direction; one per gene.
    var_prior, df_prior
        A known prior variance and its degrees of freedom; by default estimated from all genes.
    nrot
        Number of rotations.
    approx_zscore
        Whether moderated t become normal deviates by a formula rather than by their tail probabilities.
    adjust_method
        How p-values of several sets are adjusted.
    midp
        Whether p-values are lowered by half a rotation before they are adjusted.
    sort
        ``"directional"`` or ``"mixed"``: by which p-value sets are ordered; ``"none"``: not at all.
    seed
        The same seed gives the same rotations, whatever the number of threads.

    Returns
    -------
    pandas.DataFrame
        One row per set: ``n_genes``, ``prop_down``, ``prop_up`` (shares of genes that clearly fall or rise),
        ``direction``, ``p_value``, ``fdr``, ``p_value_mixed``, ``fdr_mixed``; the adjusted ones for several sets.
    """
    held = expressed(y, layer)
    sets = gene_sets(_or_all(index, held), identifiers_of(geneid, held.genes), held.values.shape[0])
    out = _core.limma_mroast(
        _experiment(held, design, contrast, weights, block, correlation),
        sets.core(),
        _gene_weights(gene_weights, held),
        (trend_var, robust),
        _known_prior(var_prior, df_prior),
        (set_statistic, whole(nrot, "nrot"), approx_zscore, adjust_method, midp, int(seed)),
        means(n_threads, progress=progress),
    )
    columns = {
        "n_genes": out["n_genes"],
        "prop_down": out["prop_down"],
        "prop_up": out["prop_up"],
        "direction": _direction(out["p_up"] < out["p_down"]),
        **{name: out[name] for name in ("p_value", "fdr", "p_value_mixed", "fdr_mixed")},
    }
    return _sorted(_frame(columns, sets.names), sort)


def roast(
    y: Any,
    index: Any = None,
    design: Any = None,
    contrast: Any = None,
    *,
    geneid: Any = None,
    set_statistic: str = "mean",
    gene_weights: Any = None,
    var_prior: float | None = None,
    df_prior: float | None = None,
    nrot: int = 1999,
    approx_zscore: bool = True,
    weights: Any = None,
    trend_var: bool = False,
    robust: bool = False,
    block: Any = None,
    correlation: float | None = None,
    seed: int = 0,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Test whether the genes of one set respond to a contrast, by random rotations.

    Parameters
    ----------
    y, design, contrast, geneid, weights, trend_var, robust, block, correlation, layer, n_threads, progress
        As for :func:`camera`.
    index
        The genes of the set; by default all.
    set_statistic, var_prior, df_prior, nrot, approx_zscore, seed
        As for :func:`mroast`.
    gene_weights
        What each gene counts, with a sign for its expected direction: one per gene of the set, or one per gene.

    Returns
    -------
    pandas.DataFrame
        Rows ``Down``, ``Up``, ``UpOrDown``, ``Mixed`` with ``active_prop`` (share of the genes that clearly respond so)
        and ``p_value``; the size of the set in ``attrs["n_genes"]``.
    """
    import pandas as pd

    held = expressed(y, layer)
    n_genes = held.values.shape[0]
    set_ = one_set(index, identifiers_of(geneid, held.genes), n_genes)
    if gene_weights is not None and len(gene_weights) == len(set_) != n_genes:
        given = np.zeros(n_genes)
        given[set_] = np.asarray(gene_weights, dtype=float)
        gene_weights = given
    out = _core.limma_mroast(
        _experiment(held, design, contrast, weights, block, correlation),
        (["set"], [0, len(set_)], np.array(set_, dtype=np.int64)),
        _gene_weights(gene_weights, held),
        (trend_var, robust),
        _known_prior(var_prior, df_prior),
        (set_statistic, whole(nrot, "nrot"), approx_zscore, "none", False, int(seed)),
        means(n_threads, progress=progress),
    )
    down, up = out["prop_down"][0], out["prop_up"][0]
    table = pd.DataFrame(
        {
            "active_prop": [down, up, max(down, up), down + up],
            "p_value": [out[name][0] for name in ("p_down", "p_up", "p_value", "p_value_mixed")],
        },
        index=["Down", "Up", "UpOrDown", "Mixed"],
    )
    table.attrs["n_genes"] = len(set_)
    return table


def romer(
    y: Any,
    index: Any,
    design: Any = None,
    contrast: Any = None,
    *,
    array_weights: Any = None,
    weights: Any = None,
    geneid: Any = None,
    block: Any = None,
    correlation: float | None = None,
    set_statistic: str = "mean",
    nrot: int = 9999,
    shrink_resid: bool = True,
    trend_var: bool = False,
    robust: bool = False,
    seed: int = 0,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Test whether the genes of sets rank among those that change most, by random rotations that all sets share.

    Parameters
    ----------
    y, index, design, contrast, weights, geneid, trend_var, robust, block, correlation, layer, n_threads, progress
        As for :func:`camera`.
    array_weights
        Weights of samples: another word for `weights`.
    set_statistic
        ``"mean"``, ``"floormean"`` or ``"mean50"``: the mean rank, that of ranks above the middle, or of the upper
        half.
    nrot
        Number of rotations.
    shrink_resid
        Whether effects that are probably real are shrunk before they are rotated.
    seed
        The same seed gives the same rotations, whatever the number of threads.

    Returns
    -------
    pandas.DataFrame
        One row per set: ``n_genes`` and p-values ``Up``, ``Down``, ``Mixed``.
    """
    if array_weights is not None and weights is not None:
        message = "weights and array_weights are the same"
        raise BadInputError(message, place="array_weights", hint="give one of them")
    held = expressed(y, layer)
    sets = gene_sets(index, identifiers_of(geneid, held.genes), held.values.shape[0])
    given = weights if array_weights is None else array_weights
    out = _core.limma_romer(
        _experiment(held, design, contrast, given, block, correlation),
        sets.core(),
        (trend_var, robust),
        (set_statistic, whole(nrot, "nrot"), shrink_resid, int(seed)),
        means(n_threads, progress=progress),
    )
    columns = {"n_genes": out["n_genes"], "Up": out["up"], "Down": out["down"], "Mixed": out["mixed"]}
    return _frame(columns, sets.names)


def top_romer(x: pd.DataFrame, n: int = 10, alternative: str = "up") -> pd.DataFrame:
    """The first sets of a table of :func:`romer`.

    Parameters
    ----------
    x
        The table.
    n
        Number of sets; may be infinite.
    alternative
        ``"up"``, ``"down"`` or ``"mixed"``: by which p-value sets are ordered. Ties: by the other two, larger sets
        first.
    """
    orders = {
        "up": ["Up", "Mixed", "Down"],
        "down": ["Down", "Mixed", "Up"],
        "mixed": ["Mixed", "Up", "Down"],
    }
    if alternative not in orders:
        message = f"there is no choice `{alternative}`"
        raise BadInputError(message, place="alternative", hint="it is one of up, down, mixed")
    by = [*orders[alternative], "n_genes"]
    ordered = x.sort_values(by, ascending=[True, True, True, False], kind="stable")
    return ordered.iloc[: int(min(n, len(x)))]


def inter_gene_correlation(
    y: Any, design: Any = None, *, layer: str | None = None, n_threads: int | None = None
) -> dict[str, float]:
    """How much the genes of a set vary together beyond a design.

    Parameters
    ----------
    y
        Log-values of the genes of the set × samples.
    design
        Design matrix; by default that of `y`.
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.

    Returns
    -------
    dict
        ``vif``: variance of the mean of the genes over what it would be without correlation; ``correlation``: mean
        correlation of two genes.
    """
    held = expressed(y, layer)
    out = _core.limma_inter_gene_correlation(held.core(), design_of(design, held), means(n_threads, progress=False))
    return dict(zip(("vif", "correlation"), out, strict=True))


def _experiment(
    held: Held, design: Any, contrast: Any, weights: Any, block: Any, correlation: float | None
) -> tuple[Any, ...]:
    genes, samples = held.values.shape
    model = design_of(design, held)
    given = held.weights if weights is None else weights
    return (
        held.core(),
        model,
        _contrast(contrast, model[1]),
        weights_of(given, genes, samples),
        None if block is None else blocks_of(block, samples),
        None if correlation is None else float(correlation),
    )


def _contrast(contrast: Any, names: list[str]) -> int | list[float]:
    if contrast is None:
        return len(names) - 1
    if isinstance(contrast, str):
        if contrast in names:
            return names.index(contrast)
        from ._design import make_contrasts

        return [float(w) for w in np.asarray(make_contrasts(contrast, levels=names)).reshape(-1)]
    values = np.asarray(contrast, dtype=float)
    if values.size > 1:
        return [float(w) for w in values.reshape(-1)]
    j = int(values.reshape(-1)[0])
    if j != values.reshape(-1)[0] or not -len(names) <= j < len(names):
        message = f"there is no coefficient {contrast}"
        raise MissingKeyError(message, place="contrast", hint=f"positions are 0 to {len(names) - 1}, names {names}")
    return j % len(names)


def _count(index: Any) -> int:
    return len(index) if isinstance(index, (dict, list, tuple)) else 1


def _correlations(given: Any, kept: list[int], n_given: int) -> list[float] | None:
    if given is None:
        return None
    values = np.asarray(given, dtype=float).reshape(-1)
    if np.isnan(values).all():
        return None
    if values.size == 1:
        return [float(values[0])] * len(kept)
    if values.size != n_given:
        message = f"{values.size} correlations for {n_given} sets"
        raise BadInputError(message, place="inter_gene_cor", hint="give one number, or one per set")
    return [float(values[k]) for k in kept]


def _competitive(names: list[str], out: dict[str, Any], inter_gene_cor: Any, *, sort: bool) -> pd.DataFrame:
    differs = inter_gene_cor is None or np.size(inter_gene_cor) > 1 or bool(np.isnan(float(inter_gene_cor)))
    columns = {
        "n_genes": out["n_genes"],
        **({"correlation": out["correlation"]} if differs else {}),
        "direction": _direction(out["up"]),
        "p_value": out["p_value"],
        "fdr": out["fdr"],
    }
    table = _frame(columns, names)
    return table.sort_values("p_value", kind="stable") if sort else table


def _frame(columns: dict[str, Any], names: list[str]) -> pd.DataFrame:
    import pandas as pd

    kept = {name: values for name, values in columns.items() if len(names) > 1 or not name.startswith("fdr")}
    return pd.DataFrame(kept, index=pd.Index(names))


def _sorted(table: pd.DataFrame, sort: Any) -> pd.DataFrame:
    """By p-value, then share of genes that respond, then size."""
    if sort is False or sort == "none":
        return table
    if sort is True:
        sort = "directional"
    if sort not in {"directional", "mixed"}:
        message = f"there is no choice `{sort}`"
        raise BadInputError(message, place="sort", hint="it is one of directional, mixed, none")
    keys = table.reset_index(drop=True)
    keys["size"] = -keys["n_genes"]
    by = ["p_value", "p_value_mixed"] if sort == "directional" else ["p_value_mixed", "p_value"]
    by.insert(1, "size")
    if "prop_up" in keys:
        both = keys[["prop_up", "prop_down"]]
        keys["share"] = -(both.max(axis=1) if sort == "directional" else both.sum(axis=1))
        by.insert(1, "share")
    return table.iloc[keys.sort_values(by, kind="stable").index]


def _direction(up: Any) -> Array:
    return np.where(np.asarray(up, dtype=bool), "Up", "Down").astype(object)


def _gene_weights(gene_weights: Any, held: Held) -> Array | None:
    if gene_weights is None:
        return None
    if hasattr(gene_weights, "reindex"):
        gene_weights = gene_weights.reindex(held.genes.index)
    return vector(gene_weights, held.values.shape[0], "gene_weights", "gene")


def _known_prior(var_prior: float | None, df_prior: float | None) -> tuple[float, float] | None:
    if (var_prior is None) != (df_prior is None):
        warn("var_prior and df_prior go together: the prior is estimated")
        return None
    return None if var_prior is None or df_prior is None else (float(var_prior), float(df_prior))


def _or_all(index: Any, held: Held) -> Any:
    return {"set1": np.arange(held.values.shape[0])} if index is None else index

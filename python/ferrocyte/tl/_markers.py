"""Genes that tell groups of cells apart."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._annotated import Labels, Values, close_to, labels_of, no_more, target, values_of
from .._keys import Style, either, keys
from .._obs import require
from .._run import means
from ..errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import anndata as ad
    import pandas as pd

    from .._run import Means

_LN_10 = float(np.log(10.0))


@dataclass
class Comparison:
    """What is compared, as the compiled module reads it."""

    method: str
    correction: str = "benjamini-hochberg"
    groups: list[str] | None = None
    reference: str | None = None
    tie_correct: bool = True
    base: float | None = None
    by_size: bool = False
    fold_change_of_means: bool = False
    #: C, steps and bound on the gradient of the logistic regression.
    logistic: tuple[float, int, float] = (1.0, 100, 1e-4)


def rank_genes_groups(
    adata: ad.AnnData,
    groupby: str,
    *,
    mask_var: str | np.ndarray[Any, Any] | None = None,
    use_raw: bool | None = None,
    groups: str | Iterable[str] = "all",
    reference: str = "rest",
    n_genes: int | None = None,
    rankby_abs: bool = False,
    pts: bool = False,
    key_added: str | None = None,
    copy: bool = False,
    method: str | None = None,
    corr_method: str = "benjamini-hochberg",
    tie_correct: bool = True,
    layer: str | None = None,
    fold_change_of_means: bool = False,
    style: Style = "scanpy",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
    **kwds: Any,
) -> ad.AnnData | None:
    """Rank the genes of each group of cells by a test against the rest, or against another group.

    The p-values are of cells, which are no replicates: they serve to name clusters, not to compare conditions.

    Parameters
    ----------
    adata
        Cells × genes: logarithms of normalised counts.
    groupby
        The column of obs with the groups. Cells without group count among the rest.
    mask_var
        The genes that are tested: a column of var, or truth values.
    use_raw
        Whether ``adata.raw`` is taken; ``None``: if there is one and no layer is named.
    groups
        ``"all"``, or the groups that are compared, at least one. The others stay in the rest.
    reference
        ``"rest"``: all other cells; or the group that all are compared with.
    n_genes
        How many genes of each group are kept; ``None`` is all.
    rankby_abs
        Whether genes are ranked by the size of their score. The scores themselves keep their sign.
    pts
        Whether the fractions of cells that have a gene are given.
    key_added
        Where the result goes in uns, instead of ``rank_genes_groups``.
    copy
        Whether a copy is changed and returned.
    method
        ``"t-test"`` (Welch; also ``None``), ``"t-test_overestim_var"``, ``"wilcoxon"``, or ``"logreg"``: a logistic
        regression of the groups (and a group of reference) on all genes at once, whose coefficients are the scores;
        cells of no group that is compared are left out, and there are no p-values.
    corr_method
        ``"benjamini-hochberg"`` or ``"bonferroni"``.
    tie_correct
        Whether the rank-sum test allows for ties. Without it (scanpy's default) z is far too small where most values
        are 0.
    layer
        The matrix: ``None`` is X or raw.
    fold_change_of_means
        Whether ``log2fc_mean`` is given too: the log2 ratio of the means of what was logged. ``logfoldchanges``, as in
        scanpy, compares what the means of logarithms stand for.
    style
        The dialect: ``"scanpy"``, or ``"exprmat"`` (uns ``markers`` with a table for each group).
    n_threads, max_memory, progress
        With what means; none changes a number.
    kwds
        Of the logistic regression: ``C``, the inverse of its penalty (1.0), ``max_iter`` (100) and ``tol`` (1e-4), the
        largest entry of the gradient at which it ends. At these values, which are scikit-learn's, it ends before the
        optimum.

    Returns
    -------
    AnnData or None
        A copy if asked for. ``uns["rank_genes_groups"]`` has records with a field for each group: ``names``, ``scores``
        and ``logfoldchanges`` (float32), ``pvals``, ``pvals_adj`` (float64); ``log10_p``, ``log10_q``, their -log10,
        which go on where p-values are too small to be numbers; ``pts`` and ``pts_rest`` (genes × groups); ``params``.
        :func:`ferrocyte.get.rank_genes_groups_df` makes tables of them.

    Raises
    ------
    MissingKeyError
        Where a column, group or layer does not exist.
    BadInputError
        Where there are fewer than two groups, a group has one cell, values are missing or infinite, or options are out
        of range.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> cells.X = cells.X.log1p()
    >>> fe.tl.rank_genes_groups(cells, "condition")
    >>> sorted(cells.uns["rank_genes_groups"]["names"]["stim"][:2])
    ['gene1', 'gene2']
    """
    logistic = _logistic(method, kwds)
    adata = target(adata, copy=copy)
    wanted = _wanted(groups, reference)
    labels = labels_of(adata, groupby)
    values = _masked(adata, values_of(adata, layer, use_raw=use_raw), mask_var)
    comparison = Comparison(
        method=method or "t-test",
        correction=corr_method,
        groups=wanted,
        reference=None if reference == "rest" else str(reference),
        tie_correct=bool(tie_correct),
        base=_base(adata),
        by_size=bool(rankby_abs),
        fold_change_of_means=bool(fold_change_of_means),
        logistic=logistic,
    )
    found = _compare(values, labels, comparison, means(n_threads, max_memory, progress=progress))
    if wanted is not None:
        found.sort(key=lambda one: wanted.index(one["group"]))
    params = {
        "groupby": groupby,
        "reference": str(reference),
        "method": comparison.method,
        "use_raw": values.from_raw,
        "layer": layer,
        "corr_method": corr_method,
    }
    place = keys(style).markers if key_added is None else key_added
    if style == "exprmat":
        adata.uns[place] = _differential(found, values.genes, params, n_genes)
    else:
        adata.uns[place] = {"params": params, **_records(found, values.genes, n_genes)}
        if pts:
            adata.uns[place].update(_fractions(found, values, labels, comparison))
    return adata if copy else None


def _wanted(groups: str | Iterable[str], reference: str) -> list[str] | None:
    """The groups that are compared, in the order given; ``None`` is all."""
    if isinstance(groups, str):
        if groups == "all":
            return None
        message = f"expected `all` or a list of groups, found the text `{groups}`"
        raise BadInputError(message, place="groups", hint=f'groups=["{groups}"]')
    wanted = list(dict.fromkeys(str(group) for group in groups))
    others = [group for group in wanted if group != str(reference)]
    if not others:
        message = f"no group to compare with `{reference}`" if wanted else "no group is named"
        raise BadInputError(message, place="groups")
    return others


def _masked(adata: ad.AnnData, values: Values, mask_var: Any) -> Values:
    """The genes of a mask: a column of var, or a truth value for each gene."""
    if mask_var is None:
        return values
    if isinstance(mask_var, str):
        mask = np.asarray(require((adata.raw if values.from_raw else adata).var, mask_var, place="var"))
    else:
        mask = np.asarray(mask_var)
    if mask.dtype != np.bool_ or mask.shape != (len(values.genes),):
        message = f"expected {len(values.genes)} truth values, found {mask.shape} of type {mask.dtype}"
        raise BadInputError(message, place="mask_var", hint="such as highly_variable")
    if not mask.any():
        message = "no gene is left to test"
        raise BadInputError(message, place="mask_var")
    return values.of_genes([int(i) for i in np.flatnonzero(mask)])


def _base(adata: ad.AnnData) -> float | None:
    """The base of the logarithm that was taken."""
    logged = adata.uns.get("log1p")
    base = logged.get("base") if isinstance(logged, dict) else None
    return None if base is None else float(base)


def _logistic(method: str | None, given: dict[str, Any]) -> tuple[float, int, float]:
    """The options of the logistic regression."""
    if method != "logreg":
        no_more(given, "it belongs to logistic regression")
        return Comparison.logistic
    known = {"C": 1.0, "max_iter": 100, "tol": 1e-4}
    no_more({name: value for name, value in given.items() if name not in known}, "it is one of C, max_iter, tol")
    c, steps, tolerance = ({**known, **given}[name] for name in known)
    for place, value in (("C", c), ("max_iter", steps), ("tol", tolerance)):
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < np.inf:
            message = f"expected a number above 0, found {value!r}"
            raise BadInputError(message, place=place)
    if not isinstance(steps, numbers.Integral):
        message = f"expected a whole number, found {steps!r}"
        raise BadInputError(message, place="max_iter")
    return float(c), int(steps), float(tolerance)


def _compare(values: Values, labels: Labels, comparison: Comparison, work: Means) -> list[dict[str, Any]]:
    names = (values.cells, values.genes)
    found: list[dict[str, Any]] = _core.cells_markers(values.matrix, names, tuple(labels), comparison, work)
    return found


#: Fields of the result: their name, that of the compiled module, and their type.
_FIELDS = (
    ("scores", "scores", "f4"),
    ("pvals", "p", "f8"),
    ("pvals_adj", "q", "f8"),
    ("logfoldchanges", "log2_fold_change", "f4"),
    ("log10_p", "ln_p", "f8"),
    ("log10_q", "ln_q", "f8"),
    ("log2fc_mean", "log2_fold_change_of_means", "f8"),
)


def _sorted(one: dict[str, Any], name: str, n_genes: int | None) -> np.ndarray[Any, Any]:
    """What a group has of its genes, in their order; logarithms as -log10."""
    picked = one[name][one["order"][:n_genes]]
    # Adding 0 turns -0 into 0.
    return -picked / _LN_10 + 0.0 if name.startswith("ln_") else picked


def _records(found: list[dict[str, Any]], genes: list[str], n_genes: int | None) -> dict[str, Any]:
    """Records with a field for each group."""
    named = np.asarray(genes, dtype=object)
    groups = [one["group"] for one in found]
    out: dict[str, Any] = {}

    def record(arrays: list[Any], dtype: str) -> Any:
        return np.rec.fromarrays(arrays, dtype=[(group, dtype) for group in groups])

    out["names"] = record([named[one["order"][:n_genes]] for one in found], "O")
    for field, name, dtype in (one for one in _FIELDS if one[1] in found[0]):
        if np.isnan(found[0][name]).all() and name in ("p", "q", "ln_p", "ln_q"):
            # A regression has coefficients only.
            continue
        # Fold changes and scores beyond 32 bits become infinite, as in scanpy.
        with np.errstate(over="ignore"):
            out[field] = record([_sorted(one, name, n_genes).astype(dtype) for one in found], dtype)
    return out


def _fractions(
    found: list[dict[str, Any]], values: Values, labels: Labels, comparison: Comparison
) -> dict[str, pd.DataFrame]:
    """Shares of cells that have a gene, genes × groups; the reference stands last if it is a group."""
    import pandas as pd

    own = {one["group"]: one["fraction"] for one in found}
    if comparison.reference is not None:
        own[comparison.reference] = found[0]["fraction_reference"]
        if comparison.groups is None:
            own = {level: own[level] for level in labels.levels if level in own}
        return {"pts": pd.DataFrame(own, index=values.genes)}
    rest = {one["group"]: one["fraction_reference"] for one in found}
    return {"pts": pd.DataFrame(own, index=values.genes), "pts_rest": pd.DataFrame(rest, index=values.genes)}


def _differential(
    found: list[dict[str, Any]], genes: list[str], params: dict[str, Any], n_genes: int | None
) -> dict[str, Any]:
    """The form of exprmat: the names as records, and a table for each group."""
    import pandas as pd

    named = np.asarray(genes, dtype=object)
    columns = {
        "scores": "scores",
        "lfc": "log2_fold_change",
        "p": "p",
        "q": "q",
        "pct": "fraction",
        "pct.reference": "fraction_reference",
        "log10.p": "ln_p",
        "log10.q": "ln_q",
    }
    tables = {}
    for one in found:
        table = {"names": named[one["order"][:n_genes]]}
        table |= {column: _sorted(one, name, n_genes) for column, name in columns.items()}
        tables[one["group"]] = pd.DataFrame(table, index=[str(i) for i in range(len(table["names"]))])
    return {"params": params, "names": _records(found, genes, n_genes)["names"], "differential": tables}


def _from_differential(result: dict[str, Any]) -> dict[str, Any]:
    """What exprmat's tables of groups hold, as records."""
    import pandas as pd

    tables = result["differential"]
    columns = {
        "names": ("names", "O"),
        "scores": ("scores", "f4"),
        "logfoldchanges": ("lfc", "f4"),
        "pvals": ("p", "f8"),
        "pvals_adj": ("q", "f8"),
        "log10_p": ("log10.p", "f8"),
        "log10_q": ("log10.q", "f8"),
    }
    out: dict[str, Any] = {"params": result["params"]}
    for name, (column, dtype) in columns.items():
        if all(column in table for table in tables.values()):
            arrays = [np.asarray(table[column]).astype(dtype) for table in tables.values()]
            out[name] = np.rec.fromarrays(arrays, dtype=[(group, dtype) for group in tables])
    for name, column in (("pts", "pct"), ("pts_rest", "pct.reference")):
        if all(column in table for table in tables.values()):
            out[name] = pd.DataFrame({group: table.set_index("names")[column] for group, table in tables.items()})
    return out


def filter_rank_genes_groups(
    adata: ad.AnnData,
    *,
    key: str | None = None,
    groupby: str | None = None,
    use_raw: bool | None = None,
    key_added: str = "rank_genes_groups_filtered",
    min_in_group_fraction: float = 0.25,
    min_fold_change: float = 1.0,
    max_out_group_fraction: float = 0.5,
    compare_abs: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> None:
    """Keep the markers that many cells of their group have, few others, and that differ much; bounds are left out.

    Parameters
    ----------
    adata
        Cells × genes, with a result of :func:`rank_genes_groups`.
    key
        Where the result is in uns; ``None`` is ``rank_genes_groups``.
    groupby, use_raw
        The groups and the matrix of which fractions are taken; ``None``: those of the result.
    key_added
        Where the filtered result goes in uns.
    min_in_group_fraction, max_out_group_fraction
        Bounds on the shares of cells that have the gene: of the group, of all other cells.
    min_fold_change
        Bound on the log2 fold change against all other cells, whatever the reference was.
    compare_abs
        Whether the size of the fold change counts.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None
        ``uns["rank_genes_groups_filtered"]`` is as the result itself; the names of genes that do not pass are NaN.

    Raises
    ------
    MissingKeyError
        Where there is no such result.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> cells.X = cells.X.log1p()
    >>> fe.tl.rank_genes_groups(cells, "condition")
    >>> fe.tl.filter_rank_genes_groups(cells, max_out_group_fraction=0.99)
    >>> kept = cells.uns["rank_genes_groups_filtered"]["names"]["stim"]
    >>> [name for name in kept if name == name]
    ['gene1', 'gene2']
    """
    import pandas as pd

    adata = target(adata)
    result = ranked(adata, key)
    params = result["params"]
    labels = labels_of(adata, params["groupby"] if groupby is None else groupby)
    values = values_of(adata, params["layer"], use_raw=params["use_raw"] if use_raw is None else use_raw)
    groups = list(result["names"].dtype.names)
    comparison = Comparison(method="t-test", groups=groups, base=_base(adata))
    found = _compare(values, labels, comparison, means(n_threads, max_memory, progress=progress))
    shares = {one["group"]: one for one in found}
    where = pd.Index(values.genes)
    kept = []
    for group in groups:
        names = result["names"][group]
        at = where.get_indexer(pd.Index(names))
        change = shares[group]["log2_fold_change"][at].astype(np.float32)
        passes = (
            (shares[group]["fraction"][at] > min_in_group_fraction)
            & (shares[group]["fraction_reference"][at] < max_out_group_fraction)
            & ((np.abs(change) if compare_abs else change) > min_fold_change)
        )
        kept.append(np.where(passes, names, np.nan))
    filtered = {name: item.copy() if hasattr(item, "copy") else item for name, item in result.items()}
    filtered["names"] = np.rec.fromarrays(kept, dtype=[(group, "O") for group in groups])
    adata.uns[key_added] = filtered


def ranked(adata: ad.AnnData, name: str | None) -> dict[str, Any]:
    """A result of :func:`rank_genes_groups` by its key, in scanpy's form, whatever the dialect it was written in."""
    if name is None:
        places = either("scanpy", "markers")
        name = next((place for place in places if place in adata.uns), places[0])
    if name in adata.uns and "differential" in adata.uns[name]:
        return _from_differential(adata.uns[name])
    if name in adata.uns and _is_ranked(adata.uns[name]):
        found: dict[str, Any] = dict(adata.uns[name])
        return found
    message = f"there are no markers `{name}`"
    known = [key for key, held in adata.uns.items() if isinstance(held, dict) and _is_ranked(held)]
    hint = close_to(name, known) if known else "call fe.tl.rank_genes_groups first"
    raise MissingKeyError(message, place="uns", hint=hint)


def _is_ranked(held: Any) -> bool:
    """Whether an item of uns has ranked genes: those of a regression have no p-values."""
    return "names" in held and "scores" in held and "params" in held

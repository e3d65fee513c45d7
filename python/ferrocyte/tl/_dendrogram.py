"""Which groups of cells are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._annotated import categorical, combinations_of, known_genes, representation, target, values_of
from ..errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad

_CORRELATIONS = ("pearson", "kendall", "spearman")
_LINKAGES = ("complete", "average", "single", "ward", "centroid", "median", "weighted")


def dendrogram(
    adata: ad.AnnData,
    groupby: str | Sequence[str],
    *,
    n_pcs: int | None = None,
    use_rep: str | None = None,
    var_names: Sequence[str] | None = None,
    use_raw: bool | None = None,
    cor_method: str = "pearson",
    linkage_method: str = "complete",
    optimal_ordering: bool = False,
    key_added: str | None = None,
    inplace: bool = True,
) -> dict[str, Any] | None:
    """Order groups of cells by how their means correlate: a hierarchical clustering.

    Parameters
    ----------
    adata
        Cells × genes.
    groupby
        The column of obs with the groups, or several: their combinations.
    n_pcs, use_rep
        The coordinates: how many columns of a key of obsm; ``None``: principal components, or X up to 50 genes.
    var_names, use_raw
        Genes whose values are taken instead, from raw if there is one.
    cor_method
        ``"pearson"``, ``"kendall"`` or ``"spearman"``.
    linkage_method, optimal_ordering
        Of scipy's ``linkage``.
    key_added
        Where the result goes in uns, instead of ``dendrogram_`` and the columns.
    inplace
        Whether it goes there, or is returned.

    Returns
    -------
    dict or None
        ``linkage``, ``groupby``, ``use_rep``, ``cor_method``, ``linkage_method``, ``categories_ordered``,
        ``categories_idx_ordered``, ``dendrogram_info`` (scipy's), ``correlation_matrix`` (groups × groups).

    Raises
    ------
    BadInputError
        Where there are fewer than two groups.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> fe.tl.dendrogram(cells, "donor")
    >>> sorted(cells.uns["dendrogram_donor"]["categories_ordered"])
    ['d1', 'd2', 'd3', 'd4', 'd5', 'd6']
    """
    import pandas as pd
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    for place, word, choices in (
        ("cor_method", cor_method, _CORRELATIONS),
        ("linkage_method", linkage_method, _LINKAGES),
    ):
        if word not in choices:
            message = f"there is no choice `{word}`"
            raise BadInputError(message, place=place, hint=f"it is one of {', '.join(f'`{c}`' for c in choices)}")
    adata = target(adata)
    by = [groupby] if isinstance(groupby, str) else list(groupby)
    columns = [categorical(adata, name) for name in by]
    found, codes = combinations_of(columns, np.all([labels.notna().to_numpy() for labels in columns], axis=0))
    levels = [str(name) for name in found.index]
    if len(levels) < 2:
        message = f"{len(levels)} group has nothing to be compared with"
        raise BadInputError(message, place=f"groupby `{'`, `'.join(by)}`")
    points = _points(adata, n_pcs, use_rep, var_names, use_raw=use_raw)
    means = pd.DataFrame(points[codes >= 0]).groupby(codes[codes >= 0]).mean()
    correlations = means.T.corr(method=cor_method).to_numpy()
    if not np.isfinite(correlations).all():
        message = "a group has the same mean everywhere: it correlates with none"
        raise BadInputError(message, place="use_rep", hint="use more columns")
    apart = np.clip(1.0 - correlations, 0.0, 2.0)
    np.fill_diagonal(apart, 0.0)
    tree = hierarchy.linkage(
        squareform(apart, checks=False), method=linkage_method, optimal_ordering=bool(optimal_ordering)
    )
    drawn = hierarchy.dendrogram(tree, labels=levels, no_plot=True)
    result = {
        "linkage": tree,
        "groupby": by,
        "use_rep": use_rep,
        "cor_method": cor_method,
        "linkage_method": linkage_method,
        "categories_ordered": list(drawn["ivl"]),
        "categories_idx_ordered": list(drawn["leaves"]),
        "dendrogram_info": drawn,
        "correlation_matrix": correlations,
    }
    if not inplace:
        return result
    adata.uns[f"dendrogram_{'_'.join(by)}" if key_added is None else key_added] = result
    return None


def _points(
    adata: ad.AnnData, n_pcs: int | None, use_rep: str | None, var_names: Any, *, use_raw: bool | None
) -> np.ndarray[Any, Any]:
    if var_names is None:
        small = use_rep is None and n_pcs is None and adata.n_vars <= 50
        return np.asarray(representation(adata, "X" if small else use_rep, n_pcs)[1])
    values = values_of(adata, None, use_raw=use_raw)
    chosen = known_genes(values.genes, var_names, "var_names")
    matrix = (adata.raw if values.from_raw else adata).X[:, chosen]
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)

"""How strongly cells express sets of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._annotated import known_genes, only, seed_of, target, values_of
from .._run import means

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad


def score_genes(
    adata: ad.AnnData,
    gene_list: Sequence[str],
    *,
    ctrl_as_ref: bool = True,
    ctrl_size: int = 50,
    gene_pool: Sequence[str] | None = None,
    n_bins: int = 25,
    score_name: str = "score",
    random_state: int = 0,
    copy: bool = False,
    use_raw: bool | None = None,
    layer: str | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Score cells for a set of genes: their mean, less that of other genes of the same abundance.

    Parameters
    ----------
    adata
        Cells × genes: logarithms of normalised counts.
    gene_list
        The genes; those that do not exist are passed over with a warning.
    ctrl_as_ref
        ``True``: control genes are those of the bins that are not in the set.
    ctrl_size
        Control genes of a bin, drawn at random.
    gene_pool
        Genes that may be controls; ``None`` is all.
    n_bins
        Bins of mean expression, with as many genes each.
    score_name
        The column of obs that is written.
    random_state
        The seed of the draws, a whole number.
    copy
        Whether a copy is changed and returned.
    use_raw, layer
        The matrix: raw if there is one, unless it is ``False`` or a layer is named.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    AnnData or None
        A copy if asked for. ``obs["score"]`` has the scores (float64).

    Raises
    ------
    MissingKeyError
        Where none of the genes exists.
    BadInputError
        Where no control is left, or several genes have a name of the list.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> fe.tl.score_genes(cells, ["gene1", "gene2"], n_bins=4)
    >>> means = cells.obs.groupby("condition", observed=True)["score"].mean()
    >>> bool(means["stim"] > means["ctrl"])
    True
    """
    only("ctrl_as_ref", ctrl_as_ref, [True], "controls are drawn from the bins of the set, without the set")
    adata = target(adata, copy=copy)
    values = values_of(adata, layer, use_raw=use_raw)
    chosen = known_genes(values.genes, gene_list, "gene_list")
    pool = None if gene_pool is None else known_genes(values.genes, gene_pool, "gene_pool")
    manner = (int(ctrl_size), int(n_bins), pool, None, seed_of(random_state))
    work = means(n_threads, max_memory, progress=progress)
    scores, _ = _core.cells_score_genes(values.matrix, (values.cells, values.genes), chosen, manner, work)
    adata.obs[score_name] = scores
    return adata if copy else None


def score_genes_cell_cycle(
    adata: ad.AnnData,
    *,
    s_genes: Sequence[str],
    g2m_genes: Sequence[str],
    copy: bool = False,
    **kwargs: Any,
) -> ad.AnnData | None:
    """Score cells for the genes of two phases of the cell cycle, and say in which they are.

    Parameters
    ----------
    adata
        Cells × genes: logarithms of normalised counts.
    s_genes, g2m_genes
        Genes of the phase of synthesis, and of the one before and in division.
    copy
        Whether a copy is changed and returned.
    kwargs
        Of :func:`score_genes`. Control genes of a bin are as many as genes of the smaller set, if `ctrl_size` is not
        given.

    Returns
    -------
    AnnData or None
        A copy if asked for. ``obs["S_score"]``, ``obs["G2M_score"]`` (float64), and ``obs["phase"]`` (``S``, ``G2M``,
        whichever score is larger, or ``G1`` where both are negative).

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> fe.tl.score_genes_cell_cycle(cells, s_genes=["gene1", "gene2"], g2m_genes=["gene3"], n_bins=4)
    >>> cells.obs["phase"].cat.categories.to_list()
    ['G1', 'G2M', 'S']
    """
    import pandas as pd

    kwargs.setdefault("ctrl_size", min(len(list(s_genes)), len(list(g2m_genes))))
    adata = target(adata, copy=copy)
    for name, genes in (("S_score", s_genes), ("G2M_score", g2m_genes)):
        score_genes(adata, genes, score_name=name, **kwargs)
    s, g2m = (np.ascontiguousarray(adata.obs[name], dtype=np.float64) for name in ("S_score", "G2M_score"))
    codes, levels = _core.cells_cycle_phase(s, g2m)
    adata.obs["phase"] = pd.Categorical.from_codes(codes, categories=levels)
    return adata if copy else None

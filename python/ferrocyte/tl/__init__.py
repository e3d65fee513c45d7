"""From an embedding to named cells: layouts, clusters, markers, scores, composition.

Names, arguments and keys are scanpy's; functions act on the :class:`~anndata.AnnData` in place, or on a copy that they
return (``copy=True``).

==========================  =======================================================================
layouts                     :func:`umap`, :func:`trustworthiness`
clusters                    :func:`leiden`, :func:`louvain`, :func:`sc3`, :func:`silhouette`,
                            :func:`adjusted_rand`, :func:`modularity`
markers                     :func:`rank_genes_groups`, :func:`filter_rank_genes_groups`
groups                      :func:`dendrogram`
scores                      :func:`score_genes`, :func:`score_genes_cell_cycle`
composition                 :func:`proportion`, :func:`composition`
==========================  =======================================================================
"""

from __future__ import annotations

from ._composition import composition, proportion
from ._dendrogram import dendrogram
from ._leiden import leiden, louvain
from ._markers import filter_rank_genes_groups, rank_genes_groups
from ._quality import adjusted_rand, modularity, silhouette, trustworthiness
from ._sc3 import sc3
from ._score import score_genes, score_genes_cell_cycle
from ._umap import umap

__all__ = [
    "adjusted_rand",
    "composition",
    "dendrogram",
    "filter_rank_genes_groups",
    "leiden",
    "louvain",
    "modularity",
    "proportion",
    "rank_genes_groups",
    "sc3",
    "score_genes",
    "score_genes_cell_cycle",
    "silhouette",
    "trustworthiness",
    "umap",
]

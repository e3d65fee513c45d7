"""Results as tables: markers of groups, groups of cells added up, genes and columns by cell."""

from __future__ import annotations

from ._aggregate import aggregate
from ._groups import group_expression, top_markers
from ._markers import rank_genes_groups_df
from ._obs_df import obs_df

__all__ = ["aggregate", "group_expression", "obs_df", "rank_genes_groups_df", "top_markers"]

"""Results as tables: markers of groups, and groups of cells added up."""

from __future__ import annotations

from ._aggregate import aggregate
from ._markers import rank_genes_groups_df

__all__ = ["aggregate", "rank_genes_groups_df"]

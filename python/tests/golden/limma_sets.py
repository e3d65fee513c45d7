"""Tests of gene sets under the names of the reference cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ferrocyte import limma

if TYPE_CHECKING:
    from collections.abc import Callable


def camera(y: Any, index: Any, inter_gene_cor: Any = 0.01, **options: Any) -> Any:
    """The cases write "NA" for a correlation that is estimated."""
    given = None if isinstance(inter_gene_cor, str) else inter_gene_cor
    return limma.camera(y, index, inter_gene_cor=given, **options)


FN: dict[str, Callable[..., Any]] = {
    "camera": camera,
    "camera_pr": limma.camera_pr,
    "fry": limma.fry,
    "roast": limma.roast,
    "mroast": limma.mroast,
    "romer": limma.romer,
    "top_romer": limma.top_romer,
    "rank_sum_test_with_correlation": limma.rank_sum_test_with_correlation,
    "gene_set_test": limma.gene_set_test,
    "wilcox_gst": limma.wilcox_gst,
    "inter_gene_correlation": limma.inter_gene_correlation,
    "ids2indices": limma.ids2indices,
    "tricube_moving_average": limma.tricube_moving_average,
}

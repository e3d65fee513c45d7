"""Splicing and over-representation under the names of the reference cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ferrocyte import limma

if TYPE_CHECKING:
    from collections.abc import Callable


def top_splice(fit: Any, coef: Any = -1, number: float = np.inf, **options: Any) -> Any:
    """The cases mean all rows where they give no number."""
    return limma.top_splice(fit, coef, number=number, **options)


FN: dict[str, Callable[..., Any]] = {
    "diff_splice": limma.diff_splice,
    "top_splice": top_splice,
    "kegga": limma.kegga,
    "goana": limma.goana,
    "goana_trend": limma.goana_trend,
    "top_kegg": limma.top_kegg,
    "top_go": limma.top_go,
}

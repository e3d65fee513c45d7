"""Fits, designs, contrasts, arrays and batches under the names of the reference cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ferrocyte import limma

if TYPE_CHECKING:
    from collections.abc import Callable

FN: dict[str, Callable[..., Any]] = {
    "lm_fit": limma.lm_fit,
    "contrasts_fit": limma.contrasts_fit,
    "model_matrix": limma.model_matrix,
    "make_contrasts": limma.make_contrasts,
    "contrast_as_coef": limma.contrast_as_coef,
    "is_fullrank": limma.is_fullrank,
    "non_estimable": limma.non_estimable,
    "array_weights": limma.array_weights,
    "array_weights_quick": limma.array_weights_quick,
    "duplicate_correlation": limma.duplicate_correlation,
    "remove_batch_effect": limma.remove_batch_effect,
    "wsva": lambda *args, **kwargs: {"abs_sv": np.abs(limma.wsva(*args, **kwargs))},
    "ave_reps": limma.ave_reps,
    "aver_arrays": limma.aver_arrays,
    "ave_dups": limma.ave_dups,
    "fitted": limma.fitted,
    "residuals": limma.residuals,
    "venn_counts": limma.venn_counts,
}

"""Counts, smoothing, voom, normalisation and distances under the names of the reference cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ferrocyte import limma

if TYPE_CHECKING:
    from collections.abc import Callable


def calc_norm_factors(counts: Any, **words: Any) -> Any:
    """The cases with an empty library show what the formulas give as they stand."""
    empty = (np.asarray(counts).sum(axis=0) == 0).any()
    return limma.calc_norm_factors(counts, zero_lib="keep" if empty else "error", **words)


def mds_coords(**words: Any) -> dict[str, Any]:
    """Signs are arbitrary: absolute coordinates are compared."""
    found = limma.mds_coords(**words)
    return {
        "eigen_values": found.eigen_values,
        "var_explained": found.var_explained,
        "abs_coords": np.abs(found.coords[:, :2]),
    }


def named(verb: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """A verb whose named tuple becomes a `dict`."""
    return lambda **words: verb(**words)._asdict()


FN: dict[str, Callable[..., Any]] = {
    "approx_rule2": limma.approx_rule2,
    "calc_norm_factors": calc_norm_factors,
    "choose_lowess_span": limma.choose_lowess_span,
    "cpm": limma.cpm,
    "filter_by_expr": limma.filter_by_expr,
    "loess_fit": named(limma.loess_fit),
    "lowess": named(limma.lowess),
    "mds_coords": mds_coords,
    "normalize_between_arrays": limma.normalize_between_arrays,
    "normalize_cyclic_loess": limma.normalize_cyclic_loess,
    "normalize_median_values": limma.normalize_median_values,
    "normalize_quantiles": limma.normalize_quantiles,
    "rpkm": limma.rpkm,
    "voom": limma.voom,
    "voom_lm_fit": limma.voom_lm_fit,
    "voom_with_quality_weights": limma.voom_with_quality_weights,
    "vooma": limma.vooma,
    "vooma_by_group": limma.vooma_by_group,
    "vooma_lm_fit": limma.vooma_lm_fit,
    "weighted_lowess": named(limma.weighted_lowess),
}

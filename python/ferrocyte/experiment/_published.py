"""Arguments that scripts of exprmat give and that change nothing here: accepted at their published value."""

from __future__ import annotations

import difflib
from typing import Any

from ..errors import BadInputError, UnsupportedError

_ANY = object()

_MEANS = "steps run on threads: n_threads"
_ONE_WAY = "there is one way"

#: For each verb: the argument, the values that are accepted, and why others are not.
PUBLISHED: dict[str, dict[str, tuple[tuple[Any, ...], str]]] = {
    "qc": {"parallel": ((None, False, True), _MEANS), "ribo_genes": ((None,), "ribosomal genes are told by symbol")},
    "filter": {},
    "log_normalize": {
        "key_source": (("X", "counts"), "counts are normalised"),
        "key_norm": (("norm",), _ONE_WAY),
        "key_lognorm": (("lognorm", "X"), _ONE_WAY),
    },
    "hvg": {
        "key_lognorm": (("X", "lognorm"), "dispersions are those of X"),
        "key_counts": (("counts", "X"), "counts are those of the layer `counts`"),
        "sort_hvg_rank_first": ((False,), "genes that vary in more batches come first"),
        "loess_span": ((0.3,), "give span="),
    },
    "scale_pca": {
        "keep_sparse": ((True, False), "the matrix always stays sparse"),
        "key_lognorm": (("X", "lognorm"), "components are those of X"),
        "svd_solver": ((None, "arpack", "auto", "randomized", "full"), "components are found exactly"),
        "zero_center": ((True,), "components are those of the covariance"),
        "scaled_slot": ((None, "scaled"), "no scaled matrix is made"),
    },
    "harmony": {"verbose": ((True, False), "decisions are logged")},
    "merge": {},
    "knn": {
        "knn": ((True,), "all cells would be joined"),
        "transformer": ((None, "exact", "approximate", "sklearn", "pynndescent"), "neighbours are searched for here"),
        "metric_kwds": (({}, None), "metrics have no parameters"),
    },
    "umap": {"method": (("umap",), "layouts are made on processors"), "mapper": ((None,), _ONE_WAY)},
    "leiden": {},
    "sc3": {"batch_size": ((100,), "cells are clustered in full, not by batches"), "key_added": (("sc3",), _ONE_WAY)},
    "markers": {"rankby_abs": ((False,), "genes are ranked by score"), "taxa": ((_ANY,), "")},
    "plots": {
        "rasterize": ((True, False), "many points are rasterised, few are not"),
        "run_on_splits": ((False,), "give run_on_samples="),
        "show": ((True, False, None), "axes are returned, never shown"),
        "save": ((None, False), "fe.pl.save writes figures"),
    },
}


def accept(verb: str, given: dict[str, Any]) -> None:
    """Refuse arguments that are not known, or not at a value that is accepted, with the reason."""
    known = PUBLISHED.get(verb, {})
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            message = f"there is no argument `{name}`"
            raise BadInputError(message, place=verb, hint=f"is `{near[0]}` meant?" if near else "see help of the verb")
        values, reason = known[name]
        if _ANY not in values and not any(_same(value, one) for one in values):
            message = f"{value!r} is not supported: {reason}"
            raise UnsupportedError(message, place=name)


def _same(value: Any, other: Any) -> bool:
    return value is other or (type(value) is type(other) and bool(value == other))

"""Where results land in an AnnData: one table of two dialects.

``"scanpy"`` are the names of scanpy, ``"exprmat"`` those of exprmat. One of them is written at a time; readers look
for both, the one that is asked for first.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable

Style: TypeAlias = Literal["scanpy", "exprmat"]


@dataclass(frozen=True)
class Keys:
    """The names of one dialect. `hvg` maps what is measured of genes to columns of var."""

    counts: str | None
    hvg: dict[str, str]
    pca: str
    loadings: str
    variance_ratio: str
    singular: str | None
    harmony: str
    umap: str
    leiden: str
    markers: str
    #: Labels of a consensus, where the number of clusters is filled in, and what was tried.
    sc3: str
    sc3_trials: str
    #: Colours of the levels of a column of obs, in uns.
    colours: str
    #: How names of a second graph are made of `key_added` and the name of the first.
    second_graph: str


_HVG = (
    "highly_variable",
    "highly_variable_rank",
    "means",
    "variances",
    "variances_norm",
    "dispersions",
    "dispersions_norm",
    "highly_variable_nbatches",
    "highly_variable_intersection",
)
_HVG_OF_EXPRMAT = (
    "vst.hvg",
    "vst.hvg.rank",
    "vst.means",
    "vst.vars",
    "vst.vars.norm",
    "vst.dispersions",
    "vst.dispersions.norm",
    "vst.hvg.nbatches",
    "vst.hvg.intersection",
)

DIALECTS: dict[str, Keys] = {
    "scanpy": Keys(
        counts=None,
        hvg=dict(zip(_HVG, _HVG, strict=True)),
        pca="X_pca",
        loadings="PCs",
        variance_ratio="variance_ratio",
        singular=None,
        harmony="X_pca_harmony",
        umap="X_umap",
        leiden="leiden",
        markers="rank_genes_groups",
        sc3="sc3s_{}",
        sc3_trials="sc3s_trials",
        colours="{}_colors",
        second_graph="{key}_{name}",
    ),
    "exprmat": Keys(
        counts="counts",
        hvg=dict(zip(_HVG, _HVG_OF_EXPRMAT, strict=True)),
        pca="pca",
        loadings="pca",
        variance_ratio="pct.variance",
        singular="singular",
        harmony="harmony",
        umap="umap",
        leiden="leiden",
        markers="markers",
        sc3="sc3.{}",
        sc3_trials="sc3",
        colours="{}.colors",
        second_graph="{name}.{key}",
    ),
}

#: The names of scanpy's argument `key_added` under which graphs have no name of their own.
FIRST_GRAPH = (None, "neighbors")


def keys(style: str) -> Keys:
    """The names of a dialect."""
    if style not in DIALECTS:
        message = f"there is no dialect `{style}`"
        raise BadInputError(message, place="style", hint=f"it is one of {listed(DIALECTS)}")
    return DIALECTS[style]


def of_graph(style: str, key: str | None, name: str) -> str:
    """What a part of a graph (``connectivities``, ``distances``, ...) is called; `key` is its ``key_added``."""
    return name if key in FIRST_GRAPH else keys(style).second_graph.format(key=key, name=name)


def either(style: str, field: str) -> list[str]:
    """The names that something has in both dialects, that of `style` first."""
    return list(dict.fromkeys(getattr(keys(s), field) for s in (style, *DIALECTS)))


def find(slot: Any, names: Iterable[str], place: str) -> str:
    """The first of `names` that is in a slot of an AnnData, or an error with what is there."""
    names = list(names)
    for name in names:
        if name in slot:
            return name
    known = [str(key) for key in slot]
    near = difflib.get_close_matches(names[0], known, 3) or known[:20]
    message = f"there is no {' or '.join(f'`{name}`' for name in names)}"
    raise MissingKeyError(message, place=place, hint=f"there are {listed(near)}" if near else "nothing is there yet")


def listed(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(f"`{name}`" for name in names)

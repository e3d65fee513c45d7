"""Where results land in an AnnData: one table of two dialects.

``"scanpy"`` are the names of scanpy, ``"exprmat"`` those of exprmat. One of them is written at a time; readers look
for both, the one that is asked for first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from .errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

Style: TypeAlias = Literal["scanpy", "exprmat"]


@dataclass(frozen=True)
class Keys:
    """The names of one dialect. In those of `sc3` the number of clusters is filled in."""

    pca: str
    umap: str
    markers: str
    sc3: str
    sc3_trials: str


DIALECTS: dict[str, Keys] = {
    "scanpy": Keys(pca="X_pca", umap="X_umap", markers="rank_genes_groups", sc3="sc3s_{}", sc3_trials="sc3s_trials"),
    "exprmat": Keys(pca="pca", umap="umap", markers="markers", sc3="sc3.{}", sc3_trials="sc3"),
}


def keys(style: str) -> Keys:
    """The names of a dialect."""
    if style not in DIALECTS:
        message = f"there is no dialect `{style}`"
        raise BadInputError(message, place="style", hint=f"it is one of {listed(DIALECTS)}")
    return DIALECTS[style]


def either(style: str, field: str) -> list[str]:
    """The names that something has in both dialects, that of `style` first."""
    return list(dict.fromkeys(getattr(keys(s), field) for s in (style, *DIALECTS)))


def listed(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(f"`{name}`" for name in names)

"""Under which names results land in an AnnData: scanpy's, or exprmat's.

One dialect is written at a time; readers accept both.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from .errors import BadInputError

Style: TypeAlias = Literal["scanpy", "exprmat"]

_STYLES = ("scanpy", "exprmat")

#: What a step writes: its name in scanpy's dialect and in exprmat's. ``{}`` is filled in by the step.
KEYS: dict[str, tuple[str, str]] = {
    "pca": ("X_pca", "pca"),
    "umap": ("X_umap", "umap"),
    "sc3": ("sc3s_{}", "sc3.{}"),
    "sc3_trials": ("sc3s_trials", "sc3"),
    "markers": ("rank_genes_groups", "markers"),
}


def key(what: str, style: Style = "scanpy") -> str:
    """The name of what a step writes in a dialect."""
    if style not in _STYLES:
        message = f"there is no choice `{style}`"
        raise BadInputError(message, place="style", hint="it is one of `scanpy`, `exprmat`")
    return KEYS[what][_STYLES.index(style)]

"""What the items of a study stand for, and which steps were taken: ``uns['slots']`` and ``uns['commands']``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

    import anndata as ad

#: The parts of a study, in the order in which they are shown.
PARTS = ("obs", "var", "layers", "obsm", "varm", "obsp", "varp", "uns")


def items(adata: ad.AnnData, part: str) -> Iterator[tuple[str, Any]]:
    """The items of a part by their names."""
    held = getattr(adata, part)
    for name in list(held.keys()):
        # anndata 0.13 calls X a layer without a name.
        if name is not None:
            yield str(name), held[name]


def form_of(value: Any, part: str) -> tuple[str, str, int, list[int]]:
    """How an item is held: a word, numpy's kind and bytes of its values, its shape."""
    import pandas as pd
    from scipy import sparse

    if part == "uns":
        return "other", "", 0, []
    if isinstance(value, pd.DataFrame):
        return "frame", "", 0, []
    if isinstance(value, pd.Series):
        if isinstance(value.dtype, pd.CategoricalDtype):
            return "column", "category", 0, []
        dtype = getattr(value.dtype, "numpy_dtype", value.dtype)
        return "column", getattr(dtype, "kind", "O"), getattr(dtype, "itemsize", 0), []
    word = value.format if sparse.issparse(value) else "array"
    return word, value.dtype.kind, value.dtype.itemsize, [int(n) for n in value.shape]


def register(adata: ad.AnnData, part: str, name: str, classes: list[str] | None = None) -> None:
    """Keep what an item stands for: `classes`, or what steps that write this name say of it."""
    classes = _core.study_classes(part, name) if classes is None else classes
    if classes is None or "/" in name:
        return
    slots = adata.uns.setdefault("slots", {}).setdefault(part, {})
    slots[name] = {"group": part, "name": name, "class": np.array(classes, dtype=object), "description": ""}


def register_all(adata: ad.AnnData, *, plain: bool = False) -> None:
    """Keep what all items stand for that steps write; `plain` also the types of all others, as files have them."""
    slots = adata.uns.get("slots", {})
    for part in PARTS:
        for name, value in items(adata, part):
            if name in slots.get(part, {}) or (part == "uns" and name in ("slots", "commands")):
                continue
            classes = _core.study_classes(part, name)
            if classes is None and plain and part != "uns":
                own = _core.study_plain_class(*form_of(value, part)[:3])
                classes = None if own is None else [own]
            if classes is not None:
                register(adata, part, name, classes)


def forget_lost(adata: ad.AnnData) -> None:
    """Drop what was kept of items that are gone."""
    for part, slots in adata.uns.get("slots", {}).items():
        held = getattr(adata, part, {})
        for name in [name for name in slots if name not in held]:
            del slots[name]


def log(adata: ad.AnnData, verb: str, arguments: dict[str, Any]) -> None:
    """Keep a step that was taken, with its arguments."""
    commands = adata.uns.setdefault("commands", {})
    text = json.dumps({"step": len(commands), "verb": verb, "arguments": arguments}, default=_plain, sort_keys=True)
    commands[_core.study_command_id(len(commands), text)] = text


def _plain(value: Any) -> Any:
    """What JSON has no word for, as text."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (set, tuple)):
        return list(value)
    return f"<{type(value).__name__}>" if hasattr(value, "shape") else str(value)


def rows(adata: ad.AnnData) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """The items of all parts as the compiled module prints them."""
    slots = adata.uns.get("slots", {})

    def row(part: str, name: str, value: Any) -> tuple[Any, ...]:
        held = slots.get(part, {}).get(name, {}).get("class", [])
        if part == "uns" and name in ("slots", "commands"):
            held = ["system"]
        classes = [held] if isinstance(held, str) else [str(one) for one in held]
        return (name, *form_of(value, part), classes)

    return [(part, [row(part, name, value) for name, value in items(adata, part)]) for part in PARTS]

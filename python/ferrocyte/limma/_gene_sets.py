"""Sets of genes as users give them: names, positions or masks, turned into positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._messages import warn
from ..errors import BadInputError

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

__all__ = ["GeneSets", "gene_sets", "ids2indices", "one_set"]

#: How many names a warning tells.
_TOLD = 5


@dataclass
class GeneSets:
    """Sets as positions of genes; empty ones are left out."""

    names: list[str]
    members: list[Array]
    #: Which of the sets that were given are there.
    kept: list[int]

    def core(self) -> tuple[list[str], list[int], Array]:
        """For the compiled module."""
        starts = np.concatenate([[0], np.cumsum([len(set_) for set_ in self.members])]).astype(int)
        genes = np.concatenate(self.members) if self.members else np.empty(0)
        return self.names, [int(start) for start in starts], np.ascontiguousarray(genes, dtype=np.int64)


def ids2indices(gene_sets: Any, identifiers: Any, *, remove_empty: bool = True) -> dict[str, Array]:
    """Find the genes of sets among identifiers.

    Parameters
    ----------
    gene_sets
        Names of genes by name of set; or one list of names.
    identifiers
        The identifiers of all genes, in the order of the data. One that stands there several times is found every time.
    remove_empty
        Whether sets without any gene are left out.

    Returns
    -------
    dict
        Positions by name of set. Unknown names, and sets of no or one gene, are told in a warning.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.ids2indices({"cycle": ["CDK1", "MKI67"]}, ["ACTB", "MKI67", "CDK1"])
    {'cycle': array([1, 2])}
    """
    given = gene_sets if isinstance(gene_sets, Mapping) else {"set1": gene_sets}
    positions = _positions_of(identifiers)
    told = _Told()
    found = {str(name): told.of_names(str(name), ids, positions) for name, ids in given.items()}
    told.sizes({name: len(set_) for name, set_ in found.items()})
    told.speak()
    return {name: set_ for name, set_ in found.items() if len(set_) > 0 or not remove_empty}


def gene_sets(index: Any, identifiers: Any, n_genes: int) -> GeneSets:
    """Sets given by names, positions or masks, among genes with these identifiers.

    Unknown names, repeated genes, and sets of no or one gene are told in a warning; those without genes are left out.
    """
    given = _named(index)
    positions: dict[str, list[int]] | None = None
    told = _Told()
    names, members, kept = [], [], []
    sizes = {}
    for k, (name, content) in enumerate(given):
        values = np.atleast_1d(np.asarray(content))
        if values.dtype.kind in "OUS" and len(values):
            if positions is None:
                positions = _positions_of(identifiers)
            set_ = told.of_names(name, values, positions)
        else:
            set_ = told.once(name, _by_position(name, values, n_genes))
        sizes[name] = len(set_)
        if len(set_):
            names.append(name)
            members.append(set_)
            kept.append(k)
    told.sizes(sizes)
    told.speak()
    if not names:
        message = "no set has any of the genes"
        raise BadInputError(message, place="index", hint="compare the names in the sets with those of the genes")
    return GeneSets(names, members, kept)


def one_set(index: Any, identifiers: Any, n_genes: int) -> list[int]:
    """The positions of one set."""
    if isinstance(index, Mapping):
        message = f"expected one set, found {len(index)}"
        raise BadInputError(message, place="index")
    if index is None:
        index = np.arange(n_genes)
    return [int(g) for g in gene_sets({"set1": index}, identifiers, n_genes).members[0]]


def identifiers_of(geneid: Any, genes: pd.DataFrame) -> Any:
    """What sets name genes by: `geneid` (a column of the annotation, or one per gene), else the names of the genes."""
    if geneid is None:
        return genes.index
    if isinstance(geneid, str):
        if geneid not in genes:
            message = f"there is no column `{geneid}` in the annotation of the genes"
            raise BadInputError(message, place="geneid", hint=f"it has {', '.join(map(str, genes.columns)) or 'none'}")
        return genes[geneid]
    if len(geneid) != len(genes):
        message = f"{len(geneid)} identifiers for {len(genes)} genes"
        raise BadInputError(message, place="geneid")
    return geneid


class _Told:
    """What is worth a warning, gathered over sets."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def of_names(self, name: str, ids: Any, positions: dict[str, list[int]]) -> Array:
        wanted = dict.fromkeys(map(str, np.atleast_1d(np.asarray(ids, dtype=object))))
        unknown = [gene for gene in wanted if gene not in positions]
        if unknown:
            self.lines.append(
                f"`{name}` names {len(unknown)} of {len(wanted)} genes that are not there: {_few(unknown)}"
            )
        return np.sort(np.array([g for gene in wanted for g in positions.get(gene, ())], dtype=np.int64))

    def once(self, name: str, set_: Array) -> Array:
        _, first = np.unique(set_, return_index=True)
        if len(first) < len(set_):
            self.lines.append(f"`{name}` names {len(set_) - len(first)} genes more than once; each counts once")
        return set_[np.sort(first)]

    def sizes(self, sizes: dict[str, int]) -> None:
        empty = [f"`{name}`" for name, size in sizes.items() if size == 0]
        single = [f"`{name}`" for name, size in sizes.items() if size == 1]
        if empty:
            self.lines.append(f"sets without any gene are left out: {_few(empty)}")
        if single:
            self.lines.append(f"sets of one gene: {_few(single)}")

    def speak(self) -> None:
        if self.lines:
            more = len(self.lines) - _TOLD
            rest = [f"and {more} more"] if more > 0 else []
            warn("gene sets: " + "; ".join(self.lines[:_TOLD] + rest))


def _few(names: list[str]) -> str:
    return ", ".join(names[:_TOLD]) + (f", and {len(names) - _TOLD} more" if len(names) > _TOLD else "")


def _named(index: Any) -> list[tuple[str, Any]]:
    """Pairs of name and content; lists of sets are numbered."""
    if isinstance(index, Mapping):
        return [(str(name), content) for name, content in index.items()]
    if isinstance(index, (list, tuple)) and len(index) and all(_is_list(content) for content in index):
        return [(f"set{k + 1}", content) for k, content in enumerate(index)]
    return [("set1", index)]


def _is_list(content: Any) -> bool:
    return np.iterable(content) and not isinstance(content, str)


def _positions_of(identifiers: Any) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for g, gene in enumerate(identifiers):
        positions.setdefault(str(gene), []).append(g)
    return positions


def _by_position(name: str, values: Array, n_genes: int) -> Array:
    if values.dtype.kind == "b":
        if len(values) != n_genes:
            message = f"set `{name}` is a mask of {len(values)} for {n_genes} genes"
            raise BadInputError(message, place="index")
        return np.flatnonzero(values)
    if values.dtype.kind == "f" and not np.array_equal(values, np.floor(values)):
        message = f"set `{name}` holds the position {values[values != np.floor(values)][0]}"
        raise BadInputError(message, place="index", hint="positions are whole numbers from 0")
    out = values.astype(np.int64)
    wrong = out[(out < 0) | (out >= n_genes)]
    if len(wrong):
        message = f"set `{name}` holds the position {int(wrong[0])}, but there are {n_genes} genes"
        raise BadInputError(message, place="index", hint="give names of genes as texts, positions from 0")
    return out

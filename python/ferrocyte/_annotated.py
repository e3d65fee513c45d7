"""What functions that work on an AnnData in place share: labels, matrices, representations, seeds."""

from __future__ import annotations

import difflib
import numbers
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._keys import either
from ._messages import info, warn
from ._obs import column, require
from ._sources import open_source
from .errors import BadInputError, MissingKeyError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import anndata as ad
    import pandas as pd

    from ._sources import Matrix


class Labels(NamedTuple):
    """Labels of cells: codes (-1 where there is none) into levels."""

    codes: np.ndarray[Any, Any]
    levels: list[str]


class Values(NamedTuple):
    """A matrix, the names of its cells and genes, and whether it is ``.raw``."""

    matrix: Matrix
    cells: list[str]
    genes: list[str]
    from_raw: bool

    def of_genes(self, chosen: Sequence[int]) -> Values:
        """The same with some of its genes."""
        shown = self.matrix.genes
        genes = [shown[i] if shown is not None else int(i) for i in chosen]
        return self._replace(matrix=replace(self.matrix, genes=genes), genes=[self.genes[i] for i in chosen])


def target(adata: Any, *, copy: bool = False) -> ad.AnnData:
    """The AnnData that is worked on: the one given, or a copy; names of cells must differ."""
    if not all(hasattr(adata, attribute) for attribute in ("obs", "var_names", "obsm", "obsp", "uns")):
        message = f"expected an AnnData, found {type(adata).__name__}"
        raise BadInputError(message, place="adata")
    if not adata.obs_names.is_unique:
        twice = adata.obs_names[adata.obs_names.duplicated()]
        message = f"{len(twice)} cells have the name of another, the first is `{twice[0]}`"
        raise BadInputError(message, place="obs_names", hint="call obs_names_make_unique()")
    return adata.copy() if copy else adata


def natural(levels: Iterable[str]) -> list[str]:
    """Texts in an order in which numbers within them count as numbers: 1, 2, 10."""

    def parts(text: str) -> list[tuple[int, int, str]]:
        return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"(\d+)", text) if p]

    return sorted(levels, key=lambda level: (parts(level), level))


def categorical(adata: ad.AnnData, name: str, place: str = "groupby") -> pd.Series[Any]:
    """A column of labels; texts and whole numbers become categories, in `adata` too, which is said."""
    import pandas as pd

    series = require(adata.obs, name)
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series
    whole = pd.api.types.is_integer_dtype(series.dtype) and not series.hasnans
    cells = column(series.astype(str) if whole else series, name)
    if not isinstance(cells, tuple):
        message = f"the column holds numbers ({series.dtype}), expected categories or texts"
        raise BadInputError(
            message, place=f"{place} `{name}`", hint=f'adata.obs["{name}"] = adata.obs["{name}"].astype(str)'
        )
    codes, levels = cells
    order = natural(levels)
    rank = {level: i for i, level in enumerate(order)}
    place_of = np.array([*(rank[level] for level in levels), -1])
    adata.obs[name] = pd.Categorical.from_codes(place_of[codes], categories=order)
    info(f"obs column `{name}` became categorical")
    return adata.obs[name]


def labels_of(adata: ad.AnnData, name: str, place: str = "groupby") -> Labels:
    """The labels of a column, as the compiled module reads them."""
    series = categorical(adata, name, place)
    codes = np.ascontiguousarray(series.cat.codes, dtype=np.int32)
    return Labels(codes, [str(level) for level in series.cat.categories])


def combinations_of(
    columns: Sequence[pd.Series[Any]], there: np.ndarray[Any, Any]
) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """The combinations of levels that the cells `there` have, in their order, as obs; and the code of every cell.

    Other cells have code -1. Names are the levels, joined by ``_``.
    """
    import pandas as pd

    every = np.zeros(len(there), dtype=np.int64)
    for cells in columns:
        every = every * len(cells.cat.categories) + cells.cat.codes.to_numpy()
    present, inverse = np.unique(every[there], return_inverse=True)
    codes = np.full(len(there), -1, dtype=np.int32)
    codes[there] = inverse
    parts: dict[str, Any] = {}
    rest = present
    for cells in reversed(columns):
        n = max(len(cells.cat.categories), 1)
        parts[str(cells.name)] = pd.Categorical.from_codes(rest % n, dtype=cells.dtype)
        rest = rest // n
    parts = dict(reversed(parts.items()))
    names = ["_".join(str(part[i]) for part in parts.values()) for i in range(len(present))]
    return pd.DataFrame(parts, index=pd.Index(names, dtype=object)), codes


def values_of(adata: ad.AnnData, layer: str | None, *, use_raw: bool | None) -> Values:
    """The matrix that `layer` and `use_raw` name: ``.raw`` if there is one, unless a layer is named or it is False."""
    if use_raw and layer is not None:
        message = f"there is layer `{layer}` and use_raw=True"
        raise BadInputError(message, place="layer", hint="name one of them")
    from_raw = bool(use_raw) if use_raw is not None else layer is None and adata.raw is not None
    source = open_source(adata, "raw" if from_raw else layer)
    return Values(source.matrix, [str(name) for name in adata.obs_names], source.genes, from_raw)


def positions(genes: list[str], wanted: Iterable[str], place: str) -> tuple[list[int], list[str]]:
    """Where genes are, and the names that there are none of; a name that several genes have is refused."""
    where: dict[str, int] = {}
    twice: set[str] = set()
    for i, gene in enumerate(genes):
        if gene in where:
            twice.add(gene)
        where.setdefault(gene, i)
    found, missing = [], []
    for name in dict.fromkeys(str(name) for name in wanted):
        if name in twice:
            message = f"several genes are called `{name}`"
            raise BadInputError(message, place=place, hint="call var_names_make_unique()")
        if name in where:
            found.append(where[name])
        else:
            missing.append(name)
    return found, missing


def close_to(name: str, known: Sequence[str]) -> str:
    """A hint with the names that are like one that does not exist."""
    near = difflib.get_close_matches(name, known, 3) or list(known)[:20]
    return f"there are {', '.join(f'`{one}`' for one in near)}" if near else "there is none"


def known_genes(genes: list[str], wanted: Iterable[str], place: str) -> list[int]:
    """Where genes are; those that do not exist are passed over with a warning, all of them an error."""
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    found, missing = positions(genes, wanted, place)
    if missing and not found:
        message = f"none of {len(missing)} genes exists, such as `{missing[0]}`"
        raise MissingKeyError(message, place=place, hint=close_to(missing[0], genes))
    if missing:
        shown = ", ".join(f"`{name}`" for name in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        warn(f"{place}: genes that do not exist are passed over: {shown}{more}")
    return found


def representation(adata: ad.AnnData, use_rep: str | None, n_pcs: int | None = None) -> tuple[str, Any]:
    """Coordinates of cells (float64) and their name: `use_rep`, or principal components in either dialect, or X."""
    if use_rep is None:
        use_rep = next((name for name in either("scanpy", "pca") if name in adata.obsm), None)
        if use_rep is None:
            message = "there are no principal components"
            raise MissingKeyError(message, place="obsm", hint="call fe.pp.pca, or name another key (use_rep)")
    if use_rep == "X":
        values = adata.X
    elif use_rep in adata.obsm:
        values = adata.obsm[use_rep]
    else:
        message = f"there is no `{use_rep}`"
        raise MissingKeyError(message, place="obsm", hint=close_to(use_rep, list(adata.obsm)))
    values = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    if n_pcs is not None:
        if n_pcs > values.shape[1]:
            message = f"{n_pcs} columns of `{use_rep}`, which has {values.shape[1]}"
            raise BadInputError(message, place="n_pcs")
        values = values[:, :n_pcs]
    return use_rep, np.ascontiguousarray(values, dtype=np.float64)


def seed_of(random_state: Any) -> int:
    """A seed from `random_state`, which must be a whole number: results are to be found again."""
    if not isinstance(random_state, bool) and isinstance(random_state, numbers.Integral) and int(random_state) >= 0:
        return int(random_state)
    message = f"expected a whole number from 0 up, found {random_state!r}"
    raise BadInputError(message, place="random_state", hint="a number makes results that can be found again")


def only(place: str, value: Any, accepted: Sequence[Any], reason: str) -> None:
    """Refuse an argument that is understood at some values only, with the reason."""
    if not any(value is one or (type(value) is type(one) and value == one) for one in accepted):
        message = f"{value!r} is not supported: {reason}"
        hint = f"it is one of {', '.join(f'`{one}`' for one in accepted)}"
        raise UnsupportedError(message, place=place, hint=hint)


def no_more(arguments: dict[str, Any], reason: str) -> None:
    """Refuse arguments that are not known."""
    for name in arguments:
        message = f"the argument is not supported: {reason}"
        raise UnsupportedError(message, place=name)

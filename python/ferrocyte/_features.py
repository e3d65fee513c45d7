"""What cells can be coloured or compared by: columns of obs, and genes by name or symbol."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _core
from ._annotated import Values, values_of
from ._messages import warn
from ._run import means
from .errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import anndata as ad
    import pandas as pd

#: Columns of var in which symbols stand, in exprmat, scanpy and CELLxGENE; the first that exists is taken.
_SYMBOLS = ("gene", "gene_symbols", "gene_names", "symbol", "feature_name")

#: So many names stand in an error.
_SHOWN = 5


class Genes(NamedTuple):
    """Where genes are in a matrix, and what they were called when they were asked for."""

    positions: list[int]
    names: list[str]


def find_genes(
    adata: ad.AnnData, values: Values, wanted: Iterable[str], *, symbols: str | None = None, place: str = "var_names"
) -> Genes:
    """The positions of genes that are given by name, or by symbol (a column of var); each once.

    Raises
    ------
    MissingKeyError
        Where a gene does not exist; names that are like it stand in the hint.
    BadInputError
        Where several genes have the name or symbol.
    """
    named = _places(values.genes)
    column, symbolic = _symbols(adata, values, symbols)
    positions, names = [], []
    for name in dict.fromkeys(str(one) for one in wanted):
        found = symbolic.get(name) if symbols is not None else named.get(name) or symbolic.get(name)
        if found is None:
            raise _missing_gene(name, named, symbolic, place)
        if len(found) > 1:
            raise _ambiguous(name, found, values.genes, column if name not in named else None, place)
        positions.append(found[0])
        names.append(name)
    return Genes(positions, names)


def expression(values: Values, genes: Genes) -> np.ndarray[Any, Any]:
    """The values of genes, cells × genes, in one pass."""
    if not genes.positions:
        return np.empty((len(values.cells), 0))
    return _core.genes_values(values.of_genes(genes.positions).matrix, means(progress=False))


def feature(
    adata: ad.AnnData, name: str, *, layer: str | None, use_raw: bool | None, symbols: str | None, place: str
) -> pd.Series[Any]:
    """A column of obs, or the values of a gene, by cell; a column is taken before a gene of the same name."""
    import pandas as pd

    if name in adata.obs.columns:
        return adata.obs[name]
    values = values_of(adata, layer, use_raw=use_raw)
    try:
        genes = find_genes(adata, values, [name], symbols=symbols, place=place)
    except MissingKeyError as error:
        near = difflib.get_close_matches(str(name), [str(column) for column in adata.obs.columns], _SHOWN)
        if not near:
            raise
        message = f"there is no column of obs and no gene `{name}`"
        raise MissingKeyError(message, place=place, hint=f"obs has {_listed(near)}") from error
    return pd.Series(expression(values, genes)[:, 0], index=adata.obs_names, name=name)


def drop_unknown(
    adata: ad.AnnData, values: Values, wanted: Sequence[str], *, symbols: str | None, place: str
) -> list[str]:
    """The genes that exist; the others are passed over with a warning."""
    named, symbolic = _places(values.genes), _symbols(adata, values, symbols)[1]
    known = [name for name in wanted if name in named or name in symbolic]
    missing = [name for name in wanted if name not in named and name not in symbolic]
    if missing and known:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        warn(f"{place}: genes that do not exist are passed over: {_listed(missing[:_SHOWN])}{more}")
    return known if known else list(wanted)


def _places(names: Iterable[str]) -> dict[str, list[int]]:
    out: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        out.setdefault(name, []).append(i)
    return out


def _symbols(adata: ad.AnnData, values: Values, asked: str | None) -> tuple[str | None, dict[str, list[int]]]:
    """The column of symbols, and where each symbol is."""
    from ._obs import require

    var = adata.raw.var if values.from_raw else adata.var
    if asked is not None:
        require(var, asked, place="var")
    column = asked if asked is not None else next((name for name in _SYMBOLS if name in var.columns), None)
    if column is None:
        return None, {}
    cells = var[column]
    there = cells.notna().to_numpy()
    return column, {
        name: [i for i in found if there[i]]
        for name, found in _places(str(cell) for cell in cells).items()
        if any(there[i] for i in found)
    }


def _missing_gene(name: str, named: dict[str, Any], symbolic: dict[str, Any], place: str) -> MissingKeyError:
    known = list(dict.fromkeys([*named, *symbolic]))
    near = difflib.get_close_matches(name, known, _SHOWN)
    if not near:
        lower = {one.lower(): one for one in known}
        near = [lower[one] for one in difflib.get_close_matches(name.lower(), lower, _SHOWN)]
    message = f"there is no gene `{name}`"
    hint = f"did you mean {_listed(near)}?" if near else f"genes are called {_listed(known[:_SHOWN])}, ..."
    return MissingKeyError(message, place=place, hint=hint if known else "there are no genes")


def _ambiguous(name: str, found: list[int], genes: list[str], column: str | None, place: str) -> BadInputError:
    if column is None:
        message = f"{len(found)} genes are called `{name}`"
        return BadInputError(message, place=place, hint="call var_names_make_unique()")
    message = f"{len(found)} genes have the symbol `{name}`"
    names = _listed([genes[i] for i in found[:_SHOWN]])
    return BadInputError(message, place=f"{place}, var column `{column}`", hint=f"name one of {names}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)

"""Traits, covariates, environments and kinship, brought into one order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass
class Handed:
    """A study as the compiled module reads it; values are traits × people."""

    individuals: list[str]
    traits: list[str]
    values: Floats
    covariate_names: list[str]
    covariates: Floats
    environment_names: list[str]
    environments: Floats
    kinship: NDArray[Any] | None


@dataclass
class Markers:
    """Genotypes as the compiled module reads them: a path, or people × markers in the order of the study."""

    source: str | NDArray[np.int8]
    standardize: str
    sex_linked: bool
    named: bool


def handed(y: Any, X: Any, K: Any, Z: Any, individuals: Sequence[str] | None) -> tuple[Handed, bool]:
    """What is given, in the order of the people of `y`, and whether these have names."""
    ids = _ids(y, individuals)
    traits, values = _table(y, "y", "trait")
    n = values.shape[0]
    if ids is not None and len(ids) != n:
        message = f"{len(ids)} names for {n} individuals"
        raise BadInputError(message, place="individuals")
    names = [str(k) for k in range(n)] if ids is None else ids
    covariate_names, covariates = _rows(X, "X", "x", ids, n)
    environment_names, environments = _rows(Z, "Z", "", ids, n)
    made = Handed(
        names,
        traits,
        np.ascontiguousarray(values.T),
        covariate_names,
        covariates,
        environment_names,
        environments,
        None if K is None else _kinship(K, ids, n),
    )
    return made, ids is not None


def markers(genotypes: Any, study: Handed, standardize: str, *, named: bool, sex_linked: bool) -> Markers:
    """Genotypes: a path as it is, counts in the order of the people, -1 where they are not known."""
    if genotypes is None:
        message = "rhe reads the genotypes of the individuals"
        raise BadInputError(message, place="genotypes", hint="give a path of PLINK genotypes, or individuals x markers")
    if isinstance(genotypes, (str, os.PathLike)):
        return Markers(os.fspath(genotypes), standardize, sex_linked, named)
    n = len(study.individuals)
    order = _order(genotypes, study.individuals if named else None, "genotypes")
    counts = np.asarray(genotypes)
    if counts.ndim != 2 or (order is None and counts.shape[0] != n):
        message = f"expected genotypes of {n} individuals x markers, found the shape {counts.shape}"
        raise BadInputError(message, place="genotypes")
    if order is not None:
        counts = counts[order]
    if counts.dtype != np.int8:
        known = ~np.isnan(counts) if counts.dtype.kind == "f" else np.ones(counts.shape, dtype=bool)
        whole = np.where(known, counts, -1)
        if (whole != np.floor(whole)).any() or (whole > 2).any():
            message = "genotypes are counts of an allele: 0, 1, 2, negative or NaN where they are not known"
            raise BadInputError(message, place="genotypes")
        counts = np.maximum(whole, -1).astype(np.int8)
    return Markers(np.ascontiguousarray(counts), standardize, sex_linked, named)


def _ids(y: Any, individuals: Sequence[str] | None) -> list[str] | None:
    """The names of the people, where there are any."""
    import pandas as pd

    if individuals is not None:
        return [str(name) for name in individuals]
    if isinstance(y, (pd.Series, pd.DataFrame)) and not isinstance(y.index, pd.RangeIndex):
        return [str(name) for name in y.index]
    return None


def _table(values: Any, place: str, prefix: str) -> tuple[list[str], Floats]:
    """Names of columns, and people × columns; texts and categories become indicators of all levels but the first."""
    import pandas as pd

    if isinstance(values, pd.Series):
        values = values.to_frame(prefix if values.name is None else str(values.name))
    if isinstance(values, pd.DataFrame):
        names: list[str] = []
        columns: list[Any] = []
        for name in values.columns:
            column = values[name]
            if column.dtype.kind in "iufb":
                names.append(str(name))
                columns.append(column.to_numpy(dtype=np.float64))
            else:
                codes, levels = pd.factorize(column, sort=True)
                if (codes < 0).any():
                    message = f"column `{name}` has missing labels"
                    raise BadInputError(message, place=place)
                # All levels of environments, which then are a partition; of covariates all but the first.
                kept = range(0 if place == "Z" else 1, len(levels))
                names += [f"{name}[{levels[k]}]" for k in kept]
                columns += [(codes == k).astype(np.float64) for k in kept]
        out = np.column_stack(columns) if columns else np.zeros((len(values), 0))
        return names, out
    out = np.asarray(values, dtype=np.float64)
    if out.ndim == 1:
        out = out[:, None]
    if out.ndim != 2:
        message = f"expected individuals x columns, found an array of {out.ndim} dimensions"
        raise BadInputError(message, place=place)
    if out.shape[1] == 1 and prefix == "trait":
        return [prefix], out
    return [f"{prefix}{k + 1}" for k in range(out.shape[1])], out


def _rows(values: Any, place: str, prefix: str, ids: list[str] | None, n: int) -> tuple[list[str], Floats]:
    """Columns of a table with the rows of the people, by its index where both have names."""
    if values is None:
        return [], np.zeros((n, 0))
    names, out = _table(values, place, prefix)
    order = _order(values, ids, place)
    if order is not None:
        out = out[order]
    if out.shape[0] != n:
        message = f"{place} has {out.shape[0]} rows, y has {n} individuals"
        raise BadInputError(message, place=place)
    return names, np.ascontiguousarray(out)


def _order(values: Any, ids: list[str] | None, place: str) -> list[int] | None:
    import pandas as pd

    if ids is None or not isinstance(values, (pd.Series, pd.DataFrame)) or isinstance(values.index, pd.RangeIndex):
        return None
    found = [str(name) for name in values.index]
    return None if found == ids else _core.gxemm_align(ids, found, place, means(1, progress=False))


def _kinship(K: Any, ids: list[str] | None, n: int) -> NDArray[Any]:
    import pandas as pd

    if isinstance(K, pd.DataFrame):
        if [str(name) for name in K.index] != [str(name) for name in K.columns]:
            message = "rows and columns of the kinship have different names"
            raise BadInputError(message, place="K")
        order = _order(K, ids, "K")
        K = K.to_numpy()
        if order is not None:
            K = K[np.ix_(order, order)]
    out = np.asarray(K)
    if out.dtype != np.float32:
        out = out.astype(np.float64, copy=False)
    if out.ndim != 2 or out.shape != (n, n):
        message = f"expected a kinship of {n} x {n} individuals, found the shape {out.shape}"
        raise BadInputError(message, place="K")
    return np.ascontiguousarray(out)

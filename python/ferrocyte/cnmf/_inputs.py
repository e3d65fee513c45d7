"""Counts, names and expression on their way in, and what is asked of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._sources import Matrix, matrix_of, open_source
from ..errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass
class Inputs:
    """Counts, the names of cells and genes, and expression with the names of its cells, if it is given."""

    counts: Matrix
    cells: list[str]
    genes: list[str]
    expression: tuple[Matrix, list[str]] | None = None


@dataclass
class HowPrepared:
    """Which genes are factorised, and what becomes of poor cells."""

    genes: list[str] | None = None
    n_genes: int | None = 2000
    threshold: float | None = None
    min_mean: float = 0.5
    drop_empty: bool = False
    min_counts: float = 0.0
    style: str = "cnmf"


@dataclass
class HowMade:
    """How replicates are made."""

    beta_loss: str = "frobenius"
    init: str = "random"
    alpha_usage: float = 0.0
    alpha_spectra: float = 0.0
    max_nmf_iter: int = 1000
    precision: str = "double"
    solver: str = "exact"


@dataclass
class HowFound:
    """How a consensus is found."""

    density_threshold: float = 0.5
    local_neighborhood_size: float = 0.3
    refit: str = "peer"
    refit_usage: bool = True
    normalize_tpm_spectra: bool = False
    style: str = "cnmf"


def inputs(counts: Any, layer: str | None = None, tpm: Any = None) -> Inputs:
    """Describe counts and expression: each an AnnData, a data frame, a path; `tpm` may be a layer of the counts.

    Counts in memory may be of some of the genes of the expression: the others then have none.
    """
    rows, cells, genes = _matrix(counts, layer)
    if tpm is None:
        return Inputs(rows, cells, genes)
    if isinstance(tpm, str) and hasattr(counts, "layers") and tpm in counts.layers:
        return Inputs(rows, cells, genes, (_matrix(counts, tpm)[0], []))
    expression, named, columns = _matrix(tpm, None)
    if columns != genes:
        place = {name: j for j, name in enumerate(columns)}
        missing = [name for name in genes if name not in place]
        if missing:
            message = f"{len(missing)} genes of the counts have no expression, the first is `{missing[0]}`"
            raise BadInputError(message, place="tpm")
        if len(columns) > len(genes) and not isinstance(counts, (str, os.PathLike)):
            return Inputs(_widened(counts, layer, columns), cells, columns, (expression, named))
        order = [place[name] for name in genes]
        expression.genes = order if expression.genes is None else [expression.genes[j] for j in order]
    return Inputs(rows, cells, genes, (expression, named))


def _widened(counts: Any, layer: str | None, columns: list[str]) -> Matrix:
    """Counts with a column for each of these genes."""
    from scipy import sparse

    if hasattr(counts, "columns") and hasattr(counts, "to_numpy"):
        values, own = counts.to_numpy(dtype=np.float64), [str(name) for name in counts.columns]
    else:
        values = counts.X if layer in (None, "X") else counts.layers[layer]
        own = [str(name) for name in counts.var_names]
    place = {name: j for j, name in enumerate(columns)}
    given = sparse.coo_matrix(values)
    where = np.array([place[name] for name in own], dtype=np.int64)
    wide = sparse.csr_matrix((given.data, (given.row, where[given.col])), shape=(given.shape[0], len(columns)))
    return matrix_of(wide, "counts")


def _matrix(data: Any, layer: str | None) -> tuple[Matrix, list[str], list[str]]:
    """A matrix, the names of its cells and those of its genes."""
    if isinstance(data, (str, os.PathLike)) and os.fspath(data).endswith(".npz"):
        data = read_frame(os.fspath(data))
    if hasattr(data, "columns") and hasattr(data, "to_numpy"):
        values = data.to_numpy(dtype=np.float64)
        return matrix_of(values, "a data frame"), [str(i) for i in data.index], [str(c) for c in data.columns]
    source = open_source(data, layer)
    content = source.matrix.content
    if content[0] == "study" and isinstance(data, (str, os.PathLike)):
        cells = [str(name) for name in content[1].obs_names()]
    else:
        cells = [str(name) for name in data.obs_names]
    return source.matrix, cells, source.genes


def read_frame(path: str) -> Any:
    """A data frame that is stored as ``data``, ``index`` and ``columns``; pickled names are read too."""
    import pandas as pd

    with np.load(path, allow_pickle=True) as arrays:
        missing = [name for name in ("data", "index", "columns") if name not in arrays]
        if missing:
            message = f"there is no array `{missing[0]}`"
            raise BadInputError(message, place=path, hint="a data frame has data, index and columns")
        return pd.DataFrame(arrays["data"], index=arrays["index"], columns=arrays["columns"])


def gene_list(genes: Any) -> list[str] | None:
    """Names of genes: a list, or a file with one a line."""
    if genes is None:
        return None
    if isinstance(genes, (str, os.PathLike)):
        try:
            with open(genes, encoding="utf-8") as file:
                return [line.strip() for line in file if line.strip()]
        except OSError as error:
            message = f"the list cannot be read: {error.strerror}"
            raise BadInputError(message, place=os.fspath(genes)) from error
    return [str(gene) for gene in genes]


def whole_numbers(components: int | Iterable[int], place: str = "components") -> list[int]:
    """Numbers of programs."""
    numbers: Sequence[Any] = [components] if isinstance(components, (int, np.integer)) else list(components)
    if not numbers or any(isinstance(k, bool) or int(k) != k or k < 1 for k in numbers):
        message = f"numbers of programs are whole and at least 1, found {list(numbers)}"
        raise BadInputError(message, place=place)
    return [int(k) for k in numbers]


def seed_or_drawn(seed: int | None) -> int:
    """A seed below 2^32; without one, one is drawn and told."""
    from .._messages import warn

    if seed is None:
        drawn = int(np.random.SeedSequence().generate_state(1)[0])
        warn(f"no seed is given; {drawn} is drawn, by which this run can be made again")
        return drawn
    if isinstance(seed, bool) or int(seed) != seed or not 0 <= seed < 2**32:
        message = f"expected a whole number from 0 to 2^32 - 1, found {seed!r}"
        raise BadInputError(message, place="seed")
    return int(seed)


def loss_word(beta_loss: str | float) -> str:
    """A loss as the compiled module reads it."""
    return beta_loss if isinstance(beta_loss, str) else repr(float(beta_loss))

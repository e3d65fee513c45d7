"""Counts as Cell Ranger writes them, matrices in MatrixMarket form, and tables, as AnnData."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal

from .._opening import GENE_EXPRESSION, Opening, open_path
from .._run import means
from ..errors import BadInputError, UnsupportedError

if TYPE_CHECKING:
    import anndata as ad

    from .._core import Study

__all__ = ["read_10x", "read_mtx", "read_text"]

_TYPES = {"float32": False, "float64": True}


def read_10x(
    path: str | os.PathLike[str],
    genome: str | None = None,
    feature_types: str | None = GENE_EXPRESSION,
    var_names: Literal["symbols", "ids"] = "symbols",
    prefix: str | None = None,
    *,
    dtype: Literal["float32", "float64"] = "float32",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData:
    """Read counts of Cell Ranger: an .h5 file or a folder, of any version.

    Parameters
    ----------
    path
        A file such as ``filtered_feature_bc_matrix.h5``, or a folder with ``matrix.mtx``, ``features.tsv`` (before
        Cell Ranger 3: ``genes.tsv``) and ``barcodes.tsv``, each plain or compressed with gzip.
    genome
        The genome, of a file that holds several. A file of Cell Ranger 2 with several needs it; one of Cell Ranger 3
        gives all of them without.
    feature_types
        The type of features that become the variables; ``None`` takes all.
    var_names
        By what variables are called: ``"symbols"`` or ``"ids"``. Of names that stand there several times
        the first is kept, the next get ``-1``, ``-2``, .. behind them. The other is in ``var["gene_ids"]`` or
        ``var["gene_symbols"]``.
    prefix
        What stands before the names of the files of a folder that holds several matrices.
    dtype
        Type of the values.
    n_threads, max_memory, progress
        With what means; none changes a number. More than `max_memory` is refused; by default there is no limit.

    Returns
    -------
    anndata.AnnData
        Cells × features, X in CSR; `var` has ``gene_ids`` (or ``gene_symbols``), and ``feature_types`` and ``genome``
        where the file tells them.

    Raises
    ------
    BadFileError
        A file is missing, truncated, or does not fit the others.
    MissingKeyError
        There is no such genome, type of features or prefix.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_tenx
    >>> adata = fe.io.read_10x(small_tenx())
    >>> adata.shape, list(adata.var.columns), adata.var_names[1]
    ((2, 3), ['gene_ids', 'feature_types'], 'TP53-1')
    """
    study = open_path(path, Opening(genome=genome, feature_types=feature_types, var_names=var_names, prefix=prefix))
    if not study.format.startswith("10x"):
        message = f"no 10x file or folder: this is {study.format}"
        raise UnsupportedError(message, place=os.fspath(path), hint="fe.io.read reads files of any kind")
    return _in_memory(study, dtype, n_threads, max_memory, progress=progress)


def read_mtx(
    path: str | os.PathLike[str],
    *,
    transpose: bool = False,
    dtype: Literal["float32", "float64"] = "float32",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData:
    """Read a matrix in MatrixMarket form (.mtx, .mtx.gz).

    Parameters
    ----------
    path
        The file: `coordinate` entries that are `integer`, `real` or `pattern`, in any order; duplicates are added up.
    transpose
        Whether the file is genes × cells, as 10x writes it, rather than cells × genes.
    dtype
        Type of the values.
    n_threads, max_memory, progress
        With what means; none changes a number. More than `max_memory` is refused; by default there is no limit.

    Returns
    -------
    anndata.AnnData
        Cells × genes, X in CSR; both are called by their numbers from 0.

    Raises
    ------
    BadFileError
        The file is truncated or damaged; the message names the line.
    """
    study = open_path(path, Opening(transpose=transpose), "mtx")
    return _in_memory(study, dtype, n_threads, max_memory, progress=progress)


def read_text(
    path: str | os.PathLike[str],
    *,
    delimiter: str | None = None,
    transpose: bool = False,
    dtype: Literal["float32", "float64"] = "float32",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData:
    """Read a table of numbers (.tsv, .csv, .txt, each also with .gz): names in its first line and first column.

    Parameters
    ----------
    path
        The file.
    delimiter
        What stands between fields; ``None`` takes the first of tab, comma, semicolon and blank in the first line.
    transpose
        Whether the table is genes × cells rather than cells × genes.
    dtype
        Type of the values.
    n_threads, max_memory, progress
        With what means; none changes a number. More than `max_memory` is refused; by default there is no limit.

    Returns
    -------
    anndata.AnnData
        Cells × genes, X in CSR without the zeros; missing values are NaN.

    Raises
    ------
    BadInputError
        A field holds no number, or a line has too few or too many; the message names the line.
    """
    study = open_path(path, Opening(transpose=transpose, delimiter=delimiter), "table")
    return _in_memory(study, dtype, n_threads, max_memory, progress=progress)


def _in_memory(
    study: Study, dtype: str, n_threads: int | None, max_memory: int | str | None, *, progress: bool | None
) -> ad.AnnData:
    """All of a study, in memory: its matrix, the names, the columns of var."""
    import anndata as ad
    import pandas as pd

    # It was asked for as a whole, so that no limit but that of the machine applies.
    found = study.whole("X", means(n_threads, max_memory or sys.maxsize, progress=progress), wide=wide(dtype))
    var = pd.DataFrame(
        {name: pd.array(values, dtype=object) for name, values in found["var"].items()}, index=index(found["var_names"])
    )
    return ad.AnnData(csr(found), obs=pd.DataFrame(index=index(found["obs_names"])), var=var)


def index(names: list[str]) -> Any:
    """Names of rows or columns, as texts."""
    import pandas as pd

    return pd.Index(names, dtype=object)


def csr(found: Any) -> Any:
    """The three arrays as a matrix of scipy."""
    from scipy import sparse

    matrix = sparse.csr_matrix((found["data"], found["indices"], found["indptr"]), shape=found["shape"], copy=False)
    # They come sorted and without duplicates.
    matrix.has_canonical_format = True
    return matrix


def wide(dtype: str) -> bool:
    """Whether values are 64-bit floats."""
    if dtype not in _TYPES:
        message = f"values cannot be `{dtype}`"
        raise BadInputError(message, place="dtype", hint="it is one of `float32`, `float64`")
    return _TYPES[dtype]

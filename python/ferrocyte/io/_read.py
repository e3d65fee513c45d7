"""Files as ``AnnData`` and ``MuData``."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from .. import _core
from .._run import means
from ..errors import UnsupportedError
from ._items import data_frame, item, named
from ._tenx import read_10x, read_mtx, read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    import anndata
    import mudata

__all__ = ["read", "read_h5ad", "read_h5mu"]

Path = str | os.PathLike[str]


def read(
    path: Path, *, n_threads: int | None = None, max_memory: int | str | None = None, progress: bool | None = None
) -> anndata.AnnData | mudata.MuData:
    """Read a file, whatever it is; what it is is told from its content, not from its name.

    Parameters
    ----------
    path
        A file or folder.
    n_threads, max_memory, progress
        As in :func:`read_h5ad`.

    Returns
    -------
    AnnData or MuData
        A ``MuData`` of an .h5mu file or a Zarr store of several modalities, an ``AnnData`` of all else.

    Raises
    ------
    BadFileError
        The file does not exist, is damaged, or is open for writing elsewhere.
    UnsupportedError
        It is of a kind that is not read.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_file
    >>> fe.io.read(small_file()).shape
    (240, 40)
    """
    kind = _core.io_kind(os.fspath(path))
    if kind not in _READERS:
        message = f"a file of kind `{kind}` is not read as a study"
        raise UnsupportedError(message, place=os.fspath(path), hint=f"read are: {', '.join(_READERS)}")
    return _READERS[kind](path, n_threads=n_threads, max_memory=max_memory, progress=progress)


def read_h5ad(
    path: Path,
    *,
    modality: str | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> anndata.AnnData:
    """Read an .h5ad file of any age into memory.

    Types, the order of categories and missing values are those of the file. What is not understood (an encoding of
    later days, ragged arrays) is left out with a warning that names it.

    Parameters
    ----------
    path
        An .h5ad file, of anndata 0.5 or later.
    modality
        Read this modality of an .h5mu file instead.
    n_threads
        Threads that decompress; all processors by default.
    max_memory
        How much a file may claim to hold, where that is more than 64 times its size: a guard against files that lie
        about themselves (2 GiB by default).
    progress
        Whether a bar is drawn.

    Returns
    -------
    AnnData
        All of the file.

    Raises
    ------
    BadFileError
        The file does not exist, is damaged, or is open for writing elsewhere.
    MissingKeyError
        There is no such modality.
    UnsupportedError
        The file is of another kind, or compressed with a filter that is not built in.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_file
    >>> fe.io.read_h5ad(small_file()).shape
    (240, 40)
    """
    return _anndata(_core.io_anndata(os.fspath(path), modality, means(n_threads, max_memory, progress=progress)))


def read_h5mu(
    path: Path, *, n_threads: int | None = None, max_memory: int | str | None = None, progress: bool | None = None
) -> mudata.MuData:
    """Read an .h5mu file into memory.

    Parameters
    ----------
    path
        An .h5mu file of any age, or a Zarr store of mudata. What its modalities share (cells, genes or both) stands
        in the file.
    n_threads, max_memory, progress
        As in :func:`read_h5ad`, which reads a single modality.

    Returns
    -------
    MuData
        All of the file, its modalities in their order.

    Raises
    ------
    BadFileError
        The file does not exist, is damaged, or is open for writing elsewhere.
    UnsupportedError
        The package mudata is not installed.
    """
    try:
        from mudata import MuData
    except ModuleNotFoundError:
        message = "an .h5mu file is read as a `MuData` of the package mudata, which is not installed"
        raise UnsupportedError(
            message, place=os.fspath(path), hint="pip install mudata; or read one `modality` with read_h5ad"
        ) from None
    found = _core.io_mudata(os.fspath(path), means(n_threads, max_memory, progress=progress))
    groups = ("obsm", "varm", "obsp", "varp", "obsmap", "varmap", "uns")
    modalities = {name: _anndata(modality) for name, modality in found["mods"].items()}
    with warnings.catch_warnings():
        # mudata announces that it will pull columns of modalities no longer: what it does is left to its version.
        warnings.filterwarnings("ignore", message="From 0.4 .update", category=FutureWarning)
        # Columns that it pulls it has pandas convert, missing ones among them.
        warnings.filterwarnings("ignore", message="invalid value encountered in cast", category=RuntimeWarning)
        return MuData(
            modalities,
            axis=found["axis"],
            obs=data_frame(found["obs"], "obs"),
            var=data_frame(found["var"], "var"),
            **{group: named(found[group], group) for group in groups},
        )


def _anndata(found: dict[str, Any]) -> anndata.AnnData:
    """Build an AnnData of the parts of a file."""
    from anndata import AnnData

    raw = found["raw"]
    if raw is not None:
        matrix, var, varm = raw
        raw = {"X": item(matrix, "raw/X"), "var": data_frame(var, "raw/var"), "varm": named(varm, "raw/varm")}
    groups = ("layers", "obsm", "varm", "obsp", "varp", "uns")
    # Of what was not read there is nothing.
    matrix = {} if found["X"] is None else named([("X", found["X"])], "")
    return AnnData(
        X=matrix.get("X"),
        obs=data_frame(found["obs"], "obs"),
        var=data_frame(found["var"], "var"),
        raw=raw,
        **{group: named(found[group], group) for group in groups},
    )


#: What reads each kind of content. A kind that is not here is told and refused.
_READERS: dict[str, Callable[..., Any]] = {
    "h5ad": read_h5ad,
    "h5mu": read_h5mu,
    "10x h5": read_10x,
    "10x folder": read_10x,
    "mtx": read_mtx,
    "text": read_text,
    "zarr folder": read_h5ad,
    "zarr zip": read_h5ad,
    "zarr mudata": read_h5mu,
}

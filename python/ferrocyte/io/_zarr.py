"""``AnnData`` as Zarr stores, and back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._outgoing import anndata_item
from ._read import read_h5ad
from ._write import _expect, _released

if TYPE_CHECKING:
    import anndata

    Compression = Literal["zstd", "gzip"] | None

__all__ = ["read_zarr", "write_zarr"]

Path = str | os.PathLike[str]

#: The levels of each compression, and the one that is taken where none is chosen.
_LEVELS = {"zstd": (range(1, 23), 3), "gzip": (range(1, 10), 4)}


def read_zarr(
    path: Path,
    *,
    modality: str | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> anndata.AnnData:
    """Read a Zarr store into memory: version 2 or 3, a folder or a zip archive of one.

    Parameters
    ----------
    path
        A store that anndata wrote, of version 0.7 or later.
    modality
        Read this modality of a store of several instead.
    n_threads
        Threads that decompress; all processors by default.
    max_memory, progress
        As in :func:`read_h5ad`.

    Returns
    -------
    AnnData
        All of the store.

    Raises
    ------
    BadFileError
        The store does not exist, or is damaged.
    MissingKeyError
        There is no such modality.
    UnsupportedError
        Something is compressed in a way that is not read; the message names it.

    Examples
    --------
    >>> import ferrocyte as fe, tempfile, os
    >>> from ferrocyte._examples import small_study
    >>> path = os.path.join(tempfile.mkdtemp(), "study.zarr")
    >>> fe.io.write_zarr(small_study(), path)
    >>> fe.io.read_zarr(path).shape
    (240, 40)
    """
    return read_h5ad(path, modality=modality, n_threads=n_threads, max_memory=max_memory, progress=progress)


def write_zarr(
    adata: anndata.AnnData,
    path: Path,
    *,
    compression: Compression = "zstd",
    compression_level: int | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> None:
    """Write an AnnData as a Zarr store of version 3, a folder, which anndata reads.

    What is written, and how, is as in :func:`write_h5ad`. A store that stands at the path is replaced at the end, all
    at once; a folder of anything else is left alone.

    Parameters
    ----------
    adata
        What is written.
    path
        A name that ends in ``.zarr``.
    compression
        ``"zstd"``, ``"gzip"`` or ``None``.
    compression_level
        1 (fast) to 22 (small) of zstd, 3 by default; 1 to 9 of gzip, 4 by default.
    n_threads, max_memory, progress
        As in :func:`read_h5ad`.

    Raises
    ------
    UnsupportedError
        Something in it cannot be stored in this format; the message names it.
    BadInputError
        A name or a length is impossible; the message names it.
    BadFileError
        The store cannot be written, or something else stands there.

    Examples
    --------
    >>> import ferrocyte as fe, tempfile, os
    >>> from ferrocyte._examples import small_study
    >>> fe.io.write_zarr(small_study(), os.path.join(tempfile.mkdtemp(), "study.zarr"), compression_level=9)
    """
    name = os.fspath(path)
    if not name.lower().endswith(".zarr"):
        message = "its name does not end in .zarr"
        raise BadInputError(message, place=name, hint=f"call it {os.path.splitext(name)[0]}.zarr")
    if compression is not None and compression not in _LEVELS:
        message = f"expected 'zstd', 'gzip' or None, found {compression!r}"
        raise BadInputError(message, place="compression")
    levels, level = _LEVELS.get(compression or "", (range(0), 1))
    if compression_level is not None:
        if isinstance(compression_level, bool) or compression_level not in levels:
            expected = f"a level of {compression} from {levels[0]} to {levels[-1]}" if levels else "no level"
            message = f"expected {expected}, found {compression_level!r}"
            raise BadInputError(message, place="compression_level")
        level = int(compression_level)
    _expect(adata, "AnnData", ("obs", "var", "uns", "obsm"))
    with _released(adata, path):
        _core.io_write(
            name, anndata_item(adata, ""), compression, level, means(n_threads, max_memory, progress=progress)
        )

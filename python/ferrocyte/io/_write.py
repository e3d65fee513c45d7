"""``AnnData`` and ``MuData`` as files.

Everything is described first, and what cannot be written is refused by its name before any byte is; the extension then
writes what was described, with arrays borrowed rather than copied. The file stands beside its place until it is
complete, so that what stood there stands if anything fails.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._outgoing import anndata_item, mudata_item

if TYPE_CHECKING:
    from collections.abc import Callable

    import anndata
    import mudata

    from .._run import Means

    Compression = Literal["gzip", "lzf"] | None

__all__ = ["write", "write_h5ad", "write_h5mu"]

Path = str | os.PathLike[str]


def write_h5ad(
    adata: anndata.AnnData,
    path: Path,
    *,
    compression: Compression = "gzip",
    compression_level: int | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> None:
    """Write an AnnData as an .h5ad file, which anndata and all programs of the field read.

    Arrays are compressed by several threads. Whatever the AnnData holds is written with its type: sparse and dense
    layers, data frames in `obsm`, nested `uns`, categories and their order, missing values. A view is written as what
    it shows, a backed AnnData with the matrix of its file, which passes through without being loaded. The AnnData is
    not changed.

    Parameters
    ----------
    adata
        What is written.
    path
        Where it goes. What stands there is replaced at the end, all at once.
    compression
        ``"gzip"`` (what every reader knows), ``"lzf"`` (faster and larger) or ``None``.
    compression_level
        1 (fast) to 9 (small) of gzip. The default is 4.
    n_threads, max_memory, progress
        As in :func:`read_h5ad`.

    Raises
    ------
    UnsupportedError
        Something in it cannot be stored in this format; the message names it.
    BadInputError
        A name or a length is impossible; the message names it.
    BadFileError
        The file cannot be written: no such folder, no permission, the disk is full.

    Examples
    --------
    >>> import ferrocyte as fe, tempfile, os
    >>> from ferrocyte._examples import small_study
    >>> path = os.path.join(tempfile.mkdtemp(), "study.h5ad")
    >>> fe.io.write_h5ad(small_study(), path)
    >>> fe.io.read_h5ad(path).shape
    (240, 40)
    """
    _expect(adata, "AnnData", ("obs", "var", "uns", "obsm"))
    described = anndata_item(adata, "")
    with _released(adata, path):
        _write(
            path, ".h5ad", described, compression, compression_level, means(n_threads, max_memory, progress=progress)
        )


def write_h5mu(
    mdata: mudata.MuData,
    path: Path,
    *,
    compression: Compression = "gzip",
    compression_level: int | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> None:
    """Write a MuData as an .h5mu file, which mudata reads.

    The names of all cells and genes are taken as they are: call ``mdata.update()`` before if modalities were changed.

    Parameters
    ----------
    mdata
        What is written.
    path, compression, compression_level, n_threads, max_memory, progress
        As in :func:`write_h5ad`.

    Raises
    ------
    UnsupportedError, BadInputError, BadFileError
        As in :func:`write_h5ad`.

    Examples
    --------
    >>> import ferrocyte as fe, mudata, tempfile, os
    >>> from ferrocyte._examples import small_study
    >>> path = os.path.join(tempfile.mkdtemp(), "study.h5mu")
    >>> fe.io.write_h5mu(mudata.MuData({"rna": small_study()}), path)
    >>> list(fe.io.read_h5mu(path).mod)
    ['rna']
    """
    _expect(mdata, "MuData", ("mod", "obs", "obsmap"))
    described = mudata_item(mdata)
    _write(path, ".h5mu", described, compression, compression_level, means(n_threads, max_memory, progress=progress))


def write(data: anndata.AnnData | mudata.MuData, path: Path, **options: Any) -> None:
    """Write an AnnData or a MuData as what the ending of the path asks for.

    Parameters
    ----------
    data
        What is written.
    path
        A name that ends in ``.h5ad``, ``.h5mu`` or ``.zarr``.
    options
        Those of :func:`write_h5ad`, :func:`write_h5mu` and :func:`write_zarr`.

    Raises
    ------
    BadInputError
        The ending is unknown, or not that of such an object.

    Examples
    --------
    >>> import ferrocyte as fe, tempfile, os
    >>> from ferrocyte._examples import small_study
    >>> fe.io.write(small_study(), os.path.join(tempfile.mkdtemp(), "study.h5ad"), compression="lzf")
    """
    from ._zarr import write_zarr

    writers: dict[str, Callable[..., None]] = {".h5ad": write_h5ad, ".h5mu": write_h5mu, ".zarr": write_zarr}
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in writers:
        message = f"the ending `{ending}` does not tell what to write"
        raise BadInputError(message, place=os.fspath(path), hint=f"end it in {' or '.join(writers)}")
    writers[ending](data, path, **options)


def _write(
    path: Path,
    ending: str,
    item: tuple[Any, ...],
    compression: Compression,
    level: int | None,
    means: Means,
) -> None:
    name = os.fspath(path)
    if not name.lower().endswith(ending):
        message = f"its name does not end in {ending}"
        raise BadInputError(message, place=name, hint=f"call it {os.path.splitext(name)[0]}{ending}")
    if compression not in ("gzip", "lzf", None):
        message = f"expected 'gzip', 'lzf' or None, found {compression!r}"
        raise BadInputError(message, place="compression")
    if level is not None and (compression != "gzip" or isinstance(level, bool) or level not in range(1, 10)):
        message = f"expected a level of gzip from 1 to 9, found {level!r}"
        raise BadInputError(message, place="compression_level", hint="compression=None writes without compression")
    _core.io_write(name, item, compression, 4 if level is None else int(level), means)


def _expect(data: Any, kind: str, attributes: tuple[str, ...]) -> None:
    other = kind == "AnnData" and hasattr(data, "mod")
    if other or not all(hasattr(data, attribute) for attribute in attributes):
        message = f"expected {'an' if kind[0] == 'A' else 'a'} {kind}, found {type(data).__name__}"
        raise BadInputError(message, place="data")


class _released:  # noqa: N801 (used as a word)
    """A backed AnnData whose file h5py lets go of while it is read beside it, or replaced."""

    def __init__(self, adata: anndata.AnnData, path: Path) -> None:
        self._file: Any = None
        root = adata
        while getattr(root, "is_view", False):
            root = root._adata_ref
        if getattr(root, "isbacked", False) and root.file.is_open:
            same = os.path.exists(path) and os.path.samefile(path, root.filename)
            # A file that is open for writing cannot be read beside h5py; one that is replaced must be opened again.
            if same or root.file._filemode == "r+":
                self._file = root.file

    def __enter__(self) -> None:
        if self._file is not None:
            self._name, self._mode = self._file.filename, self._file._filemode
            self._file.close()

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.open(self._name, self._mode)

"""What a file holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import _core
from .._run import means
from .._tables import frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["info"]


def info(path: str | os.PathLike[str]) -> pd.DataFrame:
    """List the elements of a study of any kind: .h5ad, 10x .h5 or folder, MatrixMarket, a table.

    The same as ``ferrocyte info FILE``. Of matrices the first 1,024 rows are read, to tell whether they can be counts.

    Parameters
    ----------
    path
        The file or folder.

    Returns
    -------
    DataFrame
        A row per element: `element` (where it stands), `kind`, `dtype`, `shape`, `stored` (number of stored values
        of sparse matrices), `compression`, `encoding`, `note` (counts or not; why an element is not read).

    Raises
    ------
    BadFileError
        The file does not exist, is damaged, or is open for writing elsewhere.
    UnsupportedError
        The file is of another kind, or older than anndata 0.7.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_file
    >>> fe.io.info(small_file()).loc[:1, ["element", "kind", "shape", "note"]]
      element      kind    shape                note
    0       X       csr  240 x 40  looks like counts
    ...
    """
    return frame(_core.h5ad_info(os.fspath(path), means(progress=False)))

"""The names of the package ``cnmf``: scripts run with their import line changed.

``from ferrocyte.compat.cnmf import cNMF`` in place of ``from cnmf import cNMF``. Data frames of a run are read and
written as that package does; names are stored as text, never as pickled objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..cnmf import cNMF
from ..cnmf._inputs import read_frame

if TYPE_CHECKING:
    import os

    import pandas as pd

__all__ = ["cNMF", "load_df_from_npz", "save_df_to_npz"]


def save_df_to_npz(obj: pd.DataFrame, filename: str | os.PathLike[str]) -> None:
    """Write a data frame as ``data``, ``index`` and ``columns``.

    Parameters
    ----------
    obj
        Numbers with names.
    filename
        The file.

    Examples
    --------
    >>> import tempfile, os, pandas as pd
    >>> from ferrocyte.compat.cnmf import load_df_from_npz, save_df_to_npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "table.df.npz")
    ...     save_df_to_npz(pd.DataFrame({"a": [1.0, 2.0]}, index=["x", "y"]), path)
    ...     load_df_from_npz(path)["a"].tolist()
    [1.0, 2.0]
    """

    def plain(names: pd.Index[Any]) -> np.ndarray[Any, Any]:
        values = names.to_numpy()
        return values if values.dtype.kind in "iuf" else values.astype(str)

    with open(filename, "wb") as file:
        np.savez_compressed(file, data=obj.to_numpy(), index=plain(obj.index), columns=plain(obj.columns))


def load_df_from_npz(filename: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a data frame that is stored as ``data``, ``index`` and ``columns``.

    Parameters
    ----------
    filename
        The file.

    Returns
    -------
    DataFrame
    """
    import os

    return read_frame(os.fspath(filename))

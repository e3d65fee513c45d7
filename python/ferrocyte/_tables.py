"""Tables of the compiled module as data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def frame(table: dict[str, Any]) -> pd.DataFrame:
    """A data frame; text with few distinct values is categorical.

    Units and meanings of the columns stand in ``frame.attrs["units"]`` and ``frame.attrs["meanings"]``.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    for name, cells in table["columns"].items():
        if isinstance(cells, tuple):
            columns[name] = pd.Categorical.from_codes(cells[0], categories=cells[1])
        elif isinstance(cells, np.ndarray):
            columns[name] = cells
        else:
            columns[name] = np.asarray(cells, dtype=object)
    out = pd.DataFrame(columns, copy=False)
    out.attrs["units"] = dict(table["units"])
    out.attrs["meanings"] = dict(table["meanings"])
    return out

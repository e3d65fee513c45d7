"""What the compiled module draws, as AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._tables import frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    import pandas as pd


def frame_of(columns: dict[str, Any], index: Sequence[str] | int) -> pd.DataFrame:
    """Columns as a data frame; codes and levels are categorical. A number of rows names them ``cell1`` and so on."""
    import pandas as pd

    series = {
        name: pd.Categorical.from_codes(column[0], categories=column[1]) if isinstance(column, tuple) else column
        for name, column in columns.items()
    }
    names = [f"cell{i + 1}" for i in range(index)] if isinstance(index, int) else list(index)
    return pd.DataFrame(series, index=names)


def study_of(made: dict[str, Any], var: pd.DataFrame) -> ad.AnnData:
    """Counts, cells, genes, and the truth in ``uns``."""
    import anndata as ad
    from scipy import sparse

    n_cells = len(made["indptr"]) - 1
    counts = sparse.csr_matrix((made["data"], made["indices"], made["indptr"]), shape=(n_cells, len(var)))
    truth = frame(made["truth"])
    # Row names of tables in files are texts.
    truth.index = truth.index.astype(str)
    return ad.AnnData(counts, obs=frame_of(made["obs"], n_cells), var=var, uns={"truth": truth})

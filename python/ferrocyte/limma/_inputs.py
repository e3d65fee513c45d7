"""What users hand over, as the arrays that the compiled module reads.

Data frames and arrays are genes × samples; an AnnData is observations × variables and is read as its transpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .._messages import warn
from ..errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    import pandas as pd

    Array: TypeAlias = np.ndarray[Any, Any]
    CoreValues: TypeAlias = tuple[Array, list[str], list[str]]
    CoreDesign: TypeAlias = tuple[Array, list[str], list[str]]
    CoreWeights: TypeAlias = tuple[str, Array] | None


@dataclass
class Held:
    """A matrix of genes × samples with the annotation of both, and what came along with it."""

    values: Array
    genes: pd.DataFrame
    samples: pd.DataFrame
    weights: Array | None = None
    design: Any = None
    lib_size: Array | None = None
    is_counts: bool = False

    def core(self) -> CoreValues:
        """For the compiled module."""
        return self.values, names_of(self.genes.index), names_of(self.samples.index)


def names_of(index: pd.Index[Any]) -> list[str]:
    """Names as texts; none for the running numbers of a frame that was never given names."""
    import pandas as pd

    if isinstance(index, pd.RangeIndex):
        return []
    names = index.tolist()
    # An index remembers of what type it is; most are of texts already.
    return names if index.inferred_type == "string" else [str(name) for name in names]


def expressed(data: Any, layer: str | None = None) -> Held:
    """Log-values: an EList, a data frame, an array, or an AnnData (its voom layers where they exist).

    Parameters
    ----------
    data
        The values.
    layer
        The layer of an AnnData; a layer named ``*_E`` brings its companion ``*_weights``.
    """
    from ._containers import EList

    if isinstance(data, EList):
        return Held(
            grid(data.E), data.genes, data.samples, data.get("weights"), data.get("design"), data.get("lib_size")
        )
    if _is_anndata(data):
        if layer is None and "voom_E" in data.layers:
            layer = "voom_E"
        held = _from_anndata(data, layer)
        if layer is not None and layer.endswith("_E"):
            companion = layer[:-2] + "_weights"
            if companion in data.layers:
                held.weights = _transposed(data.layers[companion])
            held.design = data.uns.get(layer[:-2], {}).get("design")
        return held
    _no_layer(layer)
    return _plain(data)


def counted(data: Any, layer: str | None = None) -> Held:
    """Counts: a DGEList, a data frame, an array, or an AnnData (X, or a layer)."""
    from ._containers import DGEList

    if isinstance(data, DGEList):
        return Held(grid(data.counts), data.genes, data.samples, lib_size=data.effective_lib_size, is_counts=True)
    if _is_anndata(data):
        held = _from_anndata(data, layer)
    else:
        _no_layer(layer)
        held = _plain(data)
    held.is_counts = True
    return held


def grid(values: Any, place: str = "values") -> Array:
    """A matrix of float64 with contiguous rows; copied only where it must be."""
    if hasattr(values, "toarray"):
        values = values.toarray()
    try:
        out = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        message = f"expected numbers, found {_first_text(values)}"
        raise BadInputError(message, place=place, hint="leave columns of text out, or make them the index") from error
    if out.ndim != 2:
        message = f"expected genes x samples, found {out.ndim} dimension(s)"
        raise BadInputError(message, place=place)
    return out


def vector(values: Any, length: int, place: str, per: str = "sample") -> Array:
    """Numbers, one per sample or gene."""
    try:
        out = np.ascontiguousarray(np.asarray(values, dtype=np.float64).reshape(-1))
    except (TypeError, ValueError) as error:
        message = f"expected numbers, found {_first_text(values)}"
        raise BadInputError(message, place=place) from error
    if len(out) != length:
        message = f"{len(out)} values, expected {length}, one per {per}"
        raise BadInputError(message, place=place)
    return out


def labels(values: Any, length: int, place: str) -> tuple[Array, list[str]]:
    """A factor over samples: int32 codes (-1 where missing) and its levels, sorted unless they are categories."""
    import pandas as pd

    from .._obs import column

    given = pd.Series(values).reset_index(drop=True) if not isinstance(values, pd.Series) else values
    if len(given) != length:
        message = f"{len(given)} values, expected {length}, one per sample"
        raise BadInputError(message, place=place)
    if pd.api.types.is_numeric_dtype(given.dtype) and not pd.api.types.is_bool_dtype(given.dtype):
        codes, uniques = pd.factorize(given, sort=True)
        return codes.astype(np.int32), [str(level) for level in uniques]
    found = column(given, place)
    if not isinstance(found, tuple):
        message = "expected labels"
        raise BadInputError(message, place=place)
    return found


def design_of(design: Any, held: Held) -> CoreDesign:
    """A design matrix for the compiled module; without one that of the data, else one mean for all samples.

    A text is a formula over the columns of the samples. Rows are compared with the samples of the data by name and
    order, where both have names.
    """
    import pandas as pd

    n = held.values.shape[1]
    if design is None:
        design = held.design
    if design is None:
        return np.ones((n, 1)), ["(Intercept)"], []
    if isinstance(design, pd.DataFrame):
        rows = names_of(design.index)
        return grid(design.to_numpy(), "design"), [str(name) for name in design.columns], rows
    if isinstance(design, str):
        from ._design import model_matrix

        return design_of(model_matrix(design, held.samples), held)
    info = getattr(design, "design_info", None)
    matrix = np.asarray(design)
    if matrix.ndim not in (1, 2):
        message = f"expected samples x coefficients, found {matrix.ndim} dimension(s)"
        raise BadInputError(message, place="design", hint='give a matrix, a data frame or a formula such as "~ group"')
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    names = list(info.column_names) if info is not None else [f"x{j + 1}" for j in range(matrix.shape[1])]
    return grid(matrix, "design"), names, []


def design_frame(design: CoreDesign, held: Held) -> pd.DataFrame:
    """A design as a data frame over the samples of the data."""
    import pandas as pd

    return pd.DataFrame(design[0], index=held.samples.index, columns=design[1])


def weights_of(weights: Any, n_genes: int, n_samples: int) -> CoreWeights:
    """Weights by what they belong to: a number, one per sample, one per gene, or genes × samples.

    As many as there are genes *and* samples are read as weights of genes, with a warning, as limma does.
    """
    if weights is None:
        return None
    values = np.asarray(weights, dtype=np.float64)
    if values.ndim == 0 or values.size == 1:
        return "samples", np.full(n_samples, float(values.reshape(-1)[0]))
    if values.shape == (n_genes, n_samples):
        return "values", np.ascontiguousarray(values)
    flat = np.ascontiguousarray(values.reshape(-1))
    if values.ndim == 1 or 1 in values.shape:
        if flat.size == n_genes:
            if n_genes == n_samples:
                warn(f"{n_genes} weights fit the genes and the samples: they are read as weights of genes")
            return "genes", flat
        if flat.size == n_samples:
            return "samples", flat
    message = f"weights of shape {values.shape} for {n_genes} genes x {n_samples} samples"
    raise BadInputError(message, place="weights", hint="give a number, one per sample, one per gene, or a matrix")


def _is_anndata(data: Any) -> bool:
    return hasattr(data, "obs_names") and hasattr(data, "var_names") and hasattr(data, "layers")


def _no_layer(layer: str | None) -> None:
    if layer is not None:
        message = f"`{layer}` was asked for, but only an AnnData has layers"
        raise BadInputError(message, place="layer")


def _plain(data: Any) -> Held:
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        # It copies, and turns the copy round in memory: only where there is something to infer.
        if (data.dtypes == "object").any():
            data = data.infer_objects()
        numeric = data.dtypes.map(pd.api.types.is_numeric_dtype).to_numpy()
        if len(data.columns) and not numeric.any():
            message = f"expected numbers, found {_first_text(data.to_numpy())}"
            raise BadInputError(message, place="values", hint="samples are columns, and hold numbers only")
        for name in data.columns[~numeric]:
            if pd.api.types.infer_dtype(data[name], skipna=True).startswith("mixed"):
                message = f"column `{name}` holds numbers and {_first_text(data[name])}"
                raise BadInputError(message, place="values", hint="a sample holds numbers only, annotation texts only")
        table, genes = (
            (data, pd.DataFrame(index=data.index))
            if numeric.all()
            else (data.loc[:, numeric], data.loc[:, ~numeric].copy())
        )
        return Held(grid(table.to_numpy()), genes, pd.DataFrame(index=table.columns))
    values = grid(data)
    rows, columns = values.shape
    return Held(values, pd.DataFrame(index=pd.RangeIndex(rows)), pd.DataFrame(index=pd.RangeIndex(columns)))


def _from_anndata(adata: Any, layer: str | None) -> Held:
    if layer is None:
        matrix = adata.X
    elif layer in adata.layers:
        matrix = adata.layers[layer]
    else:
        message = f"there is no layer `{layer}`"
        raise MissingKeyError(message, place="layer", hint=f"the layers are {', '.join(adata.layers) or 'none'}")
    return Held(_transposed(matrix), adata.var.copy(), adata.obs.copy())


def _transposed(matrix: Any) -> Array:
    if hasattr(matrix, "toarray"):
        matrix = matrix.toarray()
    return np.ascontiguousarray(np.asarray(matrix, dtype=np.float64).T)


def _first_text(values: Any) -> str:
    for value in np.asarray(values, dtype=object).ravel():
        if isinstance(value, str):
            return f"the text `{value}`"
    return f"values of type {np.asarray(values).dtype}"

"""What limma's verbs pass on: :class:`EList`, :class:`MArrayLM`, :class:`DGEList`.

All three hold plain arrays (genes × samples, genes × coefficients), the annotation of genes and samples as data frames,
and are read as attributes (``fit.t``) or items (``fit["t"]``). Indexing with rows and columns gives a part of all that
belongs together: ``fit[genes, contrasts]``, ``values[genes, samples]``. They pickle.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from ..errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    Array = np.ndarray[Any, Any]

__all__ = ["DGEList", "EList", "MArrayLM"]

C = TypeVar("C", bound="Container")


class Container:
    """Named fields that share genes, and samples or coefficients; the common ground of the containers.

    ``AXES`` says for each field which of its axes run over genes (``g``), columns (``c``) or neither (``.``). A field
    whose length does not fit its axes (a prior that is one number) is not cut.
    """

    AXES: ClassVar[dict[str, str]] = {}

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def row_names(self) -> pd.Index[Any]:
        """Names of the genes."""
        raise NotImplementedError

    def column_names(self) -> pd.Index[Any]:
        """Names of the columns: samples, or coefficients."""
        raise NotImplementedError

    def keys(self) -> list[str]:
        """Names of the fields that are there."""
        return [name for name, value in self.__dict__.items() if value is not None and not name.startswith("_")]

    def get(self, name: str, default: Any = None) -> Any:
        """A field, or `default` where there is none."""
        value = self.__dict__.get(name)
        return default if value is None else value

    def __contains__(self, name: str) -> bool:
        return self.__dict__.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        # Only called for what is not there.
        message = f"this {type(self).__name__} has no `{name}`; it has {', '.join(self.keys())}"
        raise AttributeError(message)

    def __getitem__(self: C, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self:
                message = f"there is no field `{key}`"
                raise MissingKeyError(message, place=type(self).__name__, hint=f"it has {', '.join(self.keys())}")
            return self.__dict__[key]
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        return self._cut(_positions(rows, self.row_names(), "gene"), _positions(columns, self.column_names(), "column"))

    def _cut(self: C, rows: Array | None, columns: Array | None) -> C:
        n_rows, n_columns = len(self.row_names()), len(self.column_names())
        out = self.copy()
        for name, axes in self.AXES.items():
            value = self.__dict__.get(name)
            if value is None:
                continue
            for axis, along in enumerate(axes):
                taken, length = (rows, n_rows) if along == "g" else (columns, n_columns) if along == "c" else (None, 0)
                if taken is not None and np.ndim(value) > axis and np.shape(value)[axis] == length:
                    value = _take(value, taken, axis)
            out.__dict__[name] = value
        return out

    def copy(self: C) -> C:
        """A copy that shares the arrays."""
        out = type(self).__new__(type(self))
        out.__dict__.update(self.__dict__)
        return out

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def _described(self, what: str) -> str:
        held = ", ".join(name for name in self.keys() if name not in {"genes", "samples", "provenance"})
        return f"{type(self).__name__}: {what}\n  {held}"


def _positions(key: Any, names: pd.Index[Any], what: str) -> Array | None:
    """Positions of a selection by name, position, mask or slice; ``None`` for all."""
    if isinstance(key, slice):
        return None if key == slice(None) else np.arange(len(names))[key]
    if isinstance(key, str) or not np.iterable(key):
        key = [key]
    chosen = np.asarray(key)
    if chosen.dtype == bool:
        if len(chosen) != len(names):
            message = f"a mask of {len(chosen)} for {len(names)} {what}s"
            raise BadInputError(message, place="selection")
        return np.flatnonzero(chosen)
    if np.issubdtype(chosen.dtype, np.integer):
        if chosen.size and (chosen.min() < -len(names) or chosen.max() >= len(names)):
            message = f"position {int(chosen.max())}, but there are {len(names)} {what}s"
            raise BadInputError(message, place="selection")
        return np.arange(len(names))[chosen]
    found = names.get_indexer_for(list(key))
    if (found < 0).any():
        missing = list(key)[int(np.flatnonzero(found < 0)[0])]
        message = f"there is no {what} `{missing}`"
        near = difflib.get_close_matches(str(missing), map(str, names[:100_000]), 3)
        hint = f"did you mean {', '.join(near)}?" if near else f"the first {what}s are {', '.join(map(str, names[:5]))}"
        raise MissingKeyError(message, place="selection", hint=hint)
    return np.asarray(found)


def _take(value: Any, positions: Array, axis: int) -> Any:
    if hasattr(value, "iloc"):
        return value.iloc[positions] if axis == 0 else value.iloc[:, positions]
    return np.take(np.asarray(value), positions, axis=axis)


class EList(Container):
    """Log-values of genes × samples and what belongs to them.

    Attributes
    ----------
    E
        log2 values, genes × samples.
    weights
        Precision weights of the same shape, or ``None``.
    design
        Design matrix, samples × coefficients (a data frame), or ``None``.
    lib_size
        Library size of each sample, normalisation factors included, or ``None``.
    genes
        Annotation of the genes; its index are their names.
    samples
        Annotation of the samples; its index are their names.
    """

    AXES: ClassVar[dict[str, str]] = {
        "E": "gc",
        "weights": "gc",
        "design": "c.",
        "lib_size": "c",
        "sample_weights": "c",
        "block": "c",
        "genes": "g.",
        "samples": "c.",
        "other": "gc",
    }
    E: Array
    weights: Array | None
    design: pd.DataFrame | None
    lib_size: Array | None
    genes: pd.DataFrame
    samples: pd.DataFrame
    span: float
    block: Array | None
    correlation: float | None
    sample_weights: Array | None

    def row_names(self) -> pd.Index[Any]:
        """Names of the genes."""
        return self.genes.index

    def column_names(self) -> pd.Index[Any]:
        """Names of the samples."""
        return self.samples.index

    @property
    def shape(self) -> tuple[int, int]:
        """Genes and samples."""
        return (self.E.shape[0], self.E.shape[1])

    def to_df(self, field: str = "E") -> pd.DataFrame:
        """A field of genes × samples as a data frame."""
        import pandas as pd

        return pd.DataFrame(self[field], index=self.genes.index, columns=self.samples.index)

    def __repr__(self) -> str:
        return self._described(f"{self.shape[0]} genes x {self.shape[1]} samples")


class DGEList(Container):
    """Counts of genes × samples with their library sizes and normalisation factors.

    Attributes
    ----------
    counts
        Counts, genes × samples.
    samples
        Annotation of the samples, with the columns ``lib_size`` and ``norm_factors``; its index are their names.
    genes
        Annotation of the genes; its index are their names.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> y = fe.limma.DGEList(np.array([[5, 9, 3], [10, 20, 30]]))
    >>> y.lib_size
    array([15., 29., 33.])
    """

    AXES: ClassVar[dict[str, str]] = {"counts": "gc", "samples": "c.", "genes": "g."}
    counts: Array
    samples: pd.DataFrame
    genes: pd.DataFrame

    def __init__(
        self,
        counts: Any,
        samples: pd.DataFrame | None = None,
        genes: pd.DataFrame | None = None,
        *,
        lib_size: Any = None,
        norm_factors: Any = None,
        group: Any = None,
    ) -> None:
        from ._inputs import counted

        held = counted(counts)
        samples = held.samples if samples is None else samples.copy()
        if len(samples) != held.values.shape[1]:
            message = f"{len(samples)} rows for {held.values.shape[1]} samples"
            raise BadInputError(message, place="samples")
        if group is not None:
            samples["group"] = np.asarray(group)
        if lib_size is not None or "lib_size" not in samples:
            samples["lib_size"] = held.values.sum(axis=0) if lib_size is None else np.asarray(lib_size, dtype=float)
        if norm_factors is not None or "norm_factors" not in samples:
            samples["norm_factors"] = 1.0 if norm_factors is None else np.asarray(norm_factors, dtype=float)
        genes = held.genes if genes is None else genes
        super().__init__(counts=held.values, samples=samples, genes=genes)

    def row_names(self) -> pd.Index[Any]:
        """Names of the genes."""
        return self.genes.index

    def column_names(self) -> pd.Index[Any]:
        """Names of the samples."""
        return self.samples.index

    @property
    def shape(self) -> tuple[int, int]:
        """Genes and samples."""
        return (self.counts.shape[0], self.counts.shape[1])

    @property
    def lib_size(self) -> Array:
        """Library size of each sample, without normalisation factors."""
        return self.samples["lib_size"].to_numpy(dtype=float)

    @property
    def norm_factors(self) -> Array:
        """Normalisation factor of each sample."""
        return self.samples["norm_factors"].to_numpy(dtype=float)

    @property
    def effective_lib_size(self) -> Array:
        """Library sizes times normalisation factors."""
        return np.asarray(self.lib_size * self.norm_factors)

    def to_df(self) -> pd.DataFrame:
        """The counts as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.counts, index=self.genes.index, columns=self.samples.index)

    def copy(self) -> DGEList:
        """A copy that shares the counts; its table of samples is its own."""
        out = super().copy()
        out.__dict__["samples"] = self.samples.copy()
        return out

    def __repr__(self) -> str:
        return self._described(f"{self.shape[0]} genes x {self.shape[1]} samples")


class MArrayLM(Container):
    """Linear models of many genes: what ``lm_fit``, ``contrasts_fit``, ``e_bayes`` and ``treat`` give.

    Attributes
    ----------
    coefficients, stdev_unscaled
        Estimates and their standard errors divided by ``sigma``, genes × coefficients. NaN: cannot be estimated.
    sigma, df_residual
        Residual standard deviation and degrees of freedom of each gene.
    cov_coefficients, rank, pivot
        Unscaled covariance of the coefficients that can be estimated, their number, and their order.
    Amean
        Mean log-value of each gene.
    design, contrasts
        What was fitted, as data frames.
    s2_prior, df_prior, s2_post, df_total
        Prior and posterior variances and degrees of freedom (after moderation).
    t, p_value, lods, F, F_p_value
        Moderated statistics (after moderation).
    genes
        Annotation of the genes; its index are their names.
    coef_names
        Names of the coefficients.
    """

    AXES: ClassVar[dict[str, str]] = {
        "coefficients": "gc",
        "stdev_unscaled": "gc",
        "t": "gc",
        "p_value": "gc",
        "lods": "gc",
        "log10_p_value": "gc",
        "sigma": "g",
        "df_residual": "g",
        "Amean": "g",
        "s2_prior": "g",
        "df_prior": "g",
        "s2_post": "g",
        "df_total": "g",
        "F": "g",
        "F_p_value": "g",
        "var_prior": "c",
        "coef_names": "c",
        "cov_coefficients": "cc",
        "contrasts": ".c",
        "genes": "g.",
        "weights": "g.",
        "gene_covariances": "g.",
        "rows": "g",
        "status": "g",
    }
    coefficients: Array
    stdev_unscaled: Array
    sigma: Array
    df_residual: Array
    cov_coefficients: Array
    Amean: Array
    genes: pd.DataFrame

    def row_names(self) -> pd.Index[Any]:
        """Names of the genes."""
        return self.genes.index

    def column_names(self) -> pd.Index[Any]:
        """Names of the coefficients."""
        import pandas as pd

        return pd.Index(self.coef_names)

    @property
    def shape(self) -> tuple[int, int]:
        """Genes and coefficients."""
        return (self.coefficients.shape[0], self.coefficients.shape[1])

    def _cut(self, rows: Array | None, columns: Array | None) -> MArrayLM:
        out = super()._cut(rows, columns)
        if columns is not None and self.coefficients.shape[1] != len(columns):
            # Covariances gene by gene are packed, and F is a statement about all coefficients.
            for name in ("gene_covariances", "F", "F_p_value"):
                out.__dict__[name] = None
        return out

    def coef_index(self, coef: Any) -> int:
        """The position of a coefficient given by position or name."""
        found = _positions(coef, self.column_names(), "coefficient")
        if found is None or len(found) != 1:
            message = f"expected one coefficient, found {coef!r}"
            raise BadInputError(message, place="coef")
        return int(found[0])

    def __repr__(self) -> str:
        coefficients = ", ".join(map(str, list(self.coef_names)[:6])) + (" .." if self.shape[1] > 6 else "")
        moderated = "moderated" if "t" in self else "not moderated: e_bayes(fit) is next"
        return self._described(f"{self.shape[0]} genes x {self.shape[1]} coefficients ({coefficients}), {moderated}")

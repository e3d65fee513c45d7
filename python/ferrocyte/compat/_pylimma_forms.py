"""The forms in which pylimma passes things on: dictionaries of arrays, and entries of an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import limma
from ..errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    Array = np.ndarray[Any, Any]

#: Fields of a fit that go to and fro as they are.
_FIT = (
    "coefficients",
    "stdev_unscaled",
    "sigma",
    "df_residual",
    "cov_coefficients",
    "rank",
    "Amean",
    "method",
    "block",
    "correlation",
    "span",
    "sample_weights",
    "s2_prior",
    "df_prior",
    "s2_post",
    "df_total",
    "t",
    "p_value",
    "lods",
    "var_prior",
    "proportion",
    "F",
    "F_p_value",
    "treat_lfc",
    "upshot",
)


class Fields(dict[str, Any]):
    """A dictionary whose entries are attributes too."""

    def __init__(self, data: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        super().__init__(data or {}, **fields)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            message = f"{type(self).__name__} has no attribute {name!r}"
            raise AttributeError(message) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class EList(Fields):
    """Log-values (``E``, genes × samples) and what belongs to them: ``weights``, ``design``, ``genes``, ``targets``.

    ``values[genes, samples]`` gives a part.
    """

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return super().__getitem__(key)
        part = values_of(self)[key]
        return EList(values_out(part, dict(self)))

    @property
    def shape(self) -> tuple[int, int]:
        """Genes and samples."""
        rows, columns = np.shape(self["E"])
        return rows, columns


class MArrayLM(Fields):
    """A fit; ``fit["t"]`` and ``fit.t`` are the same, ``fit[genes, coefficients]`` gives a part."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return super().__getitem__(key)
        whole = native_fit(self)
        part = whole[key]
        if "F" in whole and "F" not in part:
            part.F, part.F_p_value = _joint(part)
        return MArrayLM(fit_out(part))

    @property
    def shape(self) -> tuple[int, int]:
        """Genes and coefficients."""
        rows, columns = np.shape(self["coefficients"])
        return rows, columns

    def fitted(self) -> Array:
        """Fitted values, genes × samples."""
        return limma.fitted(native_fit(self))

    def residuals(self, y: Any) -> Array:
        """Values less fitted values, genes × samples."""
        return limma.residuals(native_fit(self), values_of(y))


def _joint(fit: limma.MArrayLM) -> tuple[Array, Array]:
    """F of the coefficients that a part of a fit still has, and its p-value."""
    from scipy import special

    found = limma.classify_tests_f(fit, fstat_only=True)
    f, df1, df2 = found.to_numpy(), float(found.attrs["df1"]), np.asarray(found.attrs["df2"])
    known = np.isfinite(df2)
    tail = special.fdtrc(df1, np.where(known, df2, 1.0), f)
    return f, np.where(known, tail, special.chdtrc(df1, df1 * f))


def is_anndata(data: Any) -> bool:
    """Whether results are to be written into the data."""
    return hasattr(data, "obs_names") and hasattr(data, "var_names") and hasattr(data, "layers")


def values_of(data: Any) -> Any:
    """Log-values for the verbs: a dictionary with ``E`` becomes an ``EList``, all else stays as it is."""
    import pandas as pd

    if not isinstance(data, dict):
        return data
    if "E" not in data:
        message = f"expected a dictionary with `E`, found {', '.join(map(str, data)) or 'an empty one'}"
        raise BadInputError(message, place="data")
    values = np.asarray(data["E"], dtype=np.float64)
    targets = data.get("targets")
    design = data.get("design")
    return limma.EList(
        E=values,
        weights=data.get("weights"),
        design=None if design is None else named_design(design),
        lib_size=data.get("lib_size"),
        genes=annotation(data.get("genes"), len(values)),
        samples=targets if isinstance(targets, pd.DataFrame) else pd.DataFrame(index=range(values.shape[1])),
    )


def counts_of(data: Any) -> Any:
    """Counts for the verbs: a dictionary with ``counts`` becomes a ``DGEList``, all else stays as it is."""
    if not isinstance(data, dict):
        return data
    if "counts" not in data:
        message = f"expected a dictionary with `counts`, found {', '.join(map(str, data)) or 'an empty one'}"
        raise BadInputError(message, place="counts")
    values = np.asarray(data["counts"], dtype=np.float64)
    return limma.DGEList(
        values,
        genes=annotation(data.get("genes"), len(values)),
        lib_size=data.get("lib_size"),
        norm_factors=data.get("norm_factors"),
    )


def values_out(values: limma.EList, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """An ``EList`` of ours as entries of theirs; names of genes are kept where there are any."""
    out = dict(given or {})
    for name in ("E", "weights", "design", "lib_size", "span", "sample_weights", "block", "correlation"):
        if name in values:
            held = values[name]
            out[name] = np.asarray(held) if name == "design" else held
    for name in ("voom_xy", "voom_line"):
        if name in values:
            out[name] = values[name]
    genes = names_out(values.genes)
    if genes is not None:
        out["genes"] = genes
    return out


def annotation(genes: Any, length: int) -> pd.DataFrame:
    """Annotation of genes as a data frame: of a frame, of names, or of nothing."""
    import pandas as pd

    if isinstance(genes, pd.DataFrame):
        return genes
    if genes is None:
        return pd.DataFrame(index=pd.RangeIndex(length))
    return pd.DataFrame(index=pd.Index([str(name) for name in genes]))


def names_out(genes: pd.DataFrame) -> Any:
    """Annotation as theirs: a frame, a list of names, or nothing."""
    import pandas as pd

    if genes.shape[1]:
        return genes
    return None if isinstance(genes.index, pd.RangeIndex) else [str(name) for name in genes.index]


def named_design(design: Any) -> Any:
    """A design whose columns have names: those that it has, else ``Coef1``, ``Coef2``, .."""
    import pandas as pd

    if isinstance(design, pd.DataFrame):
        return design
    matrix = np.asarray(design, dtype=np.float64)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    return pd.DataFrame(matrix, columns=unnamed(matrix.shape[1]))


def unnamed(count: int) -> list[str]:
    """Names of coefficients that have none."""
    return [f"Coef{k + 1}" for k in range(count)]


def fields_of(data: Any, key: str) -> dict[str, Any]:
    """The fields of a fit, or of the one that an AnnData holds under a key."""
    if not is_anndata(data):
        if not isinstance(data, dict) or "coefficients" not in data:
            message = f"expected what lm_fit returns, found {type(data).__name__}"
            raise BadInputError(message, place="fit")
        return data
    if key not in data.uns:
        message = f"uns holds no fit `{key}`"
        raise MissingKeyError(message, place="key", hint="call lm_fit(adata, design) first")
    return dict(data.uns[key])


def native_fit(fields: dict[str, Any]) -> limma.MArrayLM:
    """A fit for the verbs."""
    shape = np.shape(fields["coefficients"])
    names = fields.get("contrast_names") if fields.get("contrasts") is not None else None
    if names is None or len(names) != shape[1]:
        names = fields.get("coef_names")
    if names is None or len(names) != shape[1]:
        names = unnamed(shape[1])
    kept = {name: fields[name] for name in _FIT if fields.get(name) is not None}
    design = fields.get("design")
    return limma.MArrayLM(
        **kept,
        pivot=[int(k) for k in fields["pivot"]],
        coef_names=[str(name) for name in names],
        design=None if design is None else named_design(design),
        contrasts=fields.get("contrasts"),
        genes=annotation(fields.get("genes"), shape[0]),
    )


def fit_out(fit: limma.MArrayLM) -> dict[str, Any]:
    """A fit of ours as entries of theirs."""
    out = {name: fit[name] for name in _FIT if name in fit}
    out["pivot"] = np.asarray(fit.pivot)
    if "design" in fit:
        out["design"] = np.asarray(fit.design, dtype=np.float64)
    genes = names_out(fit.genes)
    out["genes"] = genes
    names = [str(name) for name in fit.coef_names]
    if "contrasts" in fit:
        out["contrasts"] = np.asarray(fit.contrasts, dtype=np.float64)
        out["contrast_names"] = names
    elif names != unnamed(len(names)):
        out["coef_names"] = names
    return out


def put_fit(data: Any, key: str, fit: limma.MArrayLM) -> MArrayLM | None:
    """Return a fit, or write it into the AnnData that it was made from."""
    fields = fit_out(fit)
    if not is_anndata(data):
        return MArrayLM(fields)
    data.uns[key] = {name: value for name, value in fields.items() if value is not None}
    return None


def put_layer(adata: Any, name: str, values: Any) -> None:
    """Write genes × samples as a layer."""
    adata.layers[name] = np.ascontiguousarray(np.asarray(values).T)

"""What :class:`ferrocyte.nmf.NMF` takes for a matrix, with the messages that users of scikit-learn know."""

from __future__ import annotations

import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ..errors import BadInputError

__all__ = ["Checked", "check_names", "checked", "not_fitted"]


class Checked(NamedTuple):
    """A matrix of numbers, the names of its columns, if they are texts, and the type that results have."""

    values: Any
    names: list[str] | None
    dtype: np.dtype[Any]


def checked(X: Any, estimator: Any) -> Checked:
    """Refuse what is no matrix of finite numbers >= 0."""
    names = _names(X)
    kind = type(estimator).__name__
    if sparse.issparse(X):
        values = X if X.format in ("csr", "csc") else X.tocsr()
        if not values.has_canonical_format:
            values = values.copy()
            values.sum_duplicates()
        entries = values.data
    else:
        values = entries = np.asarray(X)
    if entries.dtype.kind == "c":
        message = f"Complex data not supported\n{X!r}"
        raise BadInputError(message)
    if values.ndim != 2:
        message = f"Expected 2D array, got {values.ndim}D array instead"
        hint = "Reshape your data either using array.reshape(-1, 1) or array.reshape(1, -1)"
        raise BadInputError(message, place="X", hint=hint)
    for axis, what in enumerate(("sample", "feature")):
        if values.shape[axis] == 0:
            message = f"Found array with 0 {what}(s) (shape={values.shape}) while a minimum of 1 is required by {kind}."
            raise BadInputError(message)
    if entries.dtype.kind not in "fiub":
        values = entries = np.asarray(entries, dtype=np.float64)
    dtype = np.dtype(np.float32 if entries.dtype == np.float32 else np.float64)
    if entries.dtype != dtype:
        values = values.astype(dtype)
        entries = values.data if sparse.issparse(values) else values
    if not np.isfinite(entries).all():
        found = "NaN" if np.isnan(entries).any() else "infinity"
        message = f"Input X contains {found}. {kind} does not accept missing values encoded as NaN, nor infinity."
        raise BadInputError(message, place="X", hint="leave out or repair the rows with missing values")
    if entries.size and entries.min() < 0:
        message = f"Negative values in data passed to {kind} (input X), the smallest is {entries.min()}"
        raise BadInputError(message, place="X", hint="were centred or logarithmic data given?")
    return Checked(values, names, dtype)


def _names(X: Any) -> list[str] | None:
    """The columns of a data frame, if they are texts."""
    if not hasattr(X, "columns") or sparse.issparse(X):
        return None
    texts = [isinstance(name, str) for name in X.columns]
    if any(texts) and not all(texts):
        message = (
            "Feature names are only supported if all input features have string names, but your input has other names "
            "too. If you want feature names to be stored and validated, you must convert them all to strings, by using "
            "X.columns = X.columns.astype(str) for example."
        )
        raise TypeError(message)
    return list(X.columns) if texts and all(texts) else None


def check_names(given: Checked, estimator: Any) -> None:
    """Refuse columns that are not those of the fit."""
    kind = type(estimator).__name__
    fitted = getattr(estimator, "feature_names_in_", None)
    if fitted is None and given.names is None:
        return
    if fitted is None:
        warnings.warn(f"X has feature names, but {kind} was fitted without feature names", stacklevel=3)
        return
    if given.names is None:
        text = f"X does not have valid feature names, but {kind} was fitted with feature names"
        warnings.warn(text, stacklevel=3)
        return
    if list(fitted) == given.names:
        return
    lines = ["The feature names should match those that were passed during fit."]
    unseen, missing = sorted(set(given.names) - set(fitted)), sorted(set(fitted) - set(given.names))
    parts = [("Feature names unseen at fit time", unseen), ("Feature names seen at fit time, yet now missing", missing)]
    for title, names in parts:
        if names:
            lines += [f"{title}:", *(f"- {name}" for name in names[:5]), *(["- ..."] if len(names) > 5 else [])]
    if not unseen and not missing:
        lines.append("Feature names must be in the same order as they were in fit.")
    raise BadInputError("\n".join(lines) + "\n")


def not_fitted(kind: str) -> Exception:
    """The exception of an estimator that was not fitted: scikit-learn's own, where it is at work."""
    text = f"This {kind} instance is not fitted yet. Call 'fit' with appropriate arguments before using this estimator."
    if "sklearn" in sys.modules:
        from sklearn.exceptions import NotFittedError

        return NotFittedError(text)
    return BadInputError(text)

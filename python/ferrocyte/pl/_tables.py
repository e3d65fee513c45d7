"""What the figures ask of a table of tests, and the errors where it is something else."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

#: So many names stand in an error where none is like the one that was asked for.
_SHOWN = 12


def need(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Fail unless this is a table with rows and these columns."""
    if not hasattr(table, "columns"):
        message = f"expected a data frame of tests, found {type(table).__name__}"
        raise BadInputError(message, place="table", hint="give the table of `contrast` or `test`")
    for name in columns:
        if name not in table.columns:
            missing("column", name, table.columns, "table")
    if len(table) == 0:
        message = "the table has no rows"
        raise BadInputError(message, place="table", hint="does a selection before it keep none?")
    return table


def as_tests(table: pd.DataFrame) -> pd.DataFrame:
    """A table of tests in the words of all families.

    Those of limma have ``log_fc`` for ``estimate``, genes in the index, and no log10 p-value; others are left alone.
    """
    if not hasattr(table, "columns") or "log_fc" not in table.columns:
        return table
    out = table.copy()
    out.attrs["units"] = {**table.attrs.get("units", {}), "estimate": "log2 fold change"}
    out["estimate"] = out["log_fc"]
    if "gene" not in out:
        out["gene"] = out.index.astype(str)
    if "log10_p_value" not in out and "p_value" in out:
        with np.errstate(divide="ignore"):
            out["log10_p_value"] = np.log10(np.maximum(out["p_value"], np.nextafter(0.0, 1.0)))
    for name in ("group", "contrast"):
        if name not in out:
            out[name] = "all"
    return out


def one_panel(table: pd.DataFrame, group: str | None, contrast: str | None) -> tuple[pd.DataFrame, str]:
    """The rows of one group and contrast, and words for the title."""
    table, group = _only(table, "group", group)
    table, contrast = _only(table, "contrast", contrast)
    return table, ", ".join(word for word in (group, contrast) if word)


def one_contrast(table: pd.DataFrame, contrast: str | None) -> tuple[pd.DataFrame, str]:
    """The rows of one contrast in all groups, and its name."""
    return _only(table, "contrast", contrast)


def levels(table: pd.DataFrame, column: str) -> list[str]:
    """The values of a column, in the order of the table."""
    return [str(value) for value in table[column].unique()]


def unit_of(table: pd.DataFrame, column: str) -> str:
    """The unit of a column where the table knows it, else the column's name."""
    return str(table.attrs.get("units", {}).get(column) or column)


def finite(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows whose values are numbers in all these columns; an error if there is none."""
    kept = rows[np.isfinite(rows[list(columns)].to_numpy(dtype=float)).all(axis=1)]
    if kept.empty:
        message = f"no gene has a number in {' and '.join(f'`{name}`' for name in columns)}"
        raise BadInputError(message, place="table", hint="the columns `status` and `reason` say why")
    return kept


def missing(kind: str, name: object, known: Iterable[Any], place: str) -> None:
    """Fail with the names that are most like the one that does not exist."""
    names = [str(other) for other in known]
    near = difflib.get_close_matches(str(name), names, 3)
    if not near:
        lower = {other.lower(): other for other in names}
        near = [lower[other] for other in difflib.get_close_matches(str(name).lower(), lower, 3)]
    listed = ", ".join(f"`{other}`" for other in near or names[:_SHOWN])
    more = ", ..." if not near and len(names) > _SHOWN else ""
    hint = f"did you mean {listed}?" if near else f"there are {listed}{more}" if names else None
    raise MissingKeyError(f"there is no {kind} `{name}`", place=place, hint=hint)  # noqa: EM102 -- two names


def _only(table: pd.DataFrame, column: str, wanted: str | None) -> tuple[pd.DataFrame, str]:
    """The rows of one value of a column, and that value; nothing for the name that ungrouped tables bear."""
    if column not in table.columns:
        missing("column", column, table.columns, "table")
    present = levels(table, column)
    if wanted is None:
        if len(present) > 1:
            message = f"the table holds {len(present)} of `{column}`"
            names = ", ".join(f"`{name}`" for name in present[:_SHOWN])
            raise BadInputError(message, place="table", hint=f"choose by `{column}=`: {names}")
        return table, "" if present[0] == "all" else present[0]
    if wanted not in present:
        missing(column, wanted, present, "table")
    return table[table[column].astype(str) == wanted], wanted

"""Names of coefficients of a formula as patsy writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def patsy_names(names: Sequence[str], samples: pd.DataFrame) -> list[str]:
    """R's ``groupb`` as ``group[T.b]``, or ``group[b]`` where all levels of the factor have a coefficient.

    Parameters
    ----------
    names
        R's names of the coefficients.
    samples
        The table that the formula was read over.

    Examples
    --------
    >>> import pandas as pd
    >>> from ferrocyte.compat._pylimma_names import patsy_names
    >>> patsy_names(["(Intercept)", "groupb", "age", "groupb:age"], pd.DataFrame({"group": ["a", "b"], "age": [1, 2]}))
    ['Intercept', 'group[T.b]', 'age', 'group[T.b]:age']
    """
    levels = {str(name): _levels(samples[name]) for name in samples}
    parts = [[_parted(piece, levels) for piece in name.split(":")] for name in names]
    # A factor is coded in full within a term where its first level has a coefficient.
    full = {
        (tuple(factor for factor, _ in pieces), place)
        for pieces in parts
        for place, (factor, level) in enumerate(pieces)
        if level is not None and level == levels[factor][0]
    }
    out = []
    for pieces in parts:
        term = tuple(factor for factor, _ in pieces)
        written = [
            factor if level is None else f"{factor}[{level}]" if (term, place) in full else f"{factor}[T.{level}]"
            for place, (factor, level) in enumerate(pieces)
        ]
        out.append(":".join(written))
    return out


def _levels(column: pd.Series[object]) -> list[str]:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return [str(level) for level in column.cat.categories]
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return []
    return sorted({str(value) for value in column.dropna()})


def _parted(piece: str, levels: dict[str, list[str]]) -> tuple[str, str | None]:
    """A factor and its level; a covariate has none."""
    if piece == "(Intercept)":
        return "Intercept", None
    for name in sorted(levels, key=len, reverse=True):
        if piece.startswith(name) and piece[len(name) :] in levels[name]:
            return name, piece[len(name) :]
    return piece, None

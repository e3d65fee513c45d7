"""Designs and contrasts: from formulas and expressions to matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._obs import columns, require
from ..errors import BadInputError
from ._inputs import Held, design_of, grid, names_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["contrast_as_coef", "is_fullrank", "make_contrasts", "model_matrix", "non_estimable"]


def model_matrix(formula: str, data: Any) -> pd.DataFrame:
    """Design matrix of a formula: R's ``model.matrix``, with R's names and order of columns.

    Parameters
    ----------
    formula
        R's operators ``+ - : * ^ / 0 1 -1``, functions such as ``log(x)``, ``I(x^2)``, ``poly(x, 2)``, ``ns(x, 3)`` and
        ``factor(x)``.
    data
        A table of samples: a data frame, or the samples of an AnnData, ``EList`` or ``DGEList``. Texts are factors with
        sorted levels, categories keep their order.

    Returns
    -------
    DataFrame
        Samples × coefficients.

    Raises
    ------
    BadInputError
        Where a covariate is missing in some sample, which R would leave out silently.

    Examples
    --------
    >>> import ferrocyte as fe, pandas as pd
    >>> fe.limma.model_matrix("~ group", pd.DataFrame({"group": ["A", "B"]}))
       (Intercept)  groupB
    0          1.0     0.0
    1          1.0     1.0
    """
    import pandas as pd

    samples = data if isinstance(data, pd.DataFrame) else getattr(data, "samples", getattr(data, "obs", None))
    if samples is None:
        message = f"expected a table of samples, found {type(data).__name__}"
        raise BadInputError(message, place="data")
    variables = _core.limma_variables(formula)
    for name in variables:
        require(samples, name, "data")
    wanted = columns(samples, variables)
    matrix, names = _core.limma_model_matrix(formula, [str(name) for name in samples.index], len(samples), wanted)
    return pd.DataFrame(matrix, index=samples.index, columns=names)


def make_contrasts(
    *expressions: str, contrasts: str | Sequence[str] | dict[str, str] | None = None, levels: Any
) -> pd.DataFrame:
    """Contrasts from arithmetic on names of coefficients.

    Parameters
    ----------
    expressions
        Such as ``"B - A"`` or ``"(B + C)/2 - A"``. Names that read as arithmetic go into backticks, although a name
        that is known is found without them. ``(Intercept)`` is known as ``Intercept``.
    contrasts
        The same as a list, or as ``{name: expression}``.
    levels
        Names of the coefficients: a list, or a design as a data frame.

    Returns
    -------
    DataFrame
        Coefficients × contrasts.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.make_contrasts("B - A", levels=["A", "B"])["B - A"].to_list()
    [-1.0, 1.0]
    """
    import pandas as pd

    named = dict(zip(expressions, expressions, strict=True))
    if isinstance(contrasts, str):
        contrasts = [contrasts]
    if contrasts is not None:
        named |= contrasts if isinstance(contrasts, dict) else {text: text for text in contrasts}
    names = [str(level) for level in (levels.columns if isinstance(levels, pd.DataFrame) else levels)]
    matrix = _core.limma_make_contrasts(list(named.values()), names)
    rows = ["Intercept" if name == "(Intercept)" else name for name in names]
    return pd.DataFrame(matrix, index=rows, columns=list(named))


def contrast_as_coef(design: Any, contrast: Any, *, first: bool = True) -> tuple[pd.DataFrame, list[int]]:
    """Rotate a design so that contrasts become coefficients.

    Parameters
    ----------
    design
        Samples × coefficients.
    contrast
        Weights of the coefficients, one column per contrast.
    first
        Whether the contrasts come first, else last.

    Returns
    -------
    tuple
        The new design, and the positions of the contrasts among its columns. Contrasts that depend on others are left
        out.
    """
    import pandas as pd

    matrix, names, rows = _alone(design)
    weights = np.asarray(contrast, dtype=np.float64)
    weights = weights[:, None] if weights.ndim == 1 else weights
    labels = list(map(str, contrast.columns)) if isinstance(contrast, pd.DataFrame) else None
    labels = labels or [f"contrast{k + 1}" for k in range(weights.shape[1])]
    rotated, columns_, positions = _core.limma_contrast_as_coef(
        (matrix, names, rows), grid(weights, "contrast"), labels, first
    )
    index = design.index if isinstance(design, pd.DataFrame) else None
    return pd.DataFrame(rotated, index=index, columns=columns_), positions


def non_estimable(design: Any) -> list[str]:
    """Columns of a design that depend on those before them; an empty list if there are none."""
    return _core.limma_non_estimable(_alone(design))


def is_fullrank(design: Any) -> bool:
    """Whether no column of a design depends on the others."""
    return not non_estimable(design)


def _alone(design: Any) -> tuple[Any, list[str], list[str]]:
    """A design without data."""
    import pandas as pd

    rows = len(design)
    names = names_of(design.index) if isinstance(design, pd.DataFrame) else []
    samples = pd.DataFrame(index=pd.Index(names) if names else pd.RangeIndex(rows))
    return design_of(design, Held(np.empty((0, rows)), pd.DataFrame(), samples))

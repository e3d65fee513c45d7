"""Statistics of multi-sample gene-expression studies, from a count matrix to conclusions.

``import ferrocyte as fe`` is light: pandas, anndata and matplotlib load when they are first used.

=====================  =====================================================================
:mod:`ferrocyte.ecotype`  communities of cells that recur over tissues: models, recovery, statistics
:mod:`ferrocyte.lmm`   which genes respond, given that cells come from donors: mixed models
:mod:`ferrocyte.limma`  limma's linear models with moderated statistics
:mod:`ferrocyte.pl`    figures of results, on matplotlib axes
:mod:`ferrocyte.pp`    from counts to neighbours of cells; from cells to samples: pseudobulk
:mod:`ferrocyte.tl`    clusters, layouts, markers, scores, composition
:mod:`ferrocyte.get`   results as tables
:mod:`ferrocyte.sim`   studies of which the truth is known
:mod:`ferrocyte.io`    what a file holds
:mod:`ferrocyte.compat`  the names of other packages, for scripts that move here
=====================  =====================================================================

Errors are those of :mod:`ferrocyte.errors`: each names what was found, where, and the way out.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ._core import __version__
from .errors import (
    BadFileError,
    BadInputError,
    FerrocyteError,
    FerrocyteWarning,
    InternalError,
    MissingKeyError,
    TooLargeError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from types import ModuleType

    from . import compat, ecotype, errors, get, io, limma, lmm, pl, pp, sim, tl

_MODULES = ("compat", "ecotype", "errors", "get", "io", "limma", "lmm", "pl", "pp", "sim", "tl")

__all__ = [
    "BadFileError",
    "BadInputError",
    "FerrocyteError",
    "FerrocyteWarning",
    "InternalError",
    "MissingKeyError",
    "TooLargeError",
    "UnsupportedError",
    "__version__",
    "compat",
    "ecotype",
    "errors",
    "get",
    "io",
    "limma",
    "lmm",
    "pl",
    "pp",
    "sim",
    "tl",
]


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)

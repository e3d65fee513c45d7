"""Statistics of multi-sample gene-expression studies, from a count matrix to conclusions.

``import ferrocyte as fe`` is light: pandas, anndata and matplotlib load when they are first used.

=====================  =====================================================================
:mod:`ferrocyte.ctmm`  which genes vary between people only in some cell types
:mod:`ferrocyte.ecotype`  communities of cells that recur over tissues: models, recovery, statistics
:mod:`ferrocyte.gxemm`  heritability of traits by environment
:mod:`ferrocyte.lmm`   which genes respond, given that cells come from donors: mixed models
:mod:`ferrocyte.limma`  limma's linear models with moderated statistics
:mod:`ferrocyte.nbmm`  negative-binomial mixed models of counts, exact, from sums
:mod:`ferrocyte.nmf`   non-negative factorisations: cells as sums of programs
:mod:`ferrocyte.pl`    figures of results, on matplotlib axes
:mod:`ferrocyte.pp`    from counts to neighbours of cells; from cells to samples: pseudobulk
:mod:`ferrocyte.tl`    clusters, layouts, markers, scores, composition
:mod:`ferrocyte.get`   results as tables
:mod:`ferrocyte.sim`   studies of which the truth is known
:mod:`ferrocyte.io`    what a file holds
:func:`ferrocyte.report`  a study and its results as one page to mail
:class:`ferrocyte.Experiment`  a study of several samples, from counts to named cells, in a folder
:mod:`ferrocyte.compat`  the names of other packages, for scripts that move here
=====================  =====================================================================

Errors are those of :mod:`ferrocyte.errors`: each names what was found, where, and the way out.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    from . import (
        cnmf,
        compat,
        ctmm,
        ecotype,
        errors,
        experiment,
        get,
        gxemm,
        io,
        limma,
        lmm,
        nbmm,
        nmf,
        pl,
        pp,
        sim,
        tl,
    )
    from ._report import report
    from .experiment import Experiment, load_experiment, setwd, version

_MODULES = (
    "cnmf",
    "compat",
    "ctmm",
    "ecotype",
    "errors",
    "experiment",
    "get",
    "gxemm",
    "io",
    "limma",
    "lmm",
    "nbmm",
    "nmf",
    "pl",
    "pp",
    "sim",
    "tl",
)

#: What stands in the package itself and is loaded when it is first used.
_OF_EXPERIMENT = ("Experiment", "load_experiment", "setwd", "version")

__all__ = [
    "BadFileError",
    "BadInputError",
    "Experiment",
    "FerrocyteError",
    "FerrocyteWarning",
    "InternalError",
    "MissingKeyError",
    "TooLargeError",
    "UnsupportedError",
    "__version__",
    "cnmf",
    "compat",
    "ctmm",
    "ecotype",
    "errors",
    "experiment",
    "get",
    "gxemm",
    "io",
    "limma",
    "lmm",
    "load_experiment",
    "nbmm",
    "nmf",
    "pl",
    "pp",
    "report",
    "setwd",
    "sim",
    "tl",
    "version",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "report":
        return importlib.import_module(f"{__name__}._report").report
    if name in _OF_EXPERIMENT:
        return getattr(importlib.import_module(f"{__name__}.experiment"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)

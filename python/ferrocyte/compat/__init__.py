"""The names of other packages, for scripts that move here: change the import line, keep the rest.

=================================  ==========================================================
:mod:`ferrocyte.compat.cnmf`      the Python package cnmf: a run in a folder, step by step
:mod:`ferrocyte.compat.ctmm`      the Python package ctmm: one gene at a time, from arrays or text tables
:mod:`ferrocyte.compat.ecotyper`  the R package SpatialEcoTyper: models, recovery, evaluation
:mod:`ferrocyte.compat.flashmm`   the R package FLASHMM: genes x cells in, coefficients x genes out
:mod:`ferrocyte.compat.gxemm`     the R package GxEMM: one trait, its kinship and environments
:mod:`ferrocyte.compat.pylimma`   the Python package pylimma: dictionaries, or fits within an AnnData
:mod:`ferrocyte.compat.exprmat`   the Python package exprmat: experiments of several samples
=================================  ==========================================================
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from . import cnmf, ctmm, ecotyper, exprmat, flashmm, gxemm, pylimma

__all__ = ["cnmf", "ctmm", "ecotyper", "exprmat", "flashmm", "gxemm", "pylimma"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)

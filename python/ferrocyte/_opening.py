"""How a file is opened: what is wanted of one that could be read in several ways."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _core
from ._run import means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._core import Study

GENE_EXPRESSION = "Gene Expression"


@dataclass
class Opening:
    """What is wanted of a file. What does not apply to its kind is passed over."""

    modality: str | None = None
    genome: str | None = None
    feature_types: str | None = GENE_EXPRESSION
    var_names: str = "symbols"
    prefix: str | None = None
    transpose: bool = False
    delimiter: str | None = None


def open_path(path: str | os.PathLike[str], opening: Opening | None = None, form: str = "any") -> Study:
    """Open a study of any kind (or as ``"mtx"``, ``"table"``): names are read, values when they are asked for."""
    return _core.io_open(os.fspath(path), form, opening or Opening(), means(progress=False))


def open_paths(paths: Sequence[str | os.PathLike[str]]) -> Study:
    """Open several studies as one: the genes and columns of obs that all have."""
    return _core.io_concat([open_path(path) for path in paths], "inner", None, None)

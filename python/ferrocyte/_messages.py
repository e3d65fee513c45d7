"""What the compiled module has to say: warnings, and the log of what was decided."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

from .errors import FerrocyteWarning

_LOG = logging.getLogger("ferrocyte")
_PACKAGE = str(Path(__file__).parent)


def info(message: str) -> None:
    """Log a decision (``logging.getLogger("ferrocyte")``, level INFO)."""
    _LOG.info(message)


def warn(message: str) -> None:
    """Warn at the line of the user's code that called us."""
    depth, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, FerrocyteWarning, stacklevel=depth)

"""What the tests share: where reference cases are, the model of the small study, equality of bits."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = Path(os.environ.get("FERROCYTE_GOLDEN", ROOT / "tests" / "golden"))
DATA = Path(os.environ.get("FERROCYTE_DATA", ROOT / "data"))

FORMULA = "~ log(libsize) + donor + condition + (1 | sample)"


def golden(area: str) -> Path:
    """The folder of an area of reference cases; the test is skipped where it was not handed out."""
    folder = GOLDEN / area
    if not folder.is_dir():
        pytest.skip(f"no reference cases under {folder}")
    return folder


def same_bits(a, b) -> bool:
    """Equal to the last bit, NaN included."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return a.shape == b.shape and a.tobytes() == b.tobytes()

"""The verbs of ferrocyte.limma under the names of the reference cases, for check_cases.py.

usage: check_cases.py FOLDER --adapter adapter_limma.py

Each ``limma_*.py`` beside this file defines ``FN``, the verbs of one topic.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

FN: dict[str, Callable[..., Any]] = {}

for path in sorted(Path(__file__).parent.glob("limma_*.py")):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        continue
    topic = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(topic)
    FN |= topic.FN

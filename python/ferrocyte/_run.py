"""With what means work is done: threads, memory, progress. None of them changes an answer."""

from __future__ import annotations

import importlib.util
import numbers
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_MEMORY = 2 << 30

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass
class Means:
    """The means of one call, as the compiled module reads them."""

    n_threads: int
    max_memory: int
    progress: Callable[[str, int, int], None] | None


def means(n_threads: int | None = None, max_memory: int | str | None = None, *, progress: bool | None = None) -> Means:
    """Resolve the words `n_threads`, `max_memory` and `progress`.

    Parameters
    ----------
    n_threads
        Number of threads; ``None`` means all processors.
    max_memory
        Bytes for buffers and sums, or text such as ``"4GiB"``; ``None`` means 2 GiB.
    progress
        Whether bars are drawn (with tqdm, if it is installed); ``None`` means only on a terminal.
    """
    if n_threads is not None and not _whole(n_threads):
        message = f"expected a whole number of at least 1, found {n_threads!r}"
        raise BadInputError(message, place="n_threads")
    if progress is None:
        progress = sys.stderr is not None and sys.stderr.isatty()
    bars = _Bars().show if progress and importlib.util.find_spec("tqdm") is not None else None
    return Means(int(n_threads or 0), _bytes(max_memory), bars)


def _whole(n_threads: Any) -> bool:
    """Whether this is a number of threads."""
    if isinstance(n_threads, bool) or not isinstance(n_threads, numbers.Real):
        return False
    return float(n_threads).is_integer() and float(n_threads) >= 1


def _bytes(size: int | str | None) -> int:
    if size is None:
        return DEFAULT_MEMORY
    if isinstance(size, str):
        found = re.fullmatch(r"\s*([0-9.]+)\s*([kmgt]?)(?:i?b)?\s*", size.lower())
        if found is None:
            message = f"expected a size such as `4GiB`, found `{size}`"
            raise BadInputError(message, place="max_memory")
        size = int(float(found[1]) * _UNITS[found[2]])
    if size <= 0:
        message = f"expected a number of bytes above zero, found {size}"
        raise BadInputError(message, place="max_memory")
    return int(size)


class _Bars:
    """One tqdm bar at a time, for the task in progress."""

    def __init__(self) -> None:
        self._task = ""
        self._bar: Any = None

    def show(self, task: str, done: int, total: int) -> None:
        if done >= total:
            if self._bar is not None:
                self._bar.close()
            self._task, self._bar = "", None
            return
        if task != self._task:
            from tqdm.auto import tqdm

            if self._bar is not None:
                self._bar.close()
            self._task, self._bar = task, tqdm(total=total, desc=task, leave=False)
        self._bar.n = done
        self._bar.refresh()

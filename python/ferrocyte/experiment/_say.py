"""What verbs report: lines on the standard output, as a notebook shows them."""

from __future__ import annotations

import sys


def say(text: str, mark: str | None = "i") -> None:
    """Print a line; `mark` stands before it."""
    sys.stdout.write(f"{text if mark is None else f'[{mark}] {text}'}\n")

"""The exceptions and the warning of ferrocyte.

Catch :class:`FerrocyteError` for all of them, or the built-in class that each of them also is.
"""

from __future__ import annotations

__all__ = [
    "BadFileError",
    "BadInputError",
    "FerrocyteError",
    "FerrocyteWarning",
    "InternalError",
    "MissingKeyError",
    "TooLargeError",
    "UnsupportedError",
]


class FerrocyteError(Exception):
    """What went wrong, where, and the way out.

    Attributes
    ----------
    message
        What was expected and what was found.
    place
        File, element, column or gene; ``None`` if there is none.
    hint
        What to do about it; ``None`` if there is no advice.
    """

    def __init__(self, message: str = "", *, place: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text}\nhint: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        return (_again, (type(self), self.message, self.place, self.hint))


def _again(kind: type[FerrocyteError], message: str, place: str | None, hint: str | None) -> FerrocyteError:
    return kind(message, place=place, hint=hint)


class BadInputError(FerrocyteError, ValueError):
    """A value, shape or combination of options that cannot be worked with."""


class MissingKeyError(FerrocyteError, KeyError):
    """A column, gene, layer, coefficient or level that does not exist."""


class BadFileError(FerrocyteError, OSError):
    """A file that cannot be opened, read or written, or is damaged."""


class UnsupportedError(FerrocyteError, NotImplementedError):
    """Something legitimate that this version does not do."""


class TooLargeError(FerrocyteError, MemoryError):
    """A job that does not fit the memory it was given."""


class InternalError(FerrocyteError, RuntimeError):
    """A mistake in ferrocyte itself: please report it."""


class FerrocyteWarning(UserWarning):
    """What one should know before believing a result."""

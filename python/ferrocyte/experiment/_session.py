"""Where one works, and with what."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from .. import _core
from ..errors import BadFileError
from ._say import say

if TYPE_CHECKING:
    Path = str | os.PathLike[str]


def version() -> str:
    """Print the version of ferrocyte, the system and the working directory.

    Returns
    -------
    str
        The version.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> found = fe.version()  # doctest: +ELLIPSIS
    [i] ferrocyte ...
    >>> found == fe.__version__
    True
    """
    say(f"ferrocyte {_core.__version__}")
    say(f"os: {os.name} ({platform.system().lower()})  python version: {platform.python_version()}")
    say(f"current working directory: {os.getcwd()}")
    return str(_core.__version__)


def setwd(path: Path) -> None:
    """Make a folder the working directory, to which paths are relative.

    Parameters
    ----------
    path
        The folder.

    Raises
    ------
    BadFileError
        Where there is no such folder.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.setwd(".")
    """
    if not os.path.isdir(path):
        message = "there is no such folder"
        raise BadFileError(message, place=os.fspath(path))
    os.chdir(path)

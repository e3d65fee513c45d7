"""The console script ``ferrocyte``: the program, carried by the wheel."""

from __future__ import annotations

import signal
import sys

from . import _core


def main() -> int:
    """Run the program with the arguments of this process and give its exit code.

    0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    # The program handles Ctrl-C itself; Python's handler would only run after it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _core.run_program(["ferrocyte", *sys.argv[1:]])

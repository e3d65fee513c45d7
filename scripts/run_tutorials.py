"""Run the tutorials: every ``python`` block of docs/tutorials/*.md, in order, in one namespace per page.

What a block prints stands in the ``text`` block behind it; it is written there, or compared with ``--check``. Figures
are saved under docs/tutorials/figures, where the pages show them from.
"""

import argparse
import contextlib
import io
import os
import re
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs/tutorials/figures"
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)


def run(page: Path) -> str:
    """The page with the output of its blocks filled in."""
    space: dict[str, object] = {"__name__": "__main__"}

    def filled(match: re.Match[str]) -> str:
        code = match.group(1)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(page), "exec"), space)
        lines = [line.rstrip() for line in printed.getvalue().splitlines()]
        block = f"```python\n{code}```\n"
        return block + ("\n```text\n" + "\n".join(lines) + "\n```\n" if lines else "")

    return BLOCK.sub(filled, page.read_text())


def main() -> int:
    """Run all pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    warnings.simplefilter("error")
    FIGURES.mkdir(parents=True, exist_ok=True)
    stale = []
    for page in sorted((ROOT / "docs/tutorials").glob("*.md")):
        os.chdir(ROOT)
        text = run(page)
        if text != page.read_text():
            stale.append(page.name)
            if not check:
                page.write_text(text)
        # Figures of a page are no matter of the next.
        plt.close("all")
        print(f"ran {page.name}")
    if check and stale:
        print(f"output differs: {', '.join(stale)}: run `python scripts/run_tutorials.py`", file=sys.stderr)
    return bool(check and stale)


if __name__ == "__main__":
    sys.exit(main())

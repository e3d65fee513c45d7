"""Draw every figure of `fe.pl` on data that come with the repository, and the page that shows them.

`python scripts/gallery` writes docs/gallery.md and docs/gallery/*.png. `--out FOLDER` writes them elsewhere, for a
comparison. Run it from the root of the repository.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib as mpl

HEAD = """<!-- Made by `make docs` (scripts/gallery). Do not edit. -->

# Gallery

Every figure of `fe.pl`, on data that come with the repository, with the code that draws it. Figures are matplotlib's:
each function takes `ax=` (but those that make several), returns what it has drawn, and never shows it; `fe.pl.save`
writes it with fonts embedded. Code blocks begin with

```python
import anndata as ad
import numpy as np
import pandas as pd

import ferrocyte as fe
from ferrocyte import limma
```

"""


def main() -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--only", nargs="*", default=[], help="figures to draw, the page is left alone")
    arguments = parser.parse_args()
    mpl.use("agg")

    from book import page
    from bulk import BULK
    from cells import CELLS
    from models import MODELS
    from programs import PROGRAMS
    from tissue import TISSUE

    import ferrocyte as fe

    # Samples without cells of a type are told as warnings, here as everywhere.
    warnings.simplefilter("ignore", fe.FerrocyteWarning)
    sections = [CELLS, MODELS, BULK, PROGRAMS, TISSUE]
    folder = arguments.out / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    for figure in (figure for section in sections for figure in section.figures):
        if not arguments.only or figure.name in arguments.only:
            figure.save(folder / f"{figure.name}.png")
    if not arguments.only:
        (arguments.out / "gallery.md").write_text(HEAD + page(sections), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The gallery of figures: it shows all of them, and they look as they did.

`python scripts/gallery` draws them anew where a figure was meant to change; look at the difference before it is kept.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ferrocyte as fe

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "docs" / "gallery"

#: What is drawn; styles and files are no figures.
FIGURES = sorted(name for name in fe.pl.__all__ if callable(getattr(fe.pl, name)) and name not in ("save", "style"))

#: Root mean square of the difference of pixels, of 255: letters differ by less between builds of a font library.
TOLERANCE = 2.0


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """The gallery, drawn anew."""
    out = tmp_path_factory.mktemp("gallery")
    command = [sys.executable, str(ROOT / "scripts" / "gallery"), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_the_gallery_shows_every_figure():
    assert sorted(path.stem for path in KEPT.glob("*.png")) == FIGURES


def test_the_page_is_that_of_the_code(drawn):
    page = (drawn / "gallery.md").read_text(encoding="utf-8")
    assert page == (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8"), "run python scripts/gallery"
    for name in FIGURES:
        assert f"\n### {name}\n" in page


@pytest.mark.parametrize("name", FIGURES)
def test_figures_look_as_they_did(drawn, name):
    from matplotlib.testing.compare import compare_images

    difference = compare_images(str(KEPT / f"{name}.png"), str(drawn / "gallery" / f"{name}.png"), tol=TOLERANCE)
    assert difference is None, difference


def test_a_figure_that_differs_is_noticed(drawn, tmp_path):
    from matplotlib import pyplot as plt
    from matplotlib.testing.compare import compare_images

    kept = KEPT / "volcano.png"
    picture = plt.imread(kept)
    # A tenth of the picture is moved by three pixels.
    rows = slice(picture.shape[0] // 2, picture.shape[0] // 2 + picture.shape[0] // 5)
    picture[rows, 3:] = picture[rows, :-3].copy()
    other = tmp_path / "volcano.png"
    plt.imsave(other, picture)
    assert compare_images(str(kept), str(other), tol=TOLERANCE) is not None

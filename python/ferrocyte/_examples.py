"""A small study for the examples in docstrings and for tests: seeded, a few hundred cells, one gene that responds."""

from __future__ import annotations

import functools
import os
import tempfile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd


def small_study(n_genes: int = 40, n_donors: int = 6, cells_per_sample: int = 20, seed: int = 7) -> ad.AnnData:
    """Donors with a control and a stimulated sample each; ``gene1`` to ``gene3`` respond; two cell types.

    Counts are Poisson with a gamma sample effect; cells x genes, CSR, float32.
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    rng = np.random.default_rng(seed)
    n_samples = 2 * n_donors
    sample = np.repeat(np.arange(n_samples), cells_per_sample)
    donor, stimulated = sample // 2, sample % 2
    mean = rng.gamma(2.0, 1.0, n_genes) + 0.2
    effect = np.zeros(n_genes)
    effect[:3] = (1.2, 0.9, -0.8)
    between = rng.gamma(20.0, 0.05, (n_samples, n_genes))
    depth = rng.lognormal(0.0, 0.3, len(sample))
    counts = rng.poisson(depth[:, None] * mean * between[sample] * np.exp(np.outer(stimulated, effect)))
    obs = pd.DataFrame(
        {
            "donor": pd.Categorical([f"d{i + 1}" for i in donor]),
            "condition": pd.Categorical(np.where(stimulated, "stim", "ctrl"), categories=["ctrl", "stim"]),
            "sample": pd.Categorical(
                [f"d{i + 1}_{'stim' if s else 'ctrl'}" for i, s in zip(donor, stimulated, strict=True)]
            ),
            "cell_type": pd.Categorical(np.where(np.arange(len(sample)) % 3 == 0, "B", "T")),
            "age": 30.0 + 5.0 * donor,
        },
        index=[f"cell{i + 1}" for i in range(len(sample))],
    )
    var = pd.DataFrame(index=[f"gene{i + 1}" for i in range(n_genes)])
    return ad.AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs=obs, var=var)


@functools.cache
def small_file() -> str:
    """The small study as an .h5ad file in a folder that lives as long as the process."""
    folder = tempfile.TemporaryDirectory(prefix="ferrocyte-")
    _FOLDERS.append(folder)
    path = os.path.join(folder.name, "small.h5ad")
    small_study().write_h5ad(path)
    return path


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def small_counts(n_genes: int = 60, n_samples: int = 8, seed: int = 11) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts of genes × samples in two groups, a and b, and the table of samples; ``gene1`` and ``gene2`` differ."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    group = np.repeat(["a", "b"], [n_samples // 2, n_samples - n_samples // 2])
    mean = rng.gamma(1.5, 60.0, n_genes)[:, None] * rng.lognormal(0.0, 0.2, n_samples)
    mean[:2] *= np.where(group == "b", [[4.0], [0.25]], 1.0)
    counts = rng.poisson(mean * rng.gamma(20.0, 0.05, mean.shape))
    names = [f"s{j + 1}" for j in range(n_samples)]
    samples = pd.DataFrame({"group": pd.Categorical(group), "age": 30.0 + np.arange(n_samples)}, index=names)
    return pd.DataFrame(counts, index=[f"gene{i + 1}" for i in range(n_genes)], columns=names), samples


@functools.cache
def small_tenx() -> str:
    """A folder as Cell Ranger writes it: two cells, three genes of which two have one symbol, one antibody."""
    folder = tempfile.TemporaryDirectory(prefix="ferrocyte-")
    _FOLDERS.append(folder)
    texts = {
        "matrix.mtx": "%%MatrixMarket matrix coordinate integer general\n4 2 4\n1 1 5\n3 1 2\n2 2 4\n4 2 1\n",
        "features.tsv": "E1\tTP53\tGene Expression\nE2\tTP53\tGene Expression\n"
        "A1\tCD3\tAntibody Capture\nE3\tISG15\tGene Expression\n",
        "barcodes.tsv": "AAAC-1\nCCGT-1\n",
    }
    for name, text in texts.items():
        with open(os.path.join(folder.name, name), "w", encoding="utf-8") as file:
            file.write(text)
    return folder.name


@functools.cache
def small_samples() -> str:
    """The small study as two samples, control and stimulated: their table, in a folder beside them."""
    folder = tempfile.TemporaryDirectory(prefix="ferrocyte-")
    _FOLDERS.append(folder)
    study = small_study()
    lines = ["location\tsample\tbatch\tgroup\tmodality\ttaxa"]
    for i, condition in enumerate(("ctrl", "stim")):
        study[study.obs["condition"] == condition].write_h5ad(os.path.join(folder.name, f"{condition}.h5ad"))
        lines.append(f"{condition}.h5ad\t{condition}\tb{i + 1}\t{condition}\trna\thsa")
    path = os.path.join(folder.name, "samples.tsv")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path

"""Tissue.

Hypothalamus of mice (MERFISH; `data/spatial`), and simulated tissues with planted ecotypes.
"""

import anndata as ad
import numpy as np
from book import figure, section, source

import ferrocyte as fe


@source
def brain():
    """Hypothalamus of mice (MERFISH)."""
    return ad.read_h5ad("data/spatial/merfish_hypothalamus.h5ad")


@figure(brain)
def spatial(brain):
    """Cells of a tissue where they lie."""
    one = brain[brain.obs["sample"] == brain.obs["sample"].iloc[0]]
    return fe.pl.spatial(one, "cell_type", unit="µm")


@figure(brain)
def spatials(brain):
    """The same for several samples, columns and genes."""
    return fe.pl.spatials(brain, "cell_type", sample="sample", unit="µm", ncols=3)


@source
def cells():
    """Two tissues with four planted ecotypes."""
    return fe.ecotype.simulate(7, samples=2, cells=1200, genes=300, types=4, ecotypes=4, strength=1.5)


@source
def ensemble():
    """Models of the ecotypes, fifty runs on parts of the cells of the first tissue."""
    ours = cells()[cells().obs["Sample"] == "S1"].copy()
    return fe.ecotype.train_ensemble(
        ours, n_runs=50, downsample=300, nfeature_per_se=np.inf, sample="Sample", normalize="log1p_cp10k"
    )


@source
def others():
    """The other tissue, its ecotypes recovered."""
    others = cells()[cells().obs["Sample"] == "S2"].copy()
    fe.ecotype.recover(others, ensemble().models, normalize="log1p_cp10k").store(others, key="found")
    others.obs["truth"] = others.obs["SE"].astype(str).replace("nonSE", "NonSE")
    others.obs["CellState"] = [f"{a}_{b}" for a, b in zip(others.obs["found"], others.obs["CellType"], strict=True)]
    return others


@figure(ensemble)
def ecotype_signatures(ensemble):
    """Weights of the genes that mark each ecotype in a cell type."""
    return fe.pl.ecotype_signatures(ensemble, cell_type="type1", n=6)


@figure(ensemble)
def ecotype_stability(ensemble):
    """How surely genes mark them over the runs."""
    return fe.pl.ecotype_stability(ensemble, cell_type="type1", n=5)


@figure(others)
def ecotype_confusion(others):
    """What cells of each ecotype were taken for."""
    return fe.pl.ecotype_confusion(others, truth="truth", predicted="found")


@figure(others)
def ecotype_colocalization(others):
    """Which states are near one another, against cells that change places."""
    near = fe.ecotype.colocalization(others, n_permutations=200)
    return fe.pl.ecotype_colocalization(near, test=fe.ecotype.block_test(near.z, n_permutations=1000))


@figure(others)
def ecotype_abundance(others):
    """Shares of ecotypes over a tissue."""
    spots = fe.ecotype.abundance(others, ecotype="found", grid_size=30)
    return fe.pl.ecotype_abundance(fe.ecotype.smooth_abundance(spots, k=5), ncols=3, unit="µm")


@figure()
def ecotype_coassociation():
    """Which states rise and fall together over samples."""
    many = fe.ecotype.simulate(3, samples=12, cells=400, genes=60, types=3, ecotypes=3)
    many.obs["CellState"] = [f"{a}_{b}" for a, b in zip(many.obs["SE"], many.obs["CellType"], strict=True)]
    index = fe.ecotype.coassociation(many)
    return fe.pl.ecotype_coassociation(index)


TISSUE = section(globals())

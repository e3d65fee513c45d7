"""Which genes respond to interferon beta, in which cell type? Blood of 8 donors, each untreated and treated.

4,470 cells of Kang et al. (2018), doi 10.1038/nbt.4042. A test that takes cells for replicates would ask whether
*these* donors' cells differ; the question is whether donors do. So each cell type has its own mixed model, in which
donors pair the two conditions and the sample (one donor under one condition) is the unit that was treated.

    python demo/kang_ifnb.py [--out DIR] [--page PAGE.html] [--check]

writes the table of all tests, the figures, and one page on which cells, tests and genes can be looked at. With --check
it fails unless the genes that interferon is known to switch on come first in every cell type.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt

import ferrocyte as fe

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data" / "kang_ifnb.h5ad"
FORMULA = "~ log(libsize) + donor + condition + (1 | sample)"

# At least five of these must be among the first twenty genes of every cell type.
KNOWN = ("ISG15", "ISG20", "IFIT1", "IFIT3", "IFI6", "LY6E", "MX1")
# Genes that interferon is known to induce are marked where they come up.
INDUCED = re.compile(
    r"ISG\d|IFI\d|IFIT|IRF7|LY6E|MX[12]$|OAS|RSAD2|APOBEC3A|BST2|CCL8|CXCL1[01]|EPSTI1|HERC5|NT5C3A|PLSCR1|SAMD9L|STAT1"
    r"|TNFSF10|UBE2L6|XAF1"
)

TITLE = "Which genes respond to interferon beta, in which cell type?"

FDR = 0.05
FEW_CELLS = 5


def main() -> int:
    """Fit, test, print, draw; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "demo", help="folder for table and figures")
    parser.add_argument("--page", type=Path, default=ROOT / "report.html", help="where the page goes")
    parser.add_argument("--check", action="store_true", help="fail unless interferon genes lead in every cell type")
    arguments = parser.parse_args()
    start = time.perf_counter()

    adata = ad.read_h5ad(DATA)
    with warnings.catch_warnings():
        # It warns of samples without cells; `cautions` below says so, and more.
        warnings.simplefilter("ignore", fe.FerrocyteWarning)
        fit = fe.lmm.fit(adata, FORMULA, groups="cell_type", min_cells=10)
    table = fit.contrast("condition", "stim", "ctrl")
    fitted = time.perf_counter()

    summary = summarise(adata.obs, table)
    report(adata, table, summary)
    write(arguments.out, fit, table)
    failed = check(table) if arguments.check else []
    page = fe.report(study(adata, fit, table), arguments.page, title=TITLE, clusters="cell_type", samples="sample")
    print(f"\ntable    {arguments.out / 'tests.tsv.gz'}\nfigures  {arguments.out}")
    print(f"seconds  {time.perf_counter() - start:.1f}, of which reading, fitting and testing {fitted - start:.1f}")
    for line in failed:
        print(f"FAILED   {line}", file=sys.stderr)
    print(page)
    return 1 if failed else 0


@dataclass
class CellType:
    """How much stands behind a cell type, what was found, what to be careful about."""

    name: str
    cells: int
    donors: int
    samples: int
    genes: int
    first: str
    cautions: str


def summarise(obs: pd.DataFrame, table: pd.DataFrame) -> list[CellType]:
    """Each cell type in a line."""
    summary = []
    for name in obs["cell_type"].cat.categories:
        cells = obs[obs["cell_type"] == name]
        tests = table[table["group"] == name]
        summary.append(
            CellType(
                name,
                cells=len(cells),
                donors=cells["donor"].nunique(),
                samples=cells["sample"].nunique(),
                genes=int((tests["adj_p_value"] < FDR).sum()),
                first=" ".join(f"{gene}*" if INDUCED.match(gene) else gene for gene in tests["gene"].head(8)),
                cautions=cautions(cells),
            )
        )
    return summary


def cautions(cells: pd.DataFrame) -> str:
    """Where few cells or donors stand behind a cell type, in words; empty if nowhere."""
    per_sample = cells["sample"].value_counts()
    present = per_sample[per_sample > 0]
    conditions = cells.groupby("donor", observed=True)["condition"].nunique()
    unpaired = conditions.index[conditions < 2]
    few = int((present < FEW_CELLS).sum())
    found = []
    if len(unpaired):
        absent = ", ".join(sorted(per_sample.index[per_sample == 0]))
        found.append(
            f"no cells in {absent}, so that {len(cells['donor'].unique()) - len(unpaired)} donors are compared"
        )
    if few:
        found.append(f"fewer than {FEW_CELLS} cells in {few} of {len(present)} samples")
    return "; ".join(found)


def report(adata: ad.AnnData, table: pd.DataFrame, summary: list[CellType]) -> None:
    """Print what was asked and what came out."""
    obs = adata.obs
    n_cells, n_genes = adata.shape
    print(f"data     {n_cells:,} cells x {n_genes:,} genes; {obs['donor'].nunique()} donors, each ctrl and stim")
    print(f"model    {FORMULA}, in each cell type")
    print(f"test     {table['contrast'].iloc[0]}, unit: {table.attrs['units']['estimate']}\n")
    print(f"{'cell type':18} {'cells':>6} {'donors':>6} {'samples':>7} {'FDR < 5 %':>9}  first genes (* interferon's)")
    for row in summary:
        print(f"{row.name:18} {row.cells:6,} {row.donors:6} {row.samples:7} {row.genes:9,}  {row.first}")
        if row.cautions:
            print(f"{'':18} careful: {row.cautions}")


def write(out: Path, fit: fe.lmm.Fit, table: pd.DataFrame) -> None:
    """Write the table and the figures."""
    out.mkdir(parents=True, exist_ok=True)
    # Without the time of writing in it, the same table is the same file.
    table.to_csv(out / "tests.tsv.gz", sep="\t", index=False, compression={"method": "gzip", "mtime": 0})
    mpl.use("Agg")
    for name, figure in figures(fit, table):
        fe.pl.save(figure, out / f"{name}.png")
    plt.close("all")


def study(adata: ad.AnnData, fit: fe.lmm.Fit, table: pd.DataFrame) -> ad.AnnData:
    """The cells with all that the page shows: quality, a layout, markers of cell types, the tests."""
    cells = adata.copy()
    fe.pp.calculate_qc_metrics(cells, inplace=True)
    fe.pp.normalize_total(cells, target_sum=1e4)
    fe.pp.log1p(cells)
    fe.pp.highly_variable_genes(cells, n_top_genes=2000)
    fe.pp.pca(cells, n_comps=30)
    fe.pp.neighbors(cells)
    fe.tl.umap(cells)
    fe.tl.rank_genes_groups(cells, "cell_type")
    fit.store(cells, "interferon", tests=table)
    return cells


def figures(fit: fe.lmm.Fit, table: pd.DataFrame) -> list[tuple[str, plt.Figure]]:
    """Name and figure of what one wants to look at."""
    types = table["group"].cat.categories
    with fe.pl.style():
        histograms, panels = plt.subplots(2, 4, figsize=(10.5, 4.8), layout="constrained")
    for ax, cell_type in zip(panels.flat, types, strict=True):
        fe.pl.p_histogram(table, group=cell_type, title=cell_type, ax=ax)
    with fe.pl.style():
        genes, panels = plt.subplots(1, 2, figsize=(8.6, 3.7), layout="constrained")
    for ax, cell_type in zip(panels, ("CD14+ Monocytes", "Megakaryocytes"), strict=True):
        fit.plot_gene("ISG15", group=cell_type, ax=ax)
    return [
        # Every cell type: size of the effect against the evidence for it.
        ("volcano", fe.pl.volcano_grid(table)),
        # The first five genes of each cell type, in all of them.
        ("top", fe.pl.heatmap_top(table).figure),
        # ISG15 where many cells stand behind the test, and where few do.
        ("isg15", genes),
        # p-values against what chance would give; lambda is the inflation of the median.
        ("qq", fe.pl.qq(table).figure),
        # The dashed line is chance, spikes are genes that very few cells show.
        ("p_histogram", histograms),
    ]


def check(table: pd.DataFrame) -> list[str]:
    """The cell types in which fewer than five of the known genes are among the first twenty, with what is missing."""
    failed = []
    for cell_type in table["group"].cat.categories:
        first = set(table.loc[table["group"] == cell_type, "gene"].head(20))
        absent = [gene for gene in KNOWN if gene not in first]
        if len(KNOWN) - len(absent) < 5:
            failed.append(f"{cell_type}: not among the first 20 genes: {', '.join(absent)}")
    if not failed:
        print(f"\ncheck    of {', '.join(KNOWN)} at least 5 are among the first 20 genes of every cell type")
    return failed


if __name__ == "__main__":
    sys.exit(main())

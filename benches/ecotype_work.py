"""The work of `benches/ecotype.py`, by ferrocyte or by pyspatialecotyper, in a process of its own.

`python ecotype_work.py PROGRAM TASK FOLDER REPEATS [MODE]` reads a study or networks from FOLDER, does the task several
times, and prints as JSON: the least seconds of processor and of wall time, the peak memory of the process in bytes, and
what the result is compared by.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

WORDS = {"CellType": str, "SE": str, "Sample": str}


def ours(task: str, folder: Path, mode: str) -> Callable[[], Any]:
    """A task of ferrocyte, on one thread."""
    import ferrocyte as fe

    words = {"n_threads": 1, "progress": False}
    if task == "fuse":
        networks = [pd.DataFrame(view.toarray()) for view in views(folder)]
        return lambda: fe.ecotype.fuse(networks, max_memory="14GiB", **words)
    study = ad.read_h5ad(folder / "study.h5ad")
    if task == "train":
        how = {"sample": "Sample", "normalize": "log1p_cp10k", "mode": mode}
        return lambda: fe.ecotype.train(study, **how, **words)
    models = fe.ecotype.Models.read(folder / "models")
    return lambda: fe.ecotype.recover(study, models, normalize="log1p_cp10k", mode=mode, **words)


def peer(task: str, folder: Path, mode: str) -> Callable[[], Any]:
    """A task of pyspatialecotyper, by what its documentation says; values are normalised and dense before."""
    import pyspatialecotyper as other

    if task == "fuse":
        networks = views(folder)
        return lambda: other.snf2(networks, ncores=1)
    study = ad.read_h5ad(folder / "study.h5ad")
    counts = study.X.toarray().T.astype(np.float64)
    logs = np.log1p(counts / counts.sum(axis=0) * 10_000)
    obs, genes, cells = study.obs.astype(WORDS), list(study.var_names), list(study.obs_names)
    if task == "train":
        how = {"gene_names": genes, "Sample": "Sample", "ncores": 1, "verbose": False}
        return lambda: other.nmf_generate_w_list(logs, obs, **how)
    import ferrocyte as fe

    tables = fe.ecotype.Models.read(folder / "models").items()
    models = {name: (table.to_numpy(), list(table.index), list(table.columns)) for name, table in tables}
    types = list(obs["CellType"])
    how = {"min_score": 0.0, "ncores": 1, "verbose": False}
    return lambda: other.recover_se(logs, genes, cells, types, models, **how)


def views(folder: Path) -> list[sparse.csc_matrix]:
    """The networks of a folder."""
    return [sparse.load_npz(path) for path in sorted(folder.glob("view_*.npz"))]


def shown(task: str, result: Any, folder: Path) -> float:
    """One number of the result, by which programs are compared."""
    if task == "fuse":
        values = result.toarray() if sparse.issparse(result) else np.asarray(result)
        return float(np.abs(values).sum())
    if task == "train":
        weights = {name: one[0] if isinstance(one, tuple) else one.to_numpy() for name, one in result.items()}
        return float(sum(table.sum() for table in weights.values()))
    table = result.table if hasattr(result, "table") else result
    truth = ad.read_h5ad(folder / "study.h5ad", backed="r").obs["SE"].astype(str).str.lower().to_numpy()
    return float((table["SE"].astype(str).str.lower().to_numpy() == truth).mean())


def main() -> None:
    """Measure and print."""
    program, task, place, repeats = sys.argv[1:5]
    mode = sys.argv[5] if len(sys.argv) > 5 else "exact"
    folder = Path(place)
    warnings.simplefilter("ignore")
    run = {"ferrocyte": ours, "pyspatialecotyper": peer}[program](task, folder, mode)
    least, result = [np.inf, np.inf], None
    for _ in range(int(repeats)):
        cpu, wall = time.process_time(), time.perf_counter()
        result = run()
        least = [
            min(one, other)
            for one, other in zip(least, (time.process_time() - cpu, time.perf_counter() - wall), strict=True)
        ]
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = shown(task, result, folder)
    print(json.dumps({"cpu": least[0], "wall": least[1], "memory": memory, "shown": found}))


if __name__ == "__main__":
    main()

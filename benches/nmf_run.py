"""A whole run of consensus NMF for `benches/nmf.py`, by ferrocyte or by the package cnmf, in a process of its own.

`python nmf_run.py PROGRAM COUNTS FOLDER GENES REPLICATES K [K ...]` prepares a study (.h5ad), makes the replicates,
combines them, and finds the consensus of every k, by the same verbs of either program, on one thread. Prints as JSON
seconds of processor time of each step, the peak memory of the process in bytes, and the version.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
import resource
import sys
import time
import warnings
from pathlib import Path

MODULES = {"ferrocyte": "ferrocyte.compat.cnmf", "cnmf": "cnmf"}


def peak() -> int:
    """Bytes of this process at most; `getrusage` would tell those of its parent where it had more."""
    status = Path("/proc/self/status")
    if status.exists() and (held := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return 1024 * int(held[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Run, and print."""
    program, counts, folder = sys.argv[1:4]
    genes, replicates, *ks = map(int, sys.argv[4:])
    warnings.simplefilter("ignore")
    # cnmf loads what draws figures when it is imported, ours when a figure is drawn: outside the clock for both.
    importlib.import_module("matplotlib.pyplot")
    run = importlib.import_module(MODULES[program]).cNMF(output_dir=folder, name=program)
    steps = {
        "prepare": lambda: run.prepare(counts, ks, n_iter=replicates, seed=14, num_highvar_genes=genes),
        "factorize": lambda: run.factorize(worker_i=0, total_workers=1),
        "combine": lambda: run.combine(),
        "k selection": lambda: run.k_selection_plot(close_fig=True),
        "consensus": lambda: [run.consensus(k, density_threshold=0.5, show_clustering=False) for k in ks],
    }
    seconds = {}
    for name, step in steps.items():
        began = time.process_time()
        step()
        seconds[name] = time.process_time() - began
    found = {"seconds": seconds, "memory": peak(), "version": importlib.metadata.version(program)}
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()

"""The programs that measure run, and say what they could not measure."""

from __future__ import annotations

import subprocess
import sys

import pytest
from common import ROOT

BENCHES = ROOT / "benches"


@pytest.mark.slow
def test_speed_of_limma() -> None:
    command = [sys.executable, str(BENCHES / "limma.py"), "--quick", "--only", "S", "D"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    time = done.stdout.split("## Time")[1].split("##")[0]
    works = [line.split("|") for line in time.splitlines() if line.startswith(("| S:", "| D:"))]
    assert len(works) >= 10
    # Peers may be absent, ours are not.
    assert all(cells[2].strip() and cells[3].strip() for cells in works), time
    assert "ferrocyte: " not in done.stdout.split("## Not measured")[1]


@pytest.mark.slow
def test_speed_of_cells() -> None:
    command = [sys.executable, str(BENCHES / "cells.py"), "--quick", "--only", "qc", "pca", "leiden", "t_test", "whole"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| 3k |")]
    assert len(steps) == 8
    assert all(cells[3].strip() for cells in steps), done.stdout
    assert "ferrocyte: " not in done.stdout.split("## Not measured")[1]


@pytest.mark.slow
def test_speed_of_files() -> None:
    command = [sys.executable, str(BENCHES / "io.py"), "--quick", "--large"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ferrocyte: " not in done.stdout.split("## Not measured")[1]
    assert "finds" not in done.stdout


@pytest.mark.slow
def test_parity() -> None:
    command = [sys.executable, str(BENCHES / "parity.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout.split("## What does not pass")[-1] + done.stderr
    assert "| `e_bayes` |" in done.stdout


@pytest.mark.slow
def test_speed_of_factorisations() -> None:
    command = [sys.executable, str(BENCHES / "nmf.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| T |")]
    assert len(rows) == 6 + 4
    assert all(float(cells[4]) > 0 for cells in rows[:6]), done.stdout
    assert "MiB at most" in done.stdout


@pytest.mark.slow
def test_speed_of_ecotypes() -> None:
    command = [sys.executable, str(BENCHES / "ecotype.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:2] == "| "]
    from_file = [row for row in rows if row[0] in ("one W list", "ensemble of 50")]
    assert len(from_file) == 4
    assert all(row[2].endswith("s") and row[4].endswith("MiB") for row in from_file), done.stdout
    beside = [row for row in rows if row[0].startswith(("one W list,", "models", "recovery,"))]
    fused = [row for row in rows if row[0].isdigit()]
    assert (len(beside), len(fused)) == (6, 2)
    # The peer may be absent, ours is not; where both are, they fuse to the same.
    assert all(row[2].endswith("s") for row in beside), done.stdout
    assert all(row[1].endswith("s") for row in fused), done.stdout
    assert all(float(row[6]) < 1e-9 for row in fused if row[6]), done.stdout

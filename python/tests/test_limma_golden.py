"""The reference cases of limma, through the adapter that the checker of the cases takes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from common import DATA, GOLDEN

FOLDER = GOLDEN / "limma"
ADAPTER = Path(__file__).parent / "golden" / "adapter_limma.py"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/case.json"))


@pytest.fixture(scope="module")
def checker():
    spec = importlib.util.spec_from_file_location("check_cases", FOLDER / "check_cases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", CASES)
def test_case(checker, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["check_cases.py", str(FOLDER), "--adapter", str(ADAPTER), "--shared", str(DATA), "--case", case]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as outcome:
        checker.main()
    told = capsys.readouterr().out
    assert outcome.value.code == 0, told
    assert " 0 skipped" in told, told
    assert not told.strip().startswith("0 passed"), told

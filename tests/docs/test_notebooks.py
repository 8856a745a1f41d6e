"""Notebooks run from their first cell to their last, in a folder of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))
# in a process of its own: a client of Jupyter leaves sockets to the garbage collector
EXECUTE = """
import sys, nbformat, nbclient
page = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(page, timeout=300, kernel_name="python3").execute()
nbformat.write(page, sys.argv[2])
"""


def texts(cell: dict[str, Any]) -> str:
    """What a cell shows, as text."""
    outputs = [
        one.get("text") or one.get("data", {}).get("text/plain", "") for one in cell["outputs"]
    ]
    return "\n".join("".join(one) for one in outputs)


def execute(notebook: Path, folder: Path) -> list[dict[str, Any]]:
    """The code cells with what they show."""
    done = folder / "done.ipynb"
    command = [sys.executable, "-c", EXECUTE, str(notebook), str(done)]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr[-3000:]
    return [cell for cell in json.loads(done.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_a_hospital_becomes_a_report(tmp_path: Path) -> None:
    cells = execute(NOTEBOOKS[0], tmp_path)
    assert "patients shared between splits: 0" in texts(cells[2])
    assert "image/svg+xml" in cells[3]["outputs"][0]["data"]
    assert all(name in texts(cells[6]) for name in ("network", "findings", "flag:has_st_eleva"))
    assert (tmp_path / "work" / "report" / "report.html").is_file()
    assert "may leave" in texts(cells[-1])


@pytest.mark.slow
def test_predictions_from_elsewhere_are_judged(tmp_path: Path) -> None:
    cells = execute(NOTEBOOKS[1], tmp_path)
    refused = texts(cells[2])
    assert "lack 1 of" in refused
    assert "outside [0, 1]" in refused
    widths = [float(line.split("interval ")[1].split()[0]) for line in texts(cells[5]).splitlines()]
    assert widths[0] > widths[1]  # patients are fewer than ECGs
    assert (tmp_path / "judged" / "report.html").is_file()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)

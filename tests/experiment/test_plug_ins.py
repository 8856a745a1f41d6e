"""What `acsbench new` writes is built as a wheel, installed, and passes its own test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from acsbench.cli import app
from acsbench.errors import InputError
from acsbench.experiment.plug_ins import new_plug_in

OUTSIDE = "lint.isort.known-third-party = ['acsbench']"
KINDS = ("model", "source", "metric")


def run(*command: str, cwd: Path, path: Path | None = None) -> str:
    inherited = os.environ.get("PYTHONPATH", "")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(path or ""), inherited]))}
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_start_of_each_kind_works_from_its_own_wheel(tmp_path: Path) -> None:
    wheels, installed = tmp_path / "wheels", tmp_path / "installed"
    folders = [new_plug_in(kind, f"my-{kind}", tmp_path / f"a {kind}") for kind in KINDS]
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
    built = (*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels))
    run(*built, *map(str, folders), cwd=tmp_path)
    found = [str(one) for one in sorted(wheels.glob("*.whl"))]
    assert len(found) == len(KINDS)
    run(*pip, "install", "--no-deps", "--target", str(installed), *found, cwd=tmp_path)
    for kind, folder in zip(KINDS, folders, strict=True):
        listed = run("-m", "acsbench", "list", f"{kind}s", cwd=tmp_path, path=installed)
        assert f"my_{kind}" in listed.split()
        run("-m", "pytest", "-q", "tests", cwd=folder, path=installed)


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_written_by_the_project_s_own_rules(kind: str, tmp_path: Path) -> None:
    folder = new_plug_in(kind, "mine", tmp_path / "mine")
    config = Path(__file__).parents[2] / "pyproject.toml"
    ruff = ("-m", "ruff", "check", "--config", str(config), "--config", OUTSIDE)
    run(*ruff, "--extend-ignore", "INP001", "src", cwd=folder)
    run("-m", "ruff", "format", "--check", "--config", str(config), ".", cwd=folder)


def test_the_command_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["new", "metric", "my-index"])
    assert told.exit_code == 0
    assert (tmp_path / "my_index" / "pyproject.toml").is_file()
    assert "my_index" in told.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["my_index"]


@pytest.mark.parametrize(
    ("kind", "name", "finding"),
    [
        ("modell", "mine", "Did you mean 'model'"),
        ("model", "resnet18", "is there already"),
        ("model", "3d", "cannot name a module"),
        ("model", "class", "cannot name a module"),
    ],
)
def test_what_cannot_be_made_is_told(kind: str, name: str, finding: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=finding):
        new_plug_in(kind, name, tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there already"):
        new_plug_in("model", "mine", tmp_path)

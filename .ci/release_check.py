"""Build the release as it would be published, and try it where nothing else is installed.

``make release-check``: wheel and sdist, built twice and compared; the core alone in a fresh
environment of each Python that is found; a lock file with hashes, a bill of materials and an audit
of what the core brings. Everything is left in ``build/release``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "release"
PYTHONS = ("3.11", "3.12", "3.13")
CONFIG = """
name = "smoke"

[source]
name = "synthetic"
path = "hospital"
n_patients = 120

[[models]]
name = "logistic"
model = "logistic"
task = "acs"

[models.parameters]
features = ["has_st_eleva", "has_depress", "has_twave_inver", "has_twave_abnormal"]
"""


def run(*command: str | Path, cwd: Path = ROOT, **more: str) -> str:
    """Run a command; its output is told where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> dict[str, str]:
    """Wheel and sdist, and their SHA-256."""
    epoch = run("git", "log", "-1", "--format=%ct").strip()
    command = (sys.executable, "-m", "hatchling", "build", "-d", folder)
    run(*command, SOURCE_DATE_EPOCH=epoch)
    files = sorted(folder.iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def found_pythons() -> dict[str, str]:
    """Each Python of this machine that the package should run on, by its version."""
    found = {}
    for version in PYTHONS:
        here = [shutil.which(f"python{version}")]
        here += map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        works = [one for one in here if one and Path(one).exists()]
        if works:
            found[version] = works[-1]
    return found


def megabytes(folder: Path) -> float:
    """Size of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def try_core(python: str, wheel: Path, folder: Path) -> str:
    """Install the wheel alone, and go from raw tables to a report."""
    run(python, "-m", "venv", folder / "env")
    bare = megabytes(folder / "env")
    inside = folder / "env" / "bin"
    run(inside / "pip", "install", "--quiet", "--no-compile", wheel)
    size = megabytes(folder / "env") - bare
    work = folder / "a folder with ä space"
    work.mkdir()
    (work / "smoke.toml").write_text(CONFIG, encoding="utf-8")
    run(inside / "acsbench", "run", "smoke.toml", cwd=work)
    names = run(inside / "acsbench", "list", "models", cwd=work).split()
    report = work / "runs" / "smoke" / "report.html"
    assert report.is_file(), "no report"
    run(inside / "python", "-c", "import importlib.util as u; assert u.find_spec('torch') is None")
    return f"{size:.0f} MB installed; {len(names)} models listed; report of a run written"


def write_lock(pip: Path, wheel: Path) -> int:
    """Everything the core brings, with hashes, for ``pip install --require-hashes -r``."""
    told = run(pip, "install", "--quiet", "--ignore-installed", "--dry-run", "--report", "-", wheel)
    lines = []
    for one in json.loads(told)["install"]:
        name, version = one["metadata"]["name"], one["metadata"]["version"]
        if name == "acsbench":
            continue
        (sha256,) = [one["download_info"]["archive_info"]["hashes"]["sha256"]]
        lines.append(f"{name}=={version} --hash=sha256:{sha256}")
    (OUT / "core.lock").write_text("\n".join(sorted(lines, key=str.lower)) + "\n", encoding="utf-8")
    return len(lines)


def audit(folder: Path, python: str, installed: Path) -> str:
    """Look for known faults in what the core brings, and write the bill of materials."""
    run(python, "-m", "venv", folder / "tools")
    run(folder / "tools" / "bin" / "pip", "install", "--quiet", "pip-audit")
    tool = folder / "tools" / "bin" / "pip-audit"
    site = next(installed.glob("lib/python*/site-packages"))
    # pip and setuptools belong to the environment, not to us; acsbench is not published yet
    ours = [p for p in site.glob("*.dist-info") if not p.name.startswith(("pip-", "setuptools-"))]
    alone = folder / "site"
    alone.mkdir()
    for path in ours:
        if not path.name.startswith("acsbench"):
            shutil.copytree(path, alone / path.name)
    run(tool, "--path", alone, "--format", "cyclonedx-json", "--output", OUT / "core.cdx.json")
    return f"no known fault in {len(list(alone.iterdir()))} packages; bill of materials written"


def main() -> None:
    """Do all of it, and say what came out."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made, again = build(OUT), build(folder / "again")
        assert made == again, f"two builds differ: {made} {again}"
        (wheel,) = OUT.glob("*.whl")
        print(f"built twice, the same bytes: {', '.join(made)}")
        pythons = found_pythons()
        for version, python in pythons.items():
            (folder / version).mkdir()
            print(f"Python {version}: {try_core(python, wheel, folder / version)}", flush=True)
        first, python = next(iter(pythons.items()))
        env = folder / first / "env"
        print(f"core.lock: {write_lock(env / 'bin' / 'pip', wheel)} packages with hashes")
        print(f"pip-audit: {audit(folder, python, env)}")
    print(f"All of it lies in {OUT.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()

"""A browser and axe-core for tests: where they are missing a test skips, and never in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

__all__ = ["BROWSERS", "fetch_axe", "needed"]

AXE = "axe-core@4.11.0"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def needed(names: tuple[str, ...], what: str) -> str:
    """The first of these programs that is there."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has to run this test, and there is no {what}")
        pytest.skip(f"no {what} here")
    return found


def fetch_axe(folder: Path) -> str:
    """The source of axe-core."""
    npm = needed(("npm",), "npm to fetch axe-core with")
    fetched = subprocess.run(
        [npm, "pack", AXE, "--silent"], cwd=folder, capture_output=True, text=True, check=False
    )
    if fetched.returncode and os.environ.get("CI") != "true":
        pytest.skip(f"axe-core cannot be fetched: {fetched.stderr.strip()[-200:]}")
    assert fetched.returncode == 0, fetched.stderr
    with tarfile.open(folder / fetched.stdout.strip().splitlines()[-1]) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()

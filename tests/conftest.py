"""What every test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# a shared machine may be slow for a moment; a hang is caught by the test's own limits
settings.register_profile("acsbench", deadline=None)
settings.load_profile("acsbench")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the real ECGs and goldens: `ACSBENCH_SHARED`, or `shared` beside the checkout.

    Tests that use it skip where it is absent, and never in CI.
    """
    default = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("ACSBENCH_SHARED", default))
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has to run this test, and {folder} is not there")
        pytest.skip("the shared ECGs and goldens are not here")
    return folder

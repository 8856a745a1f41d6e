"""What every test shares."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

# a shared machine may be slow for a moment; a hang is caught by the test's own limits
settings.register_profile("acsbench", deadline=None)
settings.load_profile("acsbench")

LONGEST = {
    "test_planted_signal.py",
    "test_road.py",
    "test_shuffled_labels.py",
    "test_pretraining.py",
}
"""Files of more than a minute."""


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take longest, so that none of them ends a run alone on one core.

    Needs ``--no-loadscope-reorder``: by itself xdist starts with the files of most tests.
    """
    n_slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (item.path.name not in LONGEST, n_slow[item.path] == 0))

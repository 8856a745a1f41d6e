from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from twelve_leads import make_store

from acsbench.store import WaveformStore


@pytest.fixture(scope="session")
def tiny(shared: Path) -> Path:
    """Folder of the tiny golden network and its files."""
    return shared / "golden" / "hubert" / "tiny_a"


@pytest.fixture(scope="session")
def outputs(tiny: Path) -> dict[str, np.ndarray]:
    """What the reference classes gave: see the goldens' README."""
    return dict(np.load(tiny / "outputs.npz"))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> WaveformStore:
    return make_store(tmp_path_factory.mktemp("store"))

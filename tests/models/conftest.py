from __future__ import annotations

import pytest
from planted import make_store

from acsbench.store import WaveformStore


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> WaveformStore:
    return make_store(tmp_path_factory.mktemp("store"))

from __future__ import annotations

import os
from pathlib import Path

import pytest
from crash import crash


@pytest.mark.slow
def test_forty_kills_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    """Seeds vary; a failure prints its own."""
    found = crash(tmp_path, kills=40, seed=int.from_bytes(os.urandom(4)))
    assert found["broken"] == [], found
    assert found["acknowledged"] > 0

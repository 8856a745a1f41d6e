from __future__ import annotations

import subprocess
import sys

import pytest

import acsbench as ab


@pytest.mark.parametrize("name", ab.__all__)
def test_every_public_name_loads_and_is_documented(name: str) -> None:
    thing = getattr(ab, name)
    assert thing is ab.TASKS or thing.__doc__


def test_importing_acsbench_loads_no_stage_and_no_heavy_library() -> None:
    code = (
        "import sys, acsbench; "
        "print([m for m in ('torch', 'polars', 'pydantic', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        _ = ab.evalute

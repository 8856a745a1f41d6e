"""Python that how-to pages show keeps the contracts that they speak of."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from acsbench import registry
from acsbench.tasks import TASKS
from acsbench.testing import check_metric, check_recipe

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-your-own.md"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page's blocks define, as the module that its entry points name."""
    module = ModuleType("our_package")
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    for block in code[:-1]:  # the last one runs the checks
        exec(compile(block, str(PAGE), "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "our_package", module)
    pattern = r'\[project.entry-points."acsbench.(\w+)"\]\n(\w+) = "(our_package:\w+)"'
    for kind, name, place in re.findall(pattern, PAGE.read_text(encoding="utf-8")):
        monkeypatch.setitem(registry.BUILT_INS[kind], name, place)
    return vars(module)


def test_the_metric_and_the_recipe_pass_their_checks(package: dict[str, Any]) -> None:
    check_metric("youden")
    check_recipe("chest_leads", seconds=5)


def test_the_task_is_found_under_its_name(package: dict[str, Any]) -> None:
    assert TASKS["early_acs"] is package["EARLY_ACS"]
    assert TASKS["early_acs"].unit == "encounter"

"""Pages that are walked run as they stand, and print what they show.

`docs/walk.py` has the rule of what may differ.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
PAGES = [*TUTORIALS, ROOT / "docs" / "how-to" / "use-a-cluster.md"]
WALK = runpy.run_path(str(ROOT / "docs" / "walk.py"))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_prints_what_it_shows(page: Path, tmp_path: Path) -> None:
    wrong = []
    for block in WALK["blocks"](page.read_text(encoding="utf-8")):
        printed = WALK["run"](block, tmp_path)
        if block.shown is not None:
            found = WALK["differences"](block.shown, printed)
            wrong += [f"{page.name}, block of line {block.line}: {one}" for one in found]
    assert wrong == []


@pytest.mark.parametrize(
    ("shown", "printed", "n_findings"),
    [
        ("all 0.974 (0.8-0.9)  7\n", "all   0.951 (0.8-0.9) 7\n", 0),
        ("auroc 0.974\n", "auroc 0.874\n", 1),
        ("49 records\n", "48 records\n", 1),
        ("one\ntwo\n", "one\n", 1),
        ("one\n", "one\ntwo\n", 1),
        ("one\n...\nthree\n", "one\ntwo\ntwo\nthree\n", 0),
        ("one\n...\nfour\n", "one\ntwo\nthree\n", 2),
        ("...\n", "anything\nat all\n", 0),
    ],
    ids=lambda value: repr(value).replace("\\n", "|"),
)
def test_what_may_differ(shown: str, printed: str, n_findings: int) -> None:
    assert len(WALK["differences"](shown, printed)) == n_findings


def test_a_page_s_blocks_are_found_with_their_outputs() -> None:
    page = """
```shell
echo one
```

```text
one
```

<!-- not run: it needs a GPU -->
```shell
false
```

```text
never compared
```

```python
print(2)
```
Words between.
```text
not an output
```
"""
    found = list(WALK["blocks"](page))
    assert [(one.body, one.shown, one.line) for one in found] == [
        ("echo one\n", "one\n", 2),
        ("print(2)\n", None, 19),
    ]


def test_a_block_that_fails_is_an_error_with_its_line(tmp_path: Path) -> None:
    (block,) = WALK["blocks"]("\n\n```shell\necho before\nfalse\necho after\n```\n")
    with pytest.raises(RuntimeError, match=r"line 3 ended with 1:(.|\n)*\n\nbefore\n$"):
        WALK["run"](block, tmp_path)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_shows_outputs(page: Path) -> None:
    found = list(WALK["blocks"](page.read_text(encoding="utf-8")))
    assert sum(bool(one.shown and one.shown.strip()) for one in found) >= 5

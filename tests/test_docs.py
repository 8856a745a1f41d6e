"""Certain things are documented, and what the documentation says is still so."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import acsbench

ROOT = Path(__file__).parents[1]
PAGES = {path: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/**/*.md"))}
PAGES |= {ROOT / name: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md")}


@pytest.mark.slow
@pytest.mark.parametrize("page", ["commands", "python"])
def test_a_page_made_from_the_code_is_what_the_code_says(page: str) -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert generate[f"{page}_page"]() == PAGES[ROOT / "docs" / "reference" / f"{page}.md"], (
        "the code has changed; run 'make reference'"
    )


def test_every_public_name_is_documented() -> None:
    text = "\n".join(PAGES.values())
    missing = [name for name in acsbench.__all__ if not re.search(rf"\b{name}\b", text)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page])
    assert [link for link in links if not (page.parent / link).exists()] == []

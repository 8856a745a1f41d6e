"""What `evaluate` emits is what docs/reference/results.md says."""

from __future__ import annotations

from pathlib import Path

from acsbench.evaluation.config import SECTIONS, EvaluateConfig
from acsbench.evaluation.further_tables import FURTHER_TABLES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "results.md"


def test_every_further_table_is_documented_with_its_columns() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, columns in FURTHER_TABLES.items():
        assert f"| `{name}` |" in text
        assert f"| {columns} |" in text, name


def test_every_key_and_section_is_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in (*EvaluateConfig.model_fields, *SECTIONS):
        assert f"`{name}`" in text, name

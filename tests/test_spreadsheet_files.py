"""Tables and settings as spreadsheets and editors on Windows write them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from acsbench.errors import AcsbenchError, TableError
from acsbench.experiment.config import read_experiment
from acsbench.server.card import read_card
from acsbench.server.config import CONFIG_NAME, load_config
from acsbench.sources.description import read_description
from acsbench.tables.files import read_table

ROOT = Path(__file__).parents[1]
BOM = b"\xef\xbb\xbf"
TABLE = b"ecg_id,sex,label\r\n001,m\xc3\xa4nnlich,1\r\n002,weiblich,0\r\n"


@pytest.mark.parametrize("mark", [b"", BOM], ids=["plain", "marked"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(
    tmp_path: Path, mark: bytes, suffix: str
) -> None:
    path = tmp_path / f"labels{suffix}"
    path.write_bytes(gzip.compress(mark + TABLE) if suffix.endswith("gz") else mark + TABLE)
    read = read_table(path)
    assert read.columns == ["ecg_id", "sex", "label"]
    assert read.rows() == [("001", "männlich", "1"), ("002", "weiblich", "0")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (TABLE.decode().encode("utf-16"), "is encoded in UTF-16. Save it as CSV in UTF-8"),
        (TABLE.replace(b",", b";"), "separated by semicolons. Save it with commas"),
        (TABLE.replace(b",", b"\t"), "separated by tabs"),
        (TABLE.decode().encode("latin-1"), "Save it as CSV in UTF-8"),
        (TABLE.replace(b"weiblich", b"a,b"), "more cells than the first one"),
    ],
    ids=["utf-16", "semicolons", "tabs", "latin-1", "commas"],
)
def test_another_spelling_is_told_with_the_way_out(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert "truncate_ragged_lines" not in str(caught.value)


def on_windows(path: Path, text: str) -> Path:
    """Write a text as an editor there does."""
    path.write_bytes(BOM + text.replace("\n", "\r\n").encode())
    return path


def test_an_experiment_and_a_description_of_a_source_may_come_from_windows(tmp_path: Path) -> None:
    experiment = ROOT / "examples" / "ptbxl_mi.toml"
    again = on_windows(tmp_path / "run.toml", experiment.read_text(encoding="utf-8"))
    assert read_experiment(again) == read_experiment(experiment)
    description = next((ROOT / "examples" / "sources").glob("*.toml"))
    again = on_windows(tmp_path / "source.toml", description.read_text(encoding="utf-8"))
    assert read_description(again) == read_description(description)


def test_a_card_and_the_settings_of_a_board_may_come_from_windows(tmp_path: Path) -> None:
    on_windows(tmp_path / CONFIG_NAME, 'public_url = "https://board.example.org"\n')
    assert load_config(tmp_path).public_url == "https://board.example.org"
    with pytest.raises(AcsbenchError) as caught:
        read_card(on_windows(tmp_path / "card.toml", "a_field_of_no_card = 1\n"))
    assert "a_field_of_no_card" in str(caught.value)

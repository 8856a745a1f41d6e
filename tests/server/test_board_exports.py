"""A board for other programs: CSV, JSON, Parquet, Croissant, badge."""

from __future__ import annotations

import io
import json
import warnings
from xml.etree import ElementTree

import polars as pl
import pytest


@pytest.fixture
def board(world):
    """Two entries; one team and its model are named like formulas."""
    from acsbench.server.models import Team

    for who, quality in (("ada", 2.0), ("bob", 0.3)):
        card = {"name": "=1+1" if who == "ada" else "<b>&"}
        from board_world import CARD

        from acsbench.server.card import ModelCard

        sent = world.accept(
            who, world.task.csv(quality=quality), card=ModelCard.model_validate({**CARD, **card})
        )
        world.work()
        body = {"submission": sent.submission.public_id}
        assert world.call("PUT", "/tasks/acs/entry", who, json=body).status_code == 200
    Team.objects.filter(slug="team-bob").update(affiliation="@SUM(A1)")
    world.work()
    return world


def get(board, path: str, **headers: str):
    answer = board.call("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert answer.status_code == 200, answer.content
    return answer


@pytest.mark.parametrize("by", ["suffix", "accept"])
def test_every_form_loads_and_says_the_same(board, by: str) -> None:
    from acsbench.server.exports import EXPORTS

    def load(form: str) -> bytes:
        if by == "suffix":
            return get(board, f"/tasks/acs/board.{form}").content
        answer = get(board, "/tasks/acs/board", Accept=f"{EXPORTS[form]}, */*;q=0.1")
        assert answer.headers["Content-Type"].startswith(EXPORTS[form])
        assert answer.headers["Vary"] == "Accept"
        return answer.content

    told = json.loads(load("json"))["entries"]
    csv = pl.read_csv(io.BytesIO(load("csv")), infer_schema=False)
    parquet = pl.read_parquet(io.BytesIO(load("parquet")))
    assert csv.columns == parquet.columns
    assert list(csv["submission"]) == list(parquet["submission"]) == [e["submission"] for e in told]
    first = {one["metric"]: one for one in told[0]["panel"]}
    for metric, one in first.items():
        for end, key in (("", "value"), ("_low", "low"), ("_high", "high")):
            assert csv[f"{metric}{end}"][0] == one[key]
            assert parquet[f"{metric}{end}"][0] == float(one[key])
    assert parquet.schema["rank"] == pl.Int64


def test_no_cell_is_a_formula_and_no_number_is_touched(board) -> None:
    table = pl.read_csv(io.BytesIO(get(board, "/tasks/acs/board.csv").content), infer_schema=False)
    assert table["model"][0] == "'=1+1"
    for column in table.columns:
        assert not any(str(cell).startswith(("=", "+", "-", "@")) for cell in table[column])
    assert (
        pl.read_parquet(io.BytesIO(get(board, "/tasks/acs/board.parquet").content))["model"][0]
        == "=1+1"
    )


def test_a_client_that_has_the_bytes_is_told_so(board) -> None:
    tag = get(board, "/tasks/acs/board.csv").headers["ETag"]
    again = board.call("GET", "/tasks/acs/board.csv", headers={"If-None-Match": tag})
    assert again.status_code == 304
    other = board.call("GET", "/tasks/acs/board.parquet", headers={"If-None-Match": tag})
    assert other.status_code == 200


def test_a_board_without_entries_is_an_empty_table(world) -> None:
    table = pl.read_csv(io.BytesIO(get(world, "/tasks/acs/board.csv").content))
    assert table.height == 0
    assert "team" in table.columns


def test_the_metadata_are_valid_croissant(board, tmp_path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        croissant = pytest.importorskip("mlcroissant")
    described = json.loads(get(board, "/tasks/acs/croissant.json").content)
    (tmp_path / "croissant.json").write_text(json.dumps(described))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = croissant.Dataset(jsonld=tmp_path / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    fields = [field.name for field in dataset.metadata.record_sets[0].fields]
    csv = get(board, "/tasks/acs/board.csv").content
    assert fields == pl.read_csv(io.BytesIO(csv)).columns
    import hashlib

    assert described["distribution"][0]["sha256"] == hashlib.sha256(csv).hexdigest()
    assert "license" not in described  # nobody said one


def test_terms_are_told_where_the_host_says_them(board, monkeypatch) -> None:
    from django.conf import settings

    terms = "https://creativecommons.org/licenses/by/4.0/"
    monkeypatch.setattr(settings, "BOARD", settings.BOARD.model_copy(update={"licence": terms}))
    described = json.loads(get(board, "/tasks/acs/croissant.json").content)
    assert described["license"] == terms


def test_a_badge_shows_a_rank_with_what_is_open_and_runs_nothing(board) -> None:
    entries = json.loads(get(board, "/tasks/acs/board").content)["entries"]
    for entry in entries:
        answer = get(board, f"/badge/{entry['submission']}.svg")
        assert answer.headers["Content-Type"] == "image/svg+xml"
        root = ElementTree.fromstring(answer.content)
        space = "{http://www.w3.org/2000/svg}"
        title = root.findtext(f"{space}title")
        assert root.get("role") == "img"
        assert entry["team"]["name"] in title
        assert entry["model"] in title  # escaped on the way, whole on arrival
        low, high = entry["rank_low"], entry["rank_high"]
        assert (f"rank {low} of 2" if low == high else f"rank {low}-{high} of 2") in title
        assert entry["panel"][0]["value"] in title
        assert {one.tag.removeprefix(space) for one in root.iter()} <= {
            *("svg", "title", "rect", "path", "g", "text")
        }


def test_what_is_no_entry_has_no_badge(board) -> None:
    hidden = board.accept("ada", board.task.csv(seed=9)).submission
    board.work()
    assert board.call("GET", f"/badge/{hidden.public_id}.svg").status_code == 404
    assert board.call("GET", "/badge/nothing.svg").status_code == 404

"""A board in a terminal: how many share the lead, and every rank with the ranks left open."""

from __future__ import annotations

import pytest

from acsbench.cli.entrant import _board_text


def row(low: int | None, high: int | None, *, is_tied: bool) -> dict:
    estimate = {"metric": "auroc", "value": "0.800", "low": "0.750", "high": "0.850"}
    return {
        "rank_low": low,
        "rank_high": high,
        "tied_with_leader": is_tied,
        "panel": [estimate],
        "team": {"name": "Lab"},
        "model": "net",
        "is_baseline": False,
    }


def text(*rows: dict) -> list[str]:
    about = {"task_version": "acs-v1", "n_rows": 1295, "n_patients": 1000, "n_positive": 200}
    tied = sum(one["tied_with_leader"] for one in rows)
    board = {**about, "primary": "auroc", "n_entries": len(rows), "n_tied_with_leader": tied}
    return _board_text({**board, "entries": list(rows)}).splitlines()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(1, 1, is_tied=True)], "One entry so far."),
        ([row(1, 1, is_tied=True), row(2, 2, is_tied=False)], "told apart from every other."),
        ([row(1, 2, is_tied=True)] * 2, "The first of 2 entries and one other (=) cannot"),
        ([row(1, 3, is_tied=True)] * 3, "The first of 3 entries and 2 others (=) cannot"),
    ],
    ids=["one", "first alone", "two", "three"],
)
def test_the_head_says_who_shares_the_lead(rows: list[dict], said: str) -> None:
    head = text(*rows)[0]
    assert head.startswith("acs-v1: 1,295 rows, 1,000 patients, 200 events. ")
    assert said in head


def test_an_empty_board_says_so() -> None:
    assert text() == ["acs-v1: 1,295 rows. No entry yet."]


def test_ranks_are_as_open_as_the_tests_leave_them() -> None:
    lines = text(row(1, 2, is_tied=True), row(3, 3, is_tied=False), row(None, None, is_tied=False))
    assert [line.split("AUROC")[0].split() for line in lines[1:]] == [["1-2", "="], ["3"], ["-"]]

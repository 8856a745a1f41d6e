"""The board page: what it says, how often it is drawn, and that it is the same for everybody."""

from __future__ import annotations

import gzip
import re

import pytest
from board_world import GENEROUS, SMALL, make_world


@pytest.fixture
def ranked(config, tmp_path):
    """A board with two entries and a baseline."""
    from acsbench.server import operate
    from acsbench.server.entries import pick
    from acsbench.server.models import Submission
    from acsbench.server.policy import Actor
    from acsbench.server.published import published

    world = make_world(config, tmp_path, text=GENEROUS + SMALL)
    operate.new_team("The baseline", is_baseline=True)
    rules = published(world.version, config)
    for who, quality in (("ada", 3.0), ("bob", 0.3)):
        world.accept(who, world.task.csv(quality=quality, seed=len(who) + ord(who[0])))
    world.work()
    for row in Submission.objects.all():
        pick(row, world.version, rules, Actor(row.account))
    world.work()
    return world


def client():
    from django.test import Client

    return Client()


def view(world, **how):
    from acsbench.server.models import TaskVersion
    from acsbench.server.pages.board import board_view

    return board_view(TaskVersion.objects.select_related("board_state").get(), **how)


def test_the_view_has_what_was_published_and_nothing_else(ranked) -> None:
    board = view(ranked)
    assert (board.n_rows, board.n_entries, len(board.rows)) == (200, 2, 2)
    assert board.primary == "AUROC"
    first = board.rows[0]
    assert first.team == "Team ada"
    assert first.primary.value is not None
    assert re.fullmatch(r"0\.\d{3}", first.primary.value)
    places = [float(at.rstrip("%")) for at in (first.x_low, first.x, first.x_high)]
    assert places == sorted(places)
    assert all(0 <= at <= 100 for at in places)


def test_filters_and_orders_are_links_that_need_no_script(ranked) -> None:
    by_team = view(ranked, sort="team")
    assert [row.team for row in by_team.rows] == ["Team ada", "Team bob"]
    assert view(ranked, show="baselines").rows == ()
    assert view(ranked, show="teams", sort="auprc").rows[0].team == "Team ada"
    assert view(ranked, show="<script>", sort="x").rows == view(ranked).rows
    page = client().get("/tasks/acs/board/?show=baselines").content.decode()
    assert "No entry is of this kind" in page
    assert 'aria-current="true">Baselines' in page


def test_the_page_shows_uncertainty_and_says_how_many_are_tied(ranked) -> None:
    page = client().get("/tasks/acs/board/").content.decode()
    board = view(ranked)
    assert f"{board.rows[0].primary.low} to {board.rows[0].primary.high}" in page
    assert page.count('class="reach"') == 2
    assert "Tied with the leader" in page
    assert " style=" not in page
    assert "<script" not in page


def test_bytes_are_kept_until_the_board_changes(ranked, monkeypatch) -> None:
    from acsbench.server.pages import board_page

    drawn = []
    real = board_page.board_html
    monkeypatch.setattr(board_page, "board_html", lambda *a, **k: drawn.append(1) or real(*a, **k))
    board_page.PAGES = type(board_page.PAGES)()
    first = client().get("/tasks/acs/board/", headers={"Accept-Encoding": "gzip"})
    again = client().get("/tasks/acs/board/")
    assert gzip.decompress(first.content) == again.content
    assert first["ETag"] != again["ETag"]
    assert len(drawn) == 1
    tag = again["ETag"]
    assert client().get("/tasks/acs/board/", headers={"If-None-Match": tag}).status_code == 304
    from acsbench.server.entries import take_off
    from acsbench.server.models import State, Submission
    from acsbench.server.policy import Actor

    row = Submission.objects.get(team__slug="team-bob")
    take_off(row, State.WITHDRAWN, reason="", actor=Actor(row.account))
    ranked.work()
    changed = client().get("/tasks/acs/board/", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert len(drawn) == 2
    assert "Team bob" not in changed.content.decode()


def test_a_board_of_before_says_that_it_is_superseded(ranked, tmp_path) -> None:
    from board_world import Task

    from acsbench.server import operate

    newer = Task(tmp_path / "newer", version=2, text=SMALL)
    operate.load_task(newer.folder, newer.labels_file, ranked.config, ranked.master)
    ranked.work()
    old = client().get("/tasks/acs/board/?version=1").content.decode()
    assert "Superseded by acs-v2" in old
    assert "Superseded" not in client().get("/tasks/acs/board/").content.decode()


@pytest.mark.parametrize("path", ["/tasks/nix/board/", "/tasks/acs/board/?version=9", "/nothing"])
def test_what_is_not_there_answers_with_a_page(ranked, path: str) -> None:
    answer = client().get(path)
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
    assert "Request id" in answer.content.decode()


def test_a_frozen_page_needs_no_server(ranked) -> None:
    from acsbench.server.pages.rendering import draw

    page = draw("board.html", {"board": view(ranked)}, frozen=True)
    inside = re.findall(r'(?:href|src)="(/[^"]*)"', page)
    assert [link for link in inside if not link.startswith("/api/")] == []
    assert "<form" not in page
    assert 'href="page.css"' in page


def test_a_page_that_was_drawn_is_served_before_django_is_asked(ranked) -> None:
    import asyncio

    from acsbench.server.pages.confirm import Confirm
    from acsbench.server.pages.early import EarlyBoard
    from acsbench.server.pages.rendered import RenderedPages

    asked, pages = [], RenderedPages()

    async def django(scope, receive, send) -> None:
        asked.append(scope["path"])

    confirm = Confirm(ranked.config.sqlite_file)
    early = EarlyBoard(django, ranked.config, pages, confirm)

    def get(path: str = "/tasks/acs/board/", query: bytes = b"", **headers: str) -> list[dict]:
        sent: list[dict] = []

        async def send(event) -> None:
            sent.append(event)

        said = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
        scope = {"type": "http", "method": "GET", "path": path, "query_string": query}
        asyncio.run(early(scope | {"headers": said}, None, send))
        return sent

    assert get() == []
    version, sha256 = confirm.published("acs")
    page = pages.get((version, sha256, "", "all", "rank"), lambda: "<p>a board</p>")
    start, body = get()
    headers = dict(start["headers"])
    assert (start["status"], body["body"]) == (200, page.html)
    assert headers[b"content-security-policy"].startswith(b"default-src 'none'")
    start, body = get(if_none_match=headers[b"etag"].decode())
    assert (start["status"], body["body"]) == (304, b"")
    start, body = get(accept_encoding="br, gzip")
    assert gzip.decompress(body["body"]) == page.html
    asked.clear()
    assert get(query=b"show=teams") == get("/tasks/nix/board/") == get("/") == []
    assert len(asked) == 3
    from acsbench.server.models import BoardState

    BoardState.objects.update(document_sha256="0" * 64)
    assert get() == []
    confirm.close()


def republished(world, **rows: object) -> str:
    """The page after the board's rows were given these values, a list for each column."""
    from acsbench.server.models import BoardState
    from acsbench.server.standings import BoardOut, save_document

    state = BoardState.objects.get()
    board = BoardOut.model_validate_json(state.document)
    first = board.entries[0]
    n = len(next(iter(rows.values())))
    entries = [
        first.model_copy(update={"submission": f"s{at}", **{k: v[at] for k, v in rows.items()}})
        for at in range(n)
    ]
    tied = sum(entry.tie_group == 1 for entry in entries)
    changed = {"entries": entries, "n_entries": n, "n_tied_with_leader": tied}
    save_document(state, board.model_copy(update=changed))
    state.save()
    return client().get("/tasks/acs/board/").content.decode()


def test_a_tie_group_has_one_header_where_groups_interleave(ranked) -> None:
    page = republished(ranked, tie_group=[1, 2, 1, 2, 3, None])
    headers = re.findall(r'scope="rowgroup"[^>]*><span>([^<]*)', page)
    assert headers == [
        "Not told apart from the leader",
        "Group 2: not told apart from its first entry",
        "Group 3: not told apart from its first entry",
        "Without a value",
    ]
    rows = re.findall(r'<tr[^>]* id="e-(s\d)".*?<td class="rank">(.*?)</td>', page, re.DOTALL)
    marks = {key: re.findall(r"<span>([^<]*)</span>", rank) for key, rank in rows}
    assert marks["s2"] == ["tied with the leader"]
    assert marks["s3"] == ["of group 2"]
    assert not any(marks[key] for key in ("s0", "s1", "s4", "s5"))
    assert page.count("<tbody>") == page.count("</tbody>") == 6


def test_a_leader_that_is_told_apart_has_nobody_beside_it(ranked) -> None:
    page = republished(ranked, tie_group=[1, 2, 2])
    assert "<span>The leader</span>" in page
    assert "Tied for the lead" not in page
    assert "The first entry is told apart from every other." in page
    assert "Tied for the lead" in republished(ranked, tie_group=[1, 1, 2])


def test_what_teams_write_is_text_on_the_board(ranked) -> None:
    evil = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"
    page = republished(ranked, model=[evil], kind=[evil])
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;{{ 7 * 7 }}") == 2

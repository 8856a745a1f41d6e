"""The whole road in a real browser, with and without script, by keyboard, at two widths, with axe.

Needs Chromium, and npm to fetch axe-core; skips without them, and never in CI.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from board_world import SMALL, Task
from live import LiveBoard, prepare, serving

from browsers import BROWSERS, fetch_axe, needed

pytestmark = pytest.mark.slow
ATTESTATION = '[attestation]\nversion = "2027-01"\n'
PEOPLE = ("ada", "bob", "cleo", "dora", "emil")
CALM = "[limits]\nper_address = 100000\n"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = needed(BROWSERS, "Chromium")
    sync_api = (
        pytest.importorskip("playwright.sync_api") if os.environ.get("CI") != "true" else None
    )
    if sync_api is None:
        from playwright import sync_api
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fetch_axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    folder = tmp_path_factory.mktemp("task")
    (folder / "attestation.md").write_text("I looked at *no* holdout record.")
    # no space to break a line at: it must not make a narrow page scroll
    title = "stent_or_cabg_010_day_of_the_tested"
    return Task(folder, text=SMALL + ATTESTATION, title=title)


@pytest.fixture(scope="module")
def board(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBoard]:
    """A live board on which Bob has an entry already."""
    data = tmp_path_factory.mktemp("live") / "data"
    tokens = prepare(data, [task], PEOPLE, CALM)
    with serving(data, tokens) as live:
        file = task.folder / "bob.csv"
        file.write_bytes(task.csv(quality=0.4, seed=5))
        command = (sys.executable, "-m", "acsbench", "submit", str(file), "--task", "acs")
        card = task.folder / "card.toml"
        card.write_text(
            'name = "Bobs model"\nkind = "neural"\ntraining_data = "train"\n'
            'external_data = "none"\npretraining = "none"\nholdout_seen = false\n'
            'intended_use = "research"\ncode_url = ""\n'
            'paper = ""\ncontact = "bob@example.org"\n'
        )
        more = ("--card", str(card), "--attest", "2027-01", "--wait", "--pick")
        env = {
            **os.environ,
            "ACSBENCH_SERVER": live.address,
            "ACSBENCH_TOKEN": tokens["bob"],
        }
        subprocess.run([*command, *more], check=True, env=env, capture_output=True, timeout=120)
        yield live


def link_for(board: LiveBoard, who: str) -> str:
    """What the operator sends."""
    command = (sys.executable, "-m", "acsbench", "server", "sign-in", f"{who}@example.org")
    where = ("--data", str(board.data), "--at", board.address)
    done = subprocess.run(
        [*command, *where], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def bad_file(task: Task) -> Path:
    lines = task.csv().decode().splitlines()
    lines[1] = lines[1].replace(",0.", ",17.")
    lines[2] = lines[3]
    path = task.folder / "bad.csv"
    path.write_text("\n".join(lines))
    return path


def good_file(task: Task, seed: int) -> Path:
    path = task.folder / f"good{seed}.csv"
    path.write_bytes(task.csv(quality=2.5, seed=seed))
    return path


def violations(page: Any, axe: str) -> list[Any]:
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 10
    return [
        (page.url, one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found["violations"]
    ]


def check(page: Any, axe: str | None) -> None:
    """At both widths: nothing scrolls sideways; nothing for axe to find."""
    if axe is None:
        return
    page.wait_for_load_state()
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, width)
        assert violations(page, axe) == []
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize(
    ("who", "script", "scheme"), [("ada", True, "light"), ("cleo", False, "dark")]
)
def test_the_whole_road(
    chromium: Any, axe: str, board: LiveBoard, task: Task, who: str, script: bool, scheme: str
) -> None:
    context = chromium.new_context(
        java_script_enabled=script,
        color_scheme=scheme,
        viewport={"width": 1280, "height": 900},
    )
    page = context.new_page()
    said: list[str] = []
    abroad: list[str] = []
    page.on("console", lambda one: said.append(one.text))
    page.on("pageerror", lambda one: said.append(str(one)))
    page.on(
        "request",
        lambda one: (
            None if one.url.startswith((board.address, "data:")) else abroad.append(one.url)
        ),
    )
    looked = axe if script else None

    sign_in_and_read(page, looked, board, who)
    send_a_bad_file(page, looked, task, who)
    send_a_good_file_and_pick_it(page, looked, task, who, script=script)
    look_at_the_board(page, looked, board, who)
    assert abroad == []
    assert [one for one in said if "422" not in one and "not a secure context" not in one] == []
    context.close()


def sign_in_and_read(page: Any, looked: str | None, board: LiveBoard, who: str) -> None:
    page.goto(f"{board.address}/tasks/acs/submit/")
    page.get_by_role("heading", name="Sign in").first.wait_for()
    check(page, looked)
    page.goto(link_for(board, who))
    page.get_by_role("button", name="Sign in").click()
    check(page, looked)

    page.get_by_role("link", name="Tasks").click()
    check(page, looked)
    page.get_by_role("link", name="Read the task").click()
    page.get_by_text("Rows are joined by id").wait_for()
    check(page, looked)


def send_a_bad_file(page: Any, looked: str | None, task: Task, who: str) -> None:
    page.get_by_role("link", name="Submit a file").click()
    page.set_input_files("#file", bad_file(task))
    assert "/submit/" in page.url, "choosing a file submits nothing"
    fill_card(page, f"Model of {who}")
    page.get_by_label("I agree").check()
    page.get_by_role("button", name="Check and submit").click()
    refused = page.get_by_role("alert")
    assert "E32_RANGE" in refused.inner_text()
    assert "E21_DUPLICATE_ID" in refused.inner_text()
    assert "line 2" in refused.inner_text()
    assert page.get_by_label("Model name").input_value() == f"Model of {who}"
    check(page, looked)


def send_a_good_file_and_pick_it(
    page: Any, looked: str | None, task: Task, who: str, *, script: bool
) -> None:
    page.set_input_files("#file", good_file(task, 40 + len(who)))
    page.get_by_label("I agree").check()
    page.get_by_role("button", name="Check and submit").click()
    page.get_by_text("Accepted.").wait_for()
    pick = page.get_by_role("button", name="Pick as entry")
    for _ in range(60):
        if script:
            pick.wait_for(timeout=30_000)
        if pick.count():
            break
        page.wait_for_timeout(250)
        page.goto(page.url)
    check(page, looked)
    pick.click()
    page.get_by_text("your team’s entry").wait_for()


def look_at_the_board(page: Any, looked: str | None, board: LiveBoard, who: str) -> None:
    for _ in range(100):
        page.goto(f"{board.address}/tasks/acs/board/")
        if page.get_by_text(f"Model of {who}").count():
            break
        page.wait_for_timeout(100)
    page.get_by_text("Bobs model").wait_for()
    check(page, looked)
    page.get_by_role("link", name="Baselines").click()
    page.get_by_text("No entry is of this kind").wait_for()
    page.get_by_role("link", name="All", exact=True).click()
    page.get_by_role("link", name="Compare two entries").click()
    assert "95 % interval" in page.locator(".verdict").inner_text()
    check(page, looked)
    for path in ("/", "/status/", "/audit/", f"/teams/team-{who}/", "/account/"):
        page.goto(board.address + path)
        check(page, looked)


def fill_card(page: Any, name: str) -> None:
    page.get_by_label("Model name").fill(name)
    page.get_by_label("Kind", exact=True).select_option("neural")
    for label in ("Training data", "External data", "Pretraining", "Intended use", "Contact"):
        page.get_by_label(label).fill("none")
    page.get_by_label("No", exact=True).check()


def test_the_keyboard_alone_suffices(chromium: Any, board: LiveBoard, task: Task) -> None:
    """Every step by Tab, arrows, space and Enter, and one always sees where one is."""
    page = chromium.new_page()
    page.goto(link_for(board, "dora"))
    tab_to(page, "Sign in", "BUTTON")
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/")
    page.goto(f"{board.address}/tasks/acs/submit/")
    page.keyboard.press("Tab")
    assert focused(page)["text"] == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to(page, "file", "INPUT")
    assert focused(page)["outline"] != "none"
    page.set_input_files("#file", good_file(task, 70))  # the system's own dialogue is not the page
    for wanted, typed in (("card-name", "Doras model"), ("card-kind", "n")):
        tab_to(page, wanted)
        page.keyboard.type(typed)
    for wanted in ("training_data", "external_data", "pretraining"):
        tab_to(page, f"card-{wanted}")
        page.keyboard.type("none")
    tab_to(page, "card-holdout_seen")
    page.keyboard.press("Space")
    for wanted in ("card-intended_use", "card-contact"):
        tab_to(page, wanted)
        page.keyboard.type("research")
    tab_to(page, "attestation")
    page.keyboard.press("Space")
    tab_to(page, "Check and submit", "BUTTON")
    page.keyboard.press("Enter")
    page.wait_for_url("**/submissions/*/*")  # with the fragment of the link that was skipped to
    page.get_by_role("button", name="Pick as entry").wait_for(timeout=30_000)
    tab_to(page, "Pick as entry", "BUTTON")
    page.keyboard.press("Enter")
    page.get_by_text("your team’s entry").wait_for(timeout=10_000)
    page.close()


def focused(page: Any) -> dict[str, str]:
    return page.evaluate(
        "(() => { const e = document.activeElement; return {"
        "text: e.innerText || '', tag: e.tagName, name: e.name || e.id || '',"
        "outline: getComputedStyle(e).outlineStyle}; })()"
    )


def tab_to(page: Any, wanted: str, tag: str | None = None) -> None:
    """Press Tab until the focus is on a thing of this name or text."""
    for _ in range(80):
        page.keyboard.press("Tab")
        here = focused(page)
        if wanted in (here["name"], here["text"].strip()) and tag in (None, here["tag"]):
            return
    raise AssertionError(f"Tab never comes to {wanted}")

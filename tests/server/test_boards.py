"""From a scored submission to the board, and off it again; in one process, step by step."""

from __future__ import annotations

import json


def scored(world, who: str, **how):
    public_id = world.accept(who, world.task.csv(**how)).submission.public_id
    world.work()
    return public_id


def pick(world, who: str, public_id: str):
    return world.call("PUT", "/tasks/acs/entry", who, json={"submission": public_id})


def board(world):
    world.work()
    return world.call("GET", "/tasks/acs/board").json()


def test_the_ladder_answers_with_what_it_may(world) -> None:
    first = scored(world, "ada", quality=1.0)
    later = scored(world, "ada", quality=0.1, seed=1)
    told = [world.call("GET", f"/submissions/{one}", "ada").json() for one in (first, later)]
    shown = told[0]["feedback"][0]
    assert shown["improved"]
    assert len(shown["shown"].split(".")[1]) == 3
    assert told[1]["feedback"][0]["shown"] is None
    assert shown["shown"] in told[1]["feedback"][0]["text"]
    assert told[0]["scored_at"].count(":") == 1  # to the minute


def test_an_entry_comes_with_intervals_and_leaves_when_withdrawn(world) -> None:
    mine, theirs = scored(world, "ada", quality=2.0), scored(world, "bob", quality=0.2)
    assert pick(world, "ada", mine).json()["picks_left"] == 2
    pick(world, "bob", theirs)
    shown = board(world)
    assert [row["submission"] for row in shown["entries"]] == [mine, theirs]
    assert all(one["low"] for one in shown["entries"][0]["panel"])
    pair = world.call("GET", f"/compare?a={theirs}&b={mine}").json()
    other = world.call("GET", f"/compare?a={mine}&b={theirs}").json()
    assert (pair["word"], other["word"]) == ("lower", "higher")
    assert pair["difference"] == f"-{other['difference']}"
    assert world.call("POST", f"/submissions/{mine}/withdraw", "ada").json()["state"] == "withdrawn"
    assert [row["submission"] for row in board(world)["entries"]] == [theirs]
    assert world.call("GET", f"/compare?a={theirs}&b={mine}").status_code == 404
    assert pick(world, "ada", mine).status_code == 409
    assert world.call("POST", f"/submissions/{mine}/withdraw", "ada").status_code == 409


def test_a_disqualified_entry_leaves_with_a_public_reason_on_the_chain(world) -> None:
    from acsbench.server.models import Audit

    mine = scored(world, "ada")
    pick(world, "ada", mine)
    answer = world.call(
        "POST", f"/submissions/{mine}/disqualify", "host", json={"reason": "a leak"}
    )
    assert answer.json()["reason"] == "a leak"
    assert answer.json()["feedback"] == []  # the host is no steward
    assert board(world)["entries"] == []
    assert Audit.objects.get(action="submission.disqualified").detail["reason"] == "a leak"


def test_a_pick_takes_the_place_of_the_one_before_three_times_a_month(world) -> None:
    from acsbench.server.models import Entry, Grant

    Grant.objects.create(
        team=world.sender("ada").team,
        task_version=world.version,
        places=5,
        reason="a test",
        by=world.accounts["host"],
    )
    ids = [scored(world, "ada", seed=seed) for seed in range(4)]
    codes = [pick(world, "ada", one).status_code for one in ids]
    assert codes == [200, 200, 200, 429]
    assert pick(world, "ada", ids[2]).status_code == 200  # it is the entry already
    assert Entry.objects.filter(until__isnull=True).count() == 1
    assert [row["submission"] for row in board(world)["entries"]] == [ids[2]]


def test_a_waiting_submission_cannot_be_picked(world) -> None:
    waiting = world.accept("ada", world.task.csv()).submission.public_id
    answer = pick(world, "ada", waiting)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_scored")


def test_a_verification_shows_on_the_board(world) -> None:
    mine = scored(world, "ada")
    pick(world, "ada", mine)
    said = {"level": "reproduced", "evidence_url": "https://example.org/run"}
    world.call("POST", f"/submissions/{mine}/verifications", "host", json=said)
    assert board(world)["entries"][0]["verification"] == "reproduced"


def test_feedback_pauses_when_a_team_has_had_its_share_of_bits(world) -> None:
    from acsbench.server.models import TaskVersion

    TaskVersion.objects.update(leak_allowed=0.01)
    first = scored(world, "ada")
    second = scored(world, "ada", quality=3.0, seed=5)
    told = [
        world.call("GET", f"/submissions/{one}", "ada").json()["feedback"][0]
        for one in (first, second)
    ]
    assert told[0]["shown"]
    assert told[1]["shown"] is None
    assert "paused" in told[1]["text"]
    world.call("PUT", "/tasks/acs/leak-budget", "host", json={"share": 1.0, "reason": "decided"})
    assert world.call("GET", "/tasks/acs/undisclosed", "steward").json()["leak_bits"] > 0


def test_the_same_bytes_of_two_teams_are_a_signal_and_no_more(world) -> None:
    from acsbench.server.models import Signal

    scored(world, "ada")
    theirs = scored(world, "bob")
    kinds = set(Signal.objects.values_list("kind", flat=True))
    assert "same_bytes" in kinds
    assert world.call("GET", f"/submissions/{theirs}", "bob").json()["state"] == "scored"


def test_rescoring_finds_no_difference_and_tells_of_one(world) -> None:
    from acsbench.server.models import Result
    from acsbench.server.rescore import check_results

    pick(world, "ada", scored(world, "ada"))
    scored(world, "bob", seed=1)
    board(world)
    assert check_results(world.config, world.master).differences == []
    judge = world.worker().judge
    name = "acs-v1"
    one, two = (r.submission.public_id for r in Result.objects.order_by("id"))
    judge.store.put(one, name, judge.store.get(two, name))
    found = check_results(world.config, world.master).differences
    assert len(found) >= 1
    assert one in found[0]


def test_a_new_task_version_rescores_all_and_keeps_the_old_board(world, tmp_path) -> None:
    from board_world import SMALL, Task

    from acsbench.server.operate import load_task
    from acsbench.server.published import current_version
    from acsbench.server.rescore import rescore_new_versions

    mine = scored(world, "ada")
    pick(world, "ada", mine)
    old = board(world)
    corrected = Task(tmp_path / "v2", text=SMALL, version=2)
    load_task(corrected.folder, corrected.labels_file, world.config, world.master)
    assert rescore_new_versions(world.config, world.master).n == 1
    new = board(world)
    assert (old["task_version"], new["task_version"]) == ("acs-v1", "acs-v2")
    assert [row["submission"] for row in new["entries"]] == [mine]
    kept = json.loads(world.call("GET", "/tasks/acs/board?version=1").content)
    assert kept["superseded_by"] == "acs-v2"
    assert kept["entries"] == old["entries"]
    assert current_version("acs").number == 2
    told = world.call("GET", f"/submissions/{mine}", "ada").json()["feedback"]
    assert [one["task_version"] for one in told] == ["acs-v1", "acs-v2"]
    assert rescore_new_versions(world.config, world.master).n == 0

"""The API's own manners: problems, paging, ETags, uploads of either kind."""

from __future__ import annotations

import json

import pytest


def problem(answer, status: int) -> dict:
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(body)
    assert body["status"] == status
    assert body["request_id"] == answer.headers["X-Request-ID"]
    return body


@pytest.mark.parametrize("path", ["/nothing", "/tasks/none", "/tasks/none/board", "/submissions/x"])
def test_what_is_not_there_is_a_problem(world, path) -> None:
    problem(world.call("GET", path, "ada"), 404)


def test_other_methods_are_a_problem_that_names_the_right_ones(world) -> None:
    answer = world.call("DELETE", "/tasks")
    problem(answer, 405)
    assert answer.headers["Allow"] == "GET"


def test_a_wrong_token_is_401_and_says_how(world) -> None:
    world.tokens["wrong"] = "acsb_" + "a" * 32
    answer = world.call("GET", "/submissions", "wrong")
    assert "Authorization" in problem(answer, 401)["detail"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_findings_are_the_check_s_own_words(world) -> None:
    from acsbench.leaderboard.check import check_file
    from acsbench.server.published import published

    bad = world.task.csv().replace(b"acs000003,", b"acs000004,")
    told = problem(world.submit("ada", bad), 422)
    own = check_file(bad, published(world.version, world.config))
    assert told["findings"] == [finding.as_dict() for finding in own.findings]
    assert told["code"] == own.codes[0]
    checked = world.call("POST", "/tasks/acs/check", "ada", data=bad, content_type="text/csv")
    assert problem(checked, 422)["findings"] == told["findings"]


def test_a_check_keeps_nothing(world) -> None:
    from acsbench.server.models import Attempt, Submission

    answer = world.call(
        "POST", "/tasks/acs/check", "ada", data=world.task.csv(), content_type="text/csv"
    )
    assert answer.json()["rows"] == world.task.n_rows
    assert not Attempt.objects.exists()
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/pdf", 415), ("", 415), ("multipart/form-data", 400), ("text/csv", 422)],
)
def test_types_that_are_no_file(world, content_type, status) -> None:
    answer = world.call(
        "POST", "/tasks/acs/submissions", "ada", data=b"%PDF", content_type=content_type
    )
    problem(answer, status)


def test_a_form_without_a_file_and_a_bad_card_are_told(world) -> None:
    from django.test import Client

    headers = {"Authorization": f"Bearer {world.tokens['ada']}"}
    path = "/api/v1/tasks/acs/submissions"
    assert problem(Client().post(path, {"x": "y"}, headers=headers), 422)["code"] == "file_missing"
    for card in ("[]", "{", '{"name": "only"}', "[" * 100_000):
        told = problem(world.submit("ada", world.task.csv(), card=card), 422)
        assert told["code"] in ("bad_card", "invalid_request")


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
def test_an_odd_idempotency_key_is_refused(world, key) -> None:
    answer = world.submit("ada", world.task.csv(), headers={"Idempotency-Key": key})
    assert problem(answer, 422)["code"] == "bad_key"


def test_a_repeated_request_answers_200_with_the_same_receipt(world) -> None:
    first = world.submit("ada", world.task.csv(), headers={"Idempotency-Key": "k"})
    again = world.submit("ada", world.task.csv(), headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["receipt"] == again.json()["receipt"]
    other = world.submit("ada", world.task.csv(seed=1), headers={"Idempotency-Key": "k"})
    assert problem(other, 409)["code"] == "key_reused"


def test_no_place_says_when(world) -> None:
    for seed in range(2):
        assert world.submit("ada", world.task.csv(seed=seed)).status_code == 201
    answer = world.submit("ada", world.task.csv(seed=2))
    assert problem(answer, 429)["quota"]["next_possible_at"]
    assert int(answer.headers["Retry-After"]) > 0
    quota = world.call("GET", "/tasks/acs/quota", "ada").json()
    assert (quota["remaining_24h"], quota["remaining_total"]) == (0, 18)


def test_lists_come_in_pages_and_only_of_own_teams(world) -> None:
    mine = [world.accept("ada", world.task.csv(seed=seed)).submission for seed in range(2)]
    world.accept("bob", world.task.csv())
    first = world.call("GET", "/submissions?limit=1", "ada").json()
    second = world.call("GET", f"/submissions?limit=1&cursor={first['next_cursor']}", "ada").json()
    found = [one["id"] for page in (first, second) for one in page["items"]]
    assert found == [row.public_id for row in reversed(mine)]
    assert second["next_cursor"] is None
    rival = world.call("GET", "/submissions", "bob").json()["items"][0]["id"]
    problem(world.call("GET", f"/submissions?cursor={rival}", "ada"), 422)
    problem(world.call("GET", f"/submissions/{rival}", "ada"), 404)


def test_the_board_has_an_etag_of_its_bytes(world) -> None:
    world.work()
    answer = world.call("GET", "/tasks/acs/board")
    same = world.call("GET", "/tasks/acs/board", headers={"If-None-Match": answer.headers["ETag"]})
    assert same.status_code == 304
    assert not same.content
    public_id = world.accept("ada", world.task.csv()).submission.public_id
    world.work()
    world.call("PUT", "/tasks/acs/entry", "ada", json={"submission": public_id})
    world.work()
    assert world.call("GET", "/tasks/acs/board").headers["ETag"] != answer.headers["ETag"]


def test_a_task_can_be_checked_against_by_what_the_api_tells(world) -> None:
    from acsbench.leaderboard.definition import parse_task

    public = world.call("GET", "/tasks/acs").json()
    ids = world.call("GET", "/tasks/acs/ids.csv").content
    assert list(parse_task(public, ids).ids) == world.task.ids
    assert len(public["label_commitment"]) == 64


def test_metrics_need_the_operator_s_token(world) -> None:
    world.accept("ada", world.task.csv())
    token = (world.config.keys / "metrics.token").read_text().strip()
    answer = world.call("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
    assert b"acsbench_waiting 1.0" in answer.content
    assert b'acsbench_uploads_total{outcome="accepted"} 1.0' in answer.content
    problem(world.call("GET", "/metrics", "host"), 401)


def test_a_fault_is_told_by_its_id_alone(world, monkeypatch) -> None:
    from acsbench.server.api import service

    def fail():
        raise RuntimeError("a secret")

    monkeypatch.setattr(service.audit, "head", fail)
    told = problem(world.call("GET", "/audit/head"), 500)
    assert "secret" not in str(told)


def test_too_many_requests_of_an_account_are_429(world, monkeypatch) -> None:
    from acsbench.server.limiter import Limiter
    from acsbench.server.problems import Problem

    limiter = Limiter(3)
    for _ in range(3):
        limiter.take("ada")
    with pytest.raises(Problem) as caught:
        limiter.take("ada")
    assert caught.value.headers["Retry-After"] == "20"
    limiter.take("bob")


def test_a_new_token_has_no_more_than_the_one_that_asked(world) -> None:
    from acsbench.server.operate import new_token

    world.tokens["reader"] = new_token("ada@example.org", scopes=["read"], days=1).text
    problem(world.call("POST", "/tokens", "reader", json={"scopes": ["submit"]}), 422)
    made = world.call(
        "POST", "/tokens", "reader", json={"scopes": ["read"], "expires_at": "2099-01-01T00:00Z"}
    ).json()
    assert made["expires_at"] < "2099"
    world.tokens["made"] = made["token"]
    assert world.call("GET", "/submissions", "made").status_code == 200
    assert world.call("DELETE", f"/tokens/{made['id']}", "ada").status_code == 204
    assert world.call("GET", "/submissions", "made").status_code == 401

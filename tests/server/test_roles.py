"""Every role on every route: who gets an answer, and who learns that there is nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from board_world import GENEROUS, SMALL, make_world

ROLES = ("visitor", "ada", "bob", "host", "steward", "stranger", "reader")


@dataclass(frozen=True)
class Route:
    """A route, what is sent, and the roles that may; all others get 401 or 404."""

    method: str
    path: str
    may: tuple[str, ...]
    json: dict | None = None
    status: int = 200


ALL = ROLES
TEAM = ("ada",)
ROUTES = (
    Route("GET", "/tasks", ALL),
    Route("GET", "/tasks/acs", ALL),
    Route("GET", "/tasks/acs/ids.csv", ALL),
    Route("GET", "/tasks/acs/board", ALL),
    Route("GET", "/tasks/acs/board.csv", ALL),
    Route("GET", "/tasks/acs/board.json", ALL),
    Route("GET", "/tasks/acs/board.parquet", ALL),
    Route("GET", "/tasks/acs/croissant.json", ALL),
    Route("GET", "/badge/{entry}.svg", ALL),
    Route("GET", "/compare?a={entry}&b={rival}", ALL),
    Route("GET", "/audit/head", ALL),
    Route("GET", "/keys", ALL),
    Route("GET", "/healthz", ALL),
    Route("GET", "/readyz", ALL),
    Route("GET", "/metrics", ()),
    Route("POST", "/tasks/acs/check", ("ada", "bob", "host", "steward")),
    Route("POST", "/tasks/acs/submissions", ("ada", "bob"), status=201),
    Route("GET", "/tasks/acs/quota", ("ada", "bob", "reader")),
    Route("GET", "/submissions", ROLES[1:]),
    Route("GET", "/submissions/{entry}", ("ada", "reader")),
    Route("GET", "/submissions/{entry}/events", ("ada", "reader")),
    Route("GET", "/submissions/{entry}/receipt", ("ada", "reader")),
    Route("PUT", "/tasks/acs/entry", TEAM, {"submission": "{entry}"}),
    Route("POST", "/submissions/{spare}/withdraw", TEAM),
    Route("POST", "/tokens", ROLES[1:], {"scopes": ["read"]}, 201),
    Route("DELETE", "/tokens/{token}", ("ada", "reader"), status=204),
    Route("POST", "/submissions/{spare}/disqualify", ("host", "steward"), {"reason": "a leak"}),
    Route(
        "POST",
        "/submissions/{entry}/verifications",
        ("host", "steward"),
        {"level": "artefact"},
        204,
    ),
    Route(
        "POST",
        "/tasks/acs/grants",
        ("host", "steward"),
        {"team": "team-ada", "places": 1, "reason": "asked for"},
    ),
    Route("PUT", "/tasks/acs/text", ("host", "steward"), {"text": "Hello"}),
    Route(
        "PUT",
        "/tasks/acs/leak-budget",
        ("host", "steward"),
        {"share": 1.0, "reason": "a large task"},
        204,
    ),
    Route("GET", "/tasks/acs/undisclosed", ("steward",)),
    Route("GET", "/webhooks", ROLES[1:]),
    Route(
        "POST",
        "/webhooks",
        ("ada", "bob", "host", "steward"),
        {"task": "acs", "url": "https://x.example.org/", "events": ["board.changed"]},
        409,  # this board sends none; who may not ask learns not even that
    ),
    Route("DELETE", "/webhooks/{webhook}", ("ada",), status=204),
)


@pytest.fixture
def board(config, tmp_path):
    """Two entries, a spare scored submission of ada, and a token of ada that may only read."""
    from acsbench.server.models import Webhook
    from acsbench.server.operate import new_token

    world = make_world(config, tmp_path, text=SMALL + GENEROUS)
    ids = {}
    for name, who, seed in (("entry", "ada", 0), ("rival", "bob", 1), ("spare", "ada", 2)):
        ids[name] = world.accept(who, world.task.csv(seed=seed)).submission.public_id
    world.work()
    for who, name in (("ada", "entry"), ("bob", "rival")):
        picked = world.call("PUT", "/tasks/acs/entry", who, json={"submission": ids[name]})
        assert picked.status_code == 200
    world.work()
    world.tokens["reader"] = new_token("ada@example.org", scopes=["read"], days=1).text
    ids["token"] = new_token("ada@example.org", scopes=["read"], days=1).row.public_id
    ids["webhook"] = Webhook.objects.create(
        account=world.accounts["ada"], task=world.version.task, url="https://x", secret="x"
    ).public_id
    world.ids = ids
    return world


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_it_may_and_nothing_else(board, role: str) -> None:
    told = {}
    for route in ROUTES:
        path = route.path.format(**board.ids)
        who = None if role == "visitor" else role
        if route.path == "/tasks/acs/submissions" and who:
            answer = board.submit(role, board.task.csv(seed=ROLES.index(role) + 10))
        elif route.path.endswith("/check"):
            more = {"data": board.task.csv(), "content_type": "text/csv"}
            answer = board.call(route.method, path, who, **more)
        elif route.json is not None:
            said = {
                key: value.format(**board.ids) if isinstance(value, str) else value
                for key, value in route.json.items()
            }
            answer = board.call(route.method, path, who, json=said)
        else:
            answer = board.call(route.method, path, who)
        told[route.method, route.path] = answer.status_code
    expected = {
        (route.method, route.path): route.status if role in route.may else None for route in ROUTES
    }
    for key, status in told.items():
        if expected[key] is not None:
            assert status == expected[key], (role, key, status)
        else:
            assert status in (401, 404), (role, key, status)


def test_every_route_is_in_the_table(board) -> None:
    from acsbench.server.api import api

    document = api.get_openapi_schema()
    known = {(route.method, route.path.split("?")[0].split("{")[0]) for route in ROUTES}
    for path, operations in document["paths"].items():
        for method in operations:
            short = path.removeprefix("/api/v1").replace("{slug}", "acs").split("{")[0]
            assert (method.upper(), short) in known, (method, path)


def test_a_steward_who_competes_sees_nothing_undisclosed(board) -> None:
    from acsbench.server.operate import add_member, new_team

    assert board.call("GET", "/tasks/acs/undisclosed", "steward").status_code == 200
    new_team("Stewards")
    add_member("stewards", "steward@example.org", "acs")
    assert board.call("GET", "/tasks/acs/undisclosed", "steward").status_code == 404


def test_a_team_is_made_with_all_its_members_or_not_at_all(board) -> None:
    from acsbench.errors import InputError
    from acsbench.server.models import Team
    from acsbench.server.operate import new_account, team_of_members

    new_account("gina@example.org")
    for task, emails in (("acs", ("gina@example.org", "gna@example.org")), ("mace", ())):
        with pytest.raises(InputError):
            team_of_members("Analysts", task, emails)
        assert not Team.objects.filter(name="Analysts").exists()
    made = team_of_members("Analysts", "acs", ["gina@example.org"])
    assert [one.account.email for one in made.memberships.all()] == ["gina@example.org"]


def test_a_right_on_one_task_is_none_on_another(board, tmp_path) -> None:
    from board_world import Task

    from acsbench.server.operate import load_task

    other = Task(tmp_path / "mace", slug="mace", text=SMALL)
    load_task(other.folder, other.labels_file, board.config, board.master)
    assert board.call("PUT", "/tasks/acs/text", "host", json={"text": "x"}).status_code == 200
    assert board.call("PUT", "/tasks/mace/text", "host", json={"text": "x"}).status_code == 404


def test_a_cookie_opens_nothing(board) -> None:
    cookie = {"Cookie": f"sessionid={board.tokens['ada']}; token={board.tokens['ada']}"}
    assert board.call("GET", "/submissions", headers=cookie).status_code == 401


def test_hosts_send_baselines_outside_quotas_and_others_do_not(world) -> None:
    from acsbench.server.operate import new_team

    new_team("Logistic baseline", is_baseline=True)
    for seed in range(4):
        answer = world.submit("host", world.task.csv(seed=seed), query="?team=logistic-baseline")
        assert (answer.status_code, answer.json()["quota"]["remaining_24h"]) == (201, None)
    refused = world.submit("ada", world.task.csv(), query="?team=logistic-baseline")
    assert refused.status_code == 404
    assert world.submit("ada", world.task.csv(), query="?team=team-bob").status_code == 404

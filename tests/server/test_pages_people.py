"""Every page for every role; signing in; forms; what strangers write stays text."""

from __future__ import annotations

import re

import pytest
from board_world import CARD, GENEROUS, SMALL, World, make_world

PASSWORD = "correct horse battery staple"
WHO = ("visitor", "ada", "bob", "host", "steward", "stranger")
ALL, SIGNED = WHO, WHO[1:]
PAGES = {
    "/": ALL,
    "/tasks/acs/": ALL,
    "/tasks/acs/board/": ALL,
    "/compare/?a={entry}&b={rival}": ALL,
    "/teams/team-ada/": ALL,
    "/status/": ALL,
    "/audit/": ALL,
    "/account/login/": ("visitor",),
    "/account/": SIGNED,
    "/account/3rdparty/": SIGNED,
    "/tasks/acs/submit/": SIGNED,
    "/submissions/{entry}/": ("ada",),
    "/submissions/{entry}/receipt.json": ("ada",),
    "/tasks/acs/host/": ("host", "steward"),
}


@pytest.fixture
def board(config, tmp_path) -> World:
    """Two entries, and everybody with an authenticator app where they need one."""
    from acsbench.server.entries import pick
    from acsbench.server.models import Submission
    from acsbench.server.policy import Actor
    from acsbench.server.published import published

    world = make_world(config, tmp_path, text=GENEROUS + SMALL)
    for who, quality in (("ada", 3.0), ("bob", 0.3)):
        world.accept(who, world.task.csv(quality=quality, seed=ord(who[0])))
    world.work()
    for row in Submission.objects.all():
        pick(row, world.version, published(world.version, config), Actor(row.account))
    world.work()
    for who in ("host", "steward"):
        with_app(world, who)
    return world


def with_app(world: World, who: str) -> str:
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    secret = generate_totp_secret()
    TOTP.activate(world.accounts[who], secret)
    return secret


def browser(world: World | None = None, who: str = "visitor", **how):
    """A client that keeps cookies and has to send form tokens, signed in as somebody."""
    from django.test import Client

    client = Client(enforce_csrf_checks=how.pop("checks", False))
    if world is not None and who != "visitor":
        client.force_login(world.accounts[who])
    return client


def address(template: str) -> str:
    from acsbench.server.models import Submission

    ids = dict(Submission.objects.values_list("team__slug", "public_id"))
    return template.format(entry=ids["team-ada"], rival=ids["team-bob"])


@pytest.mark.parametrize("who", WHO)
def test_every_page_opens_for_those_who_may_and_hides_from_others(board: World, who: str) -> None:
    client = browser(board, who)
    for template, may in PAGES.items():
        answer = client.get(address(template))
        if who in may:
            assert answer.status_code == 200, template
        else:
            expected = 302 if who == "visitor" or "login" in template else 404
            assert answer.status_code == expected, template
        if answer.get("Content-Type", "").startswith("text/html"):
            assert b" style=" not in answer.content
            assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_undisclosed_values_are_for_stewards_alone(board: World) -> None:
    assert "Undisclosed" in browser(board, "steward").get("/tasks/acs/host/").content.decode()
    assert "Undisclosed" not in browser(board, "host").get("/tasks/acs/host/").content.decode()


@pytest.mark.parametrize(
    "path", ["/tasks/acs/submit/", "/account/", "/tasks/acs/host/", "/account/logout/"]
)
def test_a_form_without_its_token_changes_nothing(board: World, path: str) -> None:
    from acsbench.server.models import Audit

    before = Audit.objects.count()
    answer = browser(board, "host", checks=True).post(path, {"do": "edit", "text": "x"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()
    assert Audit.objects.count() == before


def test_a_session_does_not_drive_the_api(board: World) -> None:
    client = browser(board, "ada")
    assert client.get("/api/v1/submissions").status_code == 401
    put = client.put("/api/v1/tasks/acs/entry", {}, content_type="application/json")
    assert put.status_code == 401


def form_of(page: str) -> str:
    return re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]


def filled(**changed):
    card = {**CARD, "holdout_seen": "no"}
    return {f"card-{key}": value for key, value in card.items()} | changed


def upload(client, data: bytes, name: str = "mine.csv", **changed):
    from django.core.files.uploadedfile import SimpleUploadedFile

    form = filled(file=SimpleUploadedFile(name, data), **changed)
    return client.post("/tasks/acs/submit/", form)


def test_a_bad_file_is_explained_and_a_good_one_taken(board: World) -> None:
    client = browser(board, "ada")
    lines = board.task.csv().decode().splitlines()
    lines[1] = lines[1].split(",")[0] + ",170"
    lines[3] = "<b>nobody</b>,0.5"
    answer = upload(client, "\n".join(lines).encode())
    page = answer.content.decode()
    assert answer.status_code == 422
    assert all(code in page for code in ("E20_UNKNOWN_ID", "E22_MISSING_ID", "E32_RANGE"))
    assert "line 2" in page
    assert "<b>nobody" not in page
    taken = upload(client, board.task.csv(seed=77))
    assert taken.status_code == 303
    after = client.get(taken["Location"]).content.decode()
    assert "Accepted." in after
    assert "998 in all" in after
    board.work()
    assert client.post(taken["Location"], {"do": "pick"}).status_code == 303
    assert "your team’s entry" in client.get(taken["Location"]).content.decode()


def test_the_form_names_every_field_that_is_missing(board: World) -> None:
    answer = browser(board, "ada").post("/tasks/acs/submit/", {"card-name": "", "card-kind": "x"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Choose a file." in page
    assert page.count('class="wrong"') >= 7


def test_the_attestation_is_asked_for_once(config, tmp_path) -> None:
    from acsbench.server.models import Attestation

    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "attestation.md").write_text("I <i>promise</i> *nothing* bad.")
    text = GENEROUS + SMALL + '[attestation]\nversion = "2027-01"\n'
    world = make_world(config, tmp_path, text=text)
    client = browser(world, "ada")
    assert "<em>nothing</em>" in client.get("/tasks/acs/submit/").content.decode()
    refused = upload(client, world.task.csv())
    assert (refused.status_code, Attestation.objects.count()) == (422, 0)
    assert "tick its box" in refused.content.decode()
    assert upload(client, world.task.csv(), attestation="2027-01").status_code == 303
    assert upload(client, world.task.csv(seed=4)).status_code == 303
    assert Attestation.objects.count() == 1


def test_withdrawing_asks_twice_and_leaves_the_board(board: World) -> None:
    from acsbench.server.models import Entry

    client, path = browser(board, "ada"), address("/submissions/{entry}/")
    assert client.post(path, {"do": "withdraw"}).status_code == 422
    assert client.post(path, {"do": "withdraw", "sure": "yes"}).status_code == 303
    assert not Entry.objects.filter(team__slug="team-ada", until__isnull=True).exists()
    assert browser(board, "bob").post(path, {"do": "pick"}).status_code == 404


def test_tokens_are_shown_once_and_can_be_revoked(board: World) -> None:
    from acsbench.server.models import ApiToken

    client = browser(board, "ada")
    made = client.post("/account/", {"do": "token", "scope": ["read"], "days": "7"})
    text = re.search(r"acsb_[a-z2-7]{32}", made.content.decode())[0]
    assert text not in client.get("/account/").content.decode()
    row = ApiToken.objects.latest("id")
    assert row.scopes == ["read"]
    other = {"do": "revoke", "token": row.public_id}
    assert browser(board, "bob").post("/account/", other).status_code == 404
    assert client.post("/account/", other).status_code == 303
    assert client.post("/account/", {"do": "token", "days": "7"}).status_code == 422


def test_hosts_do_their_work_on_a_page_and_it_is_on_the_chain(board: World) -> None:
    from acsbench.server.models import Audit, Submission

    client, path = browser(board, "host"), "/tasks/acs/host/"
    entry = Submission.objects.get(team__slug="team-ada")
    acts = [
        {"do": "edit", "text": "# New\n<script>alert(1)</script> [x](javascript:alert(1))"},
        {"do": "grant", "team": "team-ada", "places": "2", "reason": "a broken disk"},
        {"do": "verify", "submission": entry.public_id, "level": "reproduced", "note": "run"},
        {"do": "allow", "share": "0.7", "reason": "long enough"},
        {"do": "disqualify", "submission": entry.public_id, "reason": "trained on holdout"},
    ]
    for act in acts:
        assert client.post(path, act).status_code == 303, act
    names = set(Audit.objects.values_list("action", flat=True))
    assert {"task.edited", "quota.granted", "submission.verified", "leak.allowed"} <= names
    task = browser().get("/tasks/acs/").content.decode()
    assert "<h2>New</h2>" in task
    assert "<script>alert" not in task
    assert 'href="javascript' not in task
    assert "trained on holdout" in browser().get("/teams/team-ada/").content.decode()
    assert "trained on holdout" in browser().get("/audit/").content.decode()
    for bad in ({"do": "grant", "team": "team-ada", "places": "0"}, {"do": "x"}, {"do": "edit"}):
        assert client.post(path, bad).status_code in (303, 422)
    assert browser(board, "ada").post(path, acts[0]).status_code == 404


XSS = "\"><script>alert(1)</script>'<img src=x onerror=alert(1)>"


def test_whatever_people_write_stays_text(board: World) -> None:
    from acsbench.server.models import Submission, Team

    client = browser(board, "ada")
    Team.objects.filter(slug="team-ada").update(name=XSS[:60], affiliation=XSS)
    board.accounts["ada"].name = XSS
    board.accounts["ada"].save()
    hostile = {f"card-{key}": XSS for key in CARD if key not in ("kind", "holdout_seen")}
    taken = upload(client, board.task.csv(seed=9), name=f"{XSS}.csv", comment=XSS, **hostile)
    assert taken.status_code == 303
    board.work()
    client.post(taken["Location"], {"do": "pick"})
    board.work()
    refused = upload(client, b"ecg_id,score\n" + XSS.encode(), name=f"{XSS}.csv", **hostile)
    entry = Submission.objects.latest("id").public_id
    rival = Submission.objects.get(team__slug="team-bob").public_id
    paths = (
        *("/", "/tasks/acs/board/", "/teams/team-ada/", "/account/", "/tasks/acs/submit/"),
        *(taken["Location"], f"/compare/?a={entry}&b={rival}", f"/tasks/acs/board/?show={XSS}"),
        *(f"/tasks/acs/?version={XSS}", f"/compare/?a={XSS}", f"/account/login/?next={XSS}"),
    )
    pages = [refused, *(client.get(path) for path in paths)]
    pages.append(browser(board, "host").get("/tasks/acs/host/"))
    for page in pages:
        text = page.content.decode()
        assert "<script>alert" not in text, page.request["PATH_INFO"]
        assert "<img src=x" not in text, page.request["PATH_INFO"]


def sign_in(client, who: str, password: str = PASSWORD, **more):
    form = {"login": f"{who}@example.org", "password": password, **more}
    return client.post("/account/login/", form)


def with_password(world: World, who: str) -> None:
    world.accounts[who].set_password(PASSWORD)
    world.accounts[who].save()


def test_a_password_signs_in_and_the_session_is_a_new_one(board: World) -> None:
    with_password(board, "ada")
    assert board.accounts["ada"].password.startswith("argon2$argon2id")
    client = browser(checks=True)
    page = client.get("/account/login/").content.decode()
    assert sign_in(client, "ada").status_code == 403
    token = {"csrfmiddlewaretoken": form_of(page)}
    wrong = sign_in(client, "ada", "not this one at all", **token)
    assert "not correct" in wrong.content.decode()
    answer = sign_in(client, "ada", **token, next="/tasks/acs/submit/")
    assert (answer.status_code, answer["Location"]) == (302, "/tasks/acs/submit/")
    assert client.get("/tasks/acs/submit/").status_code == 200
    cookie = client.cookies["acsbench-session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    elsewhere = sign_in(browser(), "ada", next="https://evil.example/")
    assert "evil" not in elsewhere["Location"]


@pytest.mark.parametrize("weak", ["1q2w3e4r5t6y", "short", "ada@example.org"])
def test_a_weak_or_breached_password_is_refused(board: World, weak: str) -> None:
    from acsbench.server.sign_in.links import sign_in_link

    client = browser()
    client.post(sign_in_link(board.accounts["ada"], ""))
    answer = client.post("/account/password/set/", {"password1": weak, "password2": weak})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()


def test_a_link_of_the_operator_works_once(board: World) -> None:
    from acsbench.server.sign_in.links import sign_in_link

    path = sign_in_link(board.accounts["ada"], "")
    first, second = browser(), browser()
    assert "Sign in as ada@example.org" in first.get(path).content.decode()
    assert first.post(path)["Location"] == "/account/"
    good = {"password1": PASSWORD, "password2": PASSWORD}
    assert first.post("/account/password/set/", good).status_code == 302
    assert second.get(path).status_code == 404
    assert second.post(path).status_code == 404
    assert sign_in(second, "ada").status_code == 302


def test_a_disabled_account_is_out_at_once(board: World) -> None:
    from django.utils import timezone

    client = browser(board, "ada")
    board.accounts["ada"].disabled_at = timezone.now()
    board.accounts["ada"].save()
    assert client.get("/account/").status_code == 302


def test_hosts_need_a_second_factor_and_are_asked_for_it(config, tmp_path) -> None:
    from allauth.mfa.models import Authenticator
    from allauth.mfa.totp.internal.auth import (
        format_hotp_value,
        hotp_value,
        yield_hotp_counters_from_time,
    )

    from acsbench.server.models import ApiToken

    world = make_world(config, tmp_path, text=SMALL)
    with_password(world, "host")
    client = browser()
    assert sign_in(client, "host").status_code == 302
    closed = client.get("/tasks/acs/host/")
    assert closed.status_code == 403
    assert "Hosts need a second factor" in closed.content.decode()
    wish = {"do": "token", "scope": ["submit"], "days": "7"}
    n_tokens = ApiToken.objects.count()
    refused = client.post("/account/", wish)  # a token would do what the page does
    assert refused.status_code == 403
    assert "authenticator app" in refused.content.decode()
    assert ApiToken.objects.count() == n_tokens

    def code(secret: str) -> str:
        return format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))

    setting_up = client.get("/account/2fa/totp/activate/")
    assert setting_up.status_code == 200, setting_up["Location"]
    page = setting_up.content.decode()
    assert "data:image/svg+xml" in page
    secret = re.search(r'value="([A-Z2-7]{32})"', page)[1]
    wrong = client.post("/account/2fa/totp/activate/", {"code": "000000"})
    assert wrong.status_code == 200
    assert client.post("/account/2fa/totp/activate/", {"code": code(secret)}).status_code == 302
    stored = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in stored
    assert client.get("/tasks/acs/host/").status_code == 200
    assert client.post("/account/", wish).status_code == 201

    again = browser()
    assert sign_in(again, "host")["Location"].startswith("/account/2fa/authenticate/")
    assert again.get("/tasks/acs/host/").status_code == 302
    codes = client.get("/account/2fa/recovery-codes/").content.decode()
    recovery = re.search(r"<code>([a-z0-9-]+)", codes)[1]
    assert again.post("/account/2fa/authenticate/", {"code": recovery}).status_code == 302
    assert again.get("/tasks/acs/host/").status_code == 200


def test_the_session_key_is_made_once_and_for_its_owner_alone(config) -> None:
    from acsbench.server.setup import create_folders
    from acsbench.server.sign_in.session_key import SESSION_KEY, read_session_key

    path = config.keys / SESSION_KEY
    before = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    create_folders(config)
    assert path.read_bytes() == before
    assert read_session_key(config.keys) == before.decode().strip()
    assert len(before) > 60


def test_over_https_cookies_are_host_cookies_and_browsers_stay_there(config) -> None:
    from acsbench.server.headers import security_headers

    secure = config.model_copy(update={"public_url": "https://board.example.org"})
    assert "Strict-Transport-Security" in security_headers(secure)
    assert "Strict-Transport-Security" not in security_headers(config)


@pytest.fixture
def own_teams(board: World, monkeypatch) -> World:
    """The board where people make their own teams."""
    from django.conf import settings

    monkeypatch.setattr(settings, "BOARD", board.config.model_copy(update={"own_teams": True}))
    return board


def make_team(client, name: str, **more: str):
    client.get("/account/")
    token = client.cookies["acsbench-csrf"].value
    form = {"csrfmiddlewaretoken": token, "name": name, **more}
    return client.post("/tasks/acs/team/", form)


def test_a_stranger_makes_a_team_and_submits(own_teams: World) -> None:
    from acsbench.server.models import Audit, Membership

    client = browser(own_teams, "stranger")
    assert "Make the team" in client.get("/tasks/acs/submit/").content.decode()
    for wrong in ("", "=1+1", "Team ada", "x" * 61):
        refused = make_team(client, wrong)
        assert refused.status_code == 422, wrong
        assert 'role="alert"' in refused.content.decode()
    made = make_team(client, "心电图 team", affiliation="A clinic")
    assert made.status_code == 303
    assert made["Location"] == "/tasks/acs/submit/"
    assert 'type="file"' in client.get(made["Location"]).content.decode()
    team = Membership.objects.get(account=own_teams.accounts["stranger"]).team
    assert (team.name, team.affiliation, team.is_baseline) == ("心电图 team", "A clinic", False)
    actor = f"account:{own_teams.accounts['stranger'].public_id}"
    acts = Audit.objects.filter(actor=actor).order_by("seq").values_list("action", flat=True)
    assert list(acts) == ["team.made", "team.joined"]
    assert make_team(client, "A second one").status_code == 404
    assert Membership.objects.filter(account=own_teams.accounts["stranger"]).count() == 1


def test_a_team_of_another_task_is_taken_along_and_no_stranger_s(
    own_teams: World, tmp_path
) -> None:
    from board_world import Task

    from acsbench.server import operate
    from acsbench.server.models import Membership

    other = Task(tmp_path / "mace", slug="mace", text=SMALL)
    operate.load_task(other.folder, other.labels_file, own_teams.config, own_teams.master)
    operate.new_team("The clinic")
    operate.add_member("The clinic", "stranger@example.org", "mace")
    client = browser(own_teams, "stranger")
    assert 'value="The clinic"' in client.get("/tasks/acs/submit/").content.decode()
    assert make_team(client, "Team bob").status_code == 422
    assert make_team(client, "The clinic").status_code == 303
    mine = Membership.objects.filter(account=own_teams.accounts["stranger"])
    assert {one.team.slug for one in mine} == {"the-clinic"}
    assert mine.count() == 2


@pytest.mark.parametrize("who", ["host", "steward", "ada"])
def test_who_looks_after_a_task_or_has_a_team_makes_none(own_teams: World, who: str) -> None:
    assert make_team(browser(own_teams, who), "Another team").status_code == 404


def test_without_the_operator_s_word_nobody_makes_a_team(board: World) -> None:
    from acsbench.server.models import Team

    client = browser(board, "stranger")
    page = client.get("/tasks/acs/submit/").content.decode()
    assert "Make the team" not in page
    assert "stranger@example.org" in page
    before = Team.objects.count()
    assert make_team(client, "A team").status_code == 404
    assert Team.objects.count() == before

from __future__ import annotations

import itertools

import pytest

from acsbench.server.config import ServerConfig
from acsbench.server.states import EDGES

pytestmark = pytest.mark.usefixtures("config")


def a_submission(state: str = "queued"):
    from acsbench.server import models

    task = models.Task.objects.create(slug="acs")
    version = models.TaskVersion.objects.create(
        task=task,
        number=1,
        definition={"slug": "acs"},
        ids_sha256="0" * 64,
        ids_blob="0" * 64,
        n_rows=3,
        label_commitment="1" * 64,
    )
    return models.Submission.objects.create(
        team=models.Team.objects.create(name="Ada", slug="ada"),
        task_version=version,
        account=models.Account.objects.create(email="ada@example.org"),
        sha256="2" * 64,
        size=10,
        rows=3,
        state=state,
    )


STATES = ("queued", "scoring", "scored", "failed", "withdrawn", "disqualified")


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(STATES, 2)))
def test_the_database_knows_the_edges_between_states(old: str, new: str) -> None:
    from django.db import IntegrityError, transaction

    submission = a_submission(old)
    submission.state = new
    if (old, new) in EDGES:
        submission.save()
        return
    with pytest.raises(IntegrityError, match="no such edge"), transaction.atomic():
        submission.save()


def test_a_submission_cannot_be_deleted() -> None:
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError, match="kept"), transaction.atomic():
        a_submission().delete()


@pytest.mark.parametrize("column", ["number", "ids_sha256", "definition", "label_commitment"])
def test_an_open_task_version_is_fixed(column: str) -> None:
    from django.db import IntegrityError, transaction

    version = a_submission().task_version
    version.state = "open"
    version.save()
    setattr(version, column, {"number": 2, "definition": {"slug": "other"}}.get(column, "9" * 64))
    with pytest.raises(IntegrityError, match="fixed once it is open"), transaction.atomic():
        version.save()


def test_an_open_task_version_may_be_superseded_but_not_deleted() -> None:
    from django.db import IntegrityError, transaction

    from acsbench.server.models import Submission, TaskVersion

    version = a_submission().task_version
    TaskVersion.objects.update(state="open")
    TaskVersion.objects.update(state="superseded")
    with pytest.raises(IntegrityError), transaction.atomic():
        Submission.objects.all()._raw_delete("default")
    version.refresh_from_db()
    assert version.state == "superseded"


def _audit(seq: int) -> None:
    from acsbench.server.models import Audit

    Audit.objects.create(
        seq=seq, at="", actor="", action="", object="", prev_hash="", hash=f"{seq}"
    )


def test_the_audit_chain_is_append_only_and_gapless() -> None:
    from django.db import IntegrityError, transaction

    from acsbench.server.models import Audit

    _audit(1)
    _audit(2)
    for change in (
        lambda: _audit(4),
        lambda: Audit.objects.update(actor="me"),
        lambda: Audit.objects.filter(seq=2).delete(),
    ):
        with pytest.raises(IntegrityError, match="audit chain"), transaction.atomic():
            change()


def test_one_person_has_one_team_per_task() -> None:
    from django.db import IntegrityError, transaction
    from django.utils import timezone

    from acsbench.server.models import Membership, Team

    first = a_submission()
    other = Team.objects.create(name="Bob", slug="bob")
    account, task = first.account, first.task_version.task
    one = Membership.objects.create(team=first.team, account=account, task=task)
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(team=other, account=account, task=task)
    one.left_at = timezone.now()
    one.save()
    Membership.objects.create(team=other, account=account, task=task)


def test_an_email_is_one_account_in_any_case() -> None:
    from django.db import IntegrityError, transaction

    from acsbench.server.models import Account

    Account.objects.create(email="ada@example.org")
    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.create(email="Ada@Example.org")


def test_no_migration_is_missing(config: ServerConfig) -> None:
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_every_rule_is_in_the_database() -> None:
    from django.db import connection

    from acsbench.server.triggers import install_triggers, missing_triggers

    assert missing_triggers(connection) == []
    with connection.cursor() as cursor:
        on = "" if connection.vendor == "sqlite" else " ON board_audit"
        cursor.execute(f"DROP TRIGGER audit_gapless{on}")
    assert missing_triggers(connection) == ["audit_gapless"]
    install_triggers(connection)
    assert missing_triggers(connection) == []

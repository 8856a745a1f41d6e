"""From an uploaded file to an acknowledged submission.

Order matters: the file is synced and renamed before one transaction takes the place, writes the
submission and the audit entry, and signs the receipt. Whatever stops in between leaves no row and
at most a file that is swept later; whatever was acknowledged is on the disk.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from acsbench.leaderboard.check import check_file
from acsbench.leaderboard.definition import Limits
from acsbench.leaderboard.findings import Checked, Finding, Refused
from acsbench.leaderboard.receipts import make_receipt
from acsbench.server import audit
from acsbench.server.card import ModelCard
from acsbench.server.config import ServerConfig
from acsbench.server.models import Account, Attempt, Attestation, Submission, TaskVersion, Team
from acsbench.server.problems import Problem
from acsbench.server.published import Published, other_ids, published
from acsbench.server.quota import Places, lock_quota, places, refusals_left, taken
from acsbench.server.stores import RECEIPT_KEY, blobs, signing_key
from acsbench.server.turns import one_at_a_time

__all__ = ["Accepted", "Sender", "Upload", "accept"]


@dataclass(frozen=True)
class Sender:
    """Who sends: an account, for a team, to a task version."""

    account: Account
    team: Team
    version: TaskVersion


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What is sent: the bytes of the file, and what is said about them.

    Attributes
    ----------
    data : bytes
    card : ModelCard or None
        None takes the card of the team's last submission.
    comment : str
    key : str or None
        Idempotency key.
    attestation : str or None
        Version of the attestation the sender accepts with this upload.
    """

    data: bytes
    card: ModelCard | None = None
    comment: str = ""
    key: str | None = None
    attestation: str | None = None


@dataclass(frozen=True)
class Accepted:
    """A submission that is on the disk; `is_new` is false when it was there before."""

    submission: Submission
    is_new: bool
    places: Places
    warnings: tuple[Finding, ...]


def accept(upload: Upload, sender: Sender, config: ServerConfig) -> Accepted | Refused:
    """Check a file, store it, and record it as a submission.

    Raises
    ------
    Problem
        409 for a key that came with other bytes, 422 without card or attestation, 429 when no
        place is left or another upload of the team is being looked at.
    """
    started = time.monotonic()
    rules = published(sender.version, config)
    _refuse_when_not_open(sender.version, rules)
    with one_at_a_time(sender.team, sender.version, config):
        if not refusals_left(sender.team, sender.version, rules.task.limits):
            raise _too_many_refused(rules)
        checked = check_file(upload.data, rules, others=other_ids(sender.version, config))
        attempt = _Attempt(sender, started, len(upload.data))
        if isinstance(checked, Refused):
            attempt.write("refused", checked.codes)
            return checked
        return _store(upload, checked, sender, attempt, config)


def _store(
    upload: Upload, checked: Checked, sender: Sender, attempt: _Attempt, config: ServerConfig
) -> Accepted:
    rules = published(sender.version, config)
    limits = rules.task.limits
    if (before := _earlier(upload, checked, sender)) is not None:
        return _repeated(before, checked, attempt, limits)
    card = upload.card or _last_card(sender)
    attested = _attested(upload, sender, rules)
    blobs(config).put(checked.content, sha256=checked.sha256)
    with transaction.atomic():
        lock_quota(sender.team, sender.version)
        if (before := _earlier(upload, checked, sender)) is not None:
            return _repeated(before, checked, attempt, limits)
        had = taken(sender.team, sender.version)
        left = had.left(limits, now=timezone.now())
        if left.is_free:
            submission = Submission(
                team=sender.team,
                task_version=sender.version,
                account=sender.account,
                sha256=checked.sha256,
                size=checked.n_bytes,
                rows=rules.n_rows,
                card=card.model_dump(mode="json"),
                comment=upload.comment,
                idempotency_key=upload.key,
            )
            submission.receipt = _receipt(submission, attested, rules, config)
            submission.save()
            attempt.write("accepted", ())
            left = had.plus(submission.created_at).left(limits, now=timezone.now())
            return Accepted(submission, True, left, checked.warnings)
    attempt.write("over_quota", ())
    raise _no_place(left, rules)


def _repeated(before: Submission, checked: Checked, attempt: _Attempt, limits: Limits) -> Accepted:
    attempt.write("duplicate", ())
    left = places(before.team, before.task_version, limits)
    return Accepted(before, False, left, checked.warnings)


def _receipt(
    submission: Submission, attested: str, rules: Published, config: ServerConfig
) -> dict[str, object]:
    """Write the audit entry of a submission and sign what the team gets."""
    team, version = submission.team, submission.task_version
    entry = audit.record(
        actor=f"account:{submission.account.public_id}",
        action="submission.accepted",
        object=f"submission:{submission.public_id}",
        detail={"team": team.slug, "task_version": version.name, "sha256": submission.sha256},
    )
    return make_receipt(
        submission=submission.public_id,
        team=team.slug,
        version=rules,
        label_commitment=version.label_commitment,
        sha256=submission.sha256,
        rows=submission.rows,
        received_at=submission.created_at,
        attestation_version=attested,
        audit_seq=entry.seq,
        audit_hash=entry.hash,
        key=signing_key(config, RECEIPT_KEY),
    )


@dataclass(frozen=True)
class _Attempt:
    """Writes the line about an upload: how it ended and how long it took; nothing of the file."""

    sender: Sender
    started: float
    n_bytes: int

    def write(self, outcome: str, codes: tuple[str, ...]) -> None:
        Attempt.objects.create(
            team=self.sender.team,
            task_version=self.sender.version,
            account=self.sender.account,
            outcome=outcome,
            codes=list(codes),
            bytes=self.n_bytes,
            duration_ms=round(1000 * (time.monotonic() - self.started)),
        )


def _earlier(upload: Upload, checked: Checked, sender: Sender) -> Submission | None:
    """The submission that this upload repeats, by its key or by its bytes."""
    same = Q(task_version=sender.version, sha256=checked.sha256) & ~Q(state="failed")
    if upload.key is not None:
        same |= Q(idempotency_key=upload.key)
    found = list(
        Submission.objects.filter(same, team=sender.team).select_related(
            "team", "task_version__task"
        )
    )
    for row in found:
        if upload.key is not None and row.idempotency_key == upload.key:
            if (row.sha256, row.task_version_id) != (checked.sha256, sender.version.pk):
                raise Problem(
                    409,
                    "key_reused",
                    "This Idempotency-Key came with another file before. Take a new key for a new "
                    "file.",
                )
            return row
    return found[0] if found else None


def _last_card(sender: Sender) -> ModelCard:
    last = Submission.objects.filter(team=sender.team).order_by("-id").first()
    if last is None:
        raise Problem(
            422,
            "card_missing",
            "The first submission of a team needs a model card (acsbench submit --card card.toml; "
            "in a multipart form the part `card`). Its fields are "
            f"{', '.join(ModelCard.model_fields)}.",
        )
    return ModelCard.model_validate(last.card)


def _attested(upload: Upload, sender: Sender, rules: Published) -> str:
    """The version of the attestation that holds; recorded when it comes with this upload."""
    attestation = rules.task.attestation
    if attestation is None:
        return ""
    account, task = sender.account, sender.version.task
    if upload.attestation == attestation.version:
        Attestation.objects.get_or_create(
            account=account,
            task=task,
            version=attestation.version,
            defaults={"text_sha256": rules.attestation_sha256},
        )
        return attestation.version
    if Attestation.objects.filter(account=account, task=task, version=attestation.version).exists():
        return attestation.version
    raise Problem(
        422,
        "attestation_missing",
        f"Task '{task.slug}' asks for an attestation. Read its text at /api/v1/tasks/{task.slug} "
        f"and send `attestation={attestation.version}` with the file (acsbench submit --attest "
        f"{attestation.version}) to accept it.",
        extra={"attestation_version": attestation.version},
    )


def _refuse_when_not_open(version: TaskVersion, rules: Published) -> None:
    if version.state != TaskVersion.State.OPEN:
        raise Problem(409, "task_closed", f"Task '{rules.task.slug}' takes no submissions now.")
    if timezone.now() < rules.task.opens:
        raise Problem(
            409,
            "task_not_open_yet",
            f"Task '{rules.task.slug}' opens at {rules.task.opens.isoformat()}.",
        )


def _too_many_refused(rules: Published) -> Problem:
    return Problem(
        429,
        "too_many_refused",
        f"{rules.task.limits.invalid_per_24h} files with findings within 24 hours are the limit. "
        f"`acsbench check FILE --task {rules.task.slug}` checks as many as you like on your side.",
        headers={"Retry-After": "3600"},
    )


def _no_place(left: Places, rules: Published) -> Problem:
    limits = rules.task.limits
    when = left.next_possible_at
    detail = (
        f"No place is left: {limits.valid_per_24h} files per 24 hours and {limits.valid_total} in "
        f"all are accepted. {_when(when)} This file was not taken and does not count."
    )
    headers = {} if when is None else {"Retry-After": str(_seconds_until(when))}
    return Problem(
        429, "over_quota", detail, extra={"quota": left.model_dump(mode="json")}, headers=headers
    )


def _when(when: datetime | None) -> str:
    return (
        "There is no further one." if when is None else f"The next is free at {when.isoformat()}."
    )


def _seconds_until(when: datetime) -> int:
    return max(1, round((when - timezone.now()).total_seconds()))

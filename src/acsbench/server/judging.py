"""What the worker does with one submission: join by id, score, release what may be told.

Full precision goes to the worker's store before the database hears of it; the database gets
decimal strings alone. Scoring is deterministic, so doing it twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from acsbench.errors import StepError
from acsbench.leaderboard.check import check_file
from acsbench.leaderboard.findings import Checked
from acsbench.leaderboard.receipts import make_score_record
from acsbench.leaderboard.release import Feedback, decimal_string, feedback
from acsbench.leaderboard.scoring import Scored, provenance, score, with_resamples
from acsbench.leaderboard.signals import Peer, signals
from acsbench.leaderboard.vault import Vault, open_vault
from acsbench.leaderboard.worker_store import WorkerStore
from acsbench.server import audit
from acsbench.server.config import ServerConfig
from acsbench.server.leaks import feedback_is_paused
from acsbench.server.models import Result, Signal, Submission, TaskVersion, Team
from acsbench.server.published import Published, published
from acsbench.server.queue import Lease, finish
from acsbench.server.stores import SCORE_KEY, blobs, signing_key

__all__ = ["Judge"]

_PAUSED = "Feedback is paused until a host decides: the leak budget of this task is used up."


@dataclass
class Judge:
    """The one place that holds the vault key and the decrypted labels, in memory alone."""

    config: ServerConfig
    master: bytes
    store: WorkerStore = field(init=False)
    _vaults: dict[str, Vault] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.store = WorkerStore(self.config.scores, self.master)

    def vault(self, rules: Published) -> Vault:
        """Labels and patients of a task version; decrypted once."""
        if rules.name not in self._vaults:
            sealed = (self.config.vaults / f"{rules.name}.vault").read_bytes()
            self._vaults[rules.name] = open_vault(sealed, rules, self.master)
        return self._vaults[rules.name]

    def score(self, submission: Submission, rules: Published) -> Scored:
        """Score the accepted file of a submission under a task version.

        Raises
        ------
        StepError
            When the stored file is not one that this version accepts.
        """
        checked = check_file(blobs(self.config).get(submission.sha256), rules)
        if not isinstance(checked, Checked):
            raise StepError(
                f"The file of submission {submission.public_id} does not fit {rules.name}: "
                f"{', '.join(checked.codes)}."
            )
        return score(checked.scores, self.vault(rules).truth, rules)

    def judge(self, lease: Lease) -> None:
        """Score a leased submission and record the result, all of it or none."""
        submission = lease.submission
        version = submission.task_version
        rules = published(version, self.config)
        scored = self.score(submission, rules)
        self.store.put(submission.public_id, rules.name, scored)
        told = self._feedback(submission, version, rules, scored)
        with transaction.atomic():
            finish(lease)
            self.record(submission, version, scored, told)

    def _feedback(
        self, submission: Submission, version: TaskVersion, rules: Published, scored: Scored
    ) -> Feedback:
        if feedback_is_paused(version, submission.team):
            return Feedback(shown=None, improved=False, text=_PAUSED, bits=0.0)
        best = self.best_of(submission.team, version, rules)
        return feedback(scored, best, self.vault(rules).truth, rules)

    def best_of(self, team: Team, version: TaskVersion, rules: Published) -> Scored | None:
        """The team's last submission that the ladder showed."""
        last = (
            Result.objects.filter(task_version=version, submission__team=team, improved=True)
            .order_by("-submission_id")
            .values_list("submission__public_id", flat=True)
            .first()
        )
        return None if last is None else self.store.get(last, rules.name)

    def record(
        self, submission: Submission, version: TaskVersion, scored: Scored, told: Feedback
    ) -> Result:
        """Write a result and its audit entry, inside the caller's transaction."""
        rules = published(version, self.config)
        facts = provenance(rules)
        primary = scored.values.get(rules.task.primary)
        public = {"shown": told.shown, "improved": told.improved, "text": told.text}
        released: dict[str, Any] = {
            "feedback": public,
            "steward": _rounded(primary, rules.task.release.decimals),
        }
        result = Result.objects.create(
            submission=submission,
            task_version=version,
            released=released,
            record=self._signed(submission, rules, told),
            code_version=facts.get("acsbench", ""),
            provenance=facts,
            seed=str(rules.seed),
            improved=told.improved,
            leak_bits=told.bits,
        )
        audit.record(
            actor="worker",
            action="submission.scored",
            object=f"submission:{submission.public_id}",
            detail={"task_version": rules.name},
        )
        return result

    def _signed(self, submission: Submission, rules: Published, told: Feedback) -> dict[str, Any]:
        return make_score_record(
            submission=submission.public_id,
            version=rules,
            released={"feedback": told.shown or "", "text": told.text},
            scored_at=timezone.now().replace(second=0, microsecond=0),
            key=signing_key(self.config, SCORE_KEY),
        )

    def with_intervals(self, submission: Submission, rules: Published) -> Scored:
        """The full result of an entry; its resamples are drawn the first time it is asked for."""
        scored = self.store.get(submission.public_id, rules.name)
        if not scored.resamples:
            scored = self.with_resamples(scored, rules)
            self.store.put(submission.public_id, rules.name, scored)
        return scored

    def with_resamples(self, scored: Scored, rules: Published) -> Scored:
        """The second step of scoring: the same resamples of patients for every submission."""
        return with_resamples(scored, self.vault(rules).truth, rules)

    def review(self, result: Result) -> None:
        """Look for signals that a host should see, against the best files of other teams."""
        submission, version = result.submission, result.task_version
        rules = published(version, self.config)
        others = (
            Result.objects.filter(task_version=version, improved=True)
            .exclude(submission__team=submission.team)
            .select_related("submission__team")
        )
        peers = [
            Peer(
                team=other.submission.team.slug,
                sha256=other.submission.sha256,
                scores=self.store.get(other.submission.public_id, rules.name).scores,
            )
            for other in others
        ]
        found = signals(
            self.store.get(submission.public_id, rules.name).scores,
            sha256=submission.sha256,
            rule_based=submission.card["kind"] == "rule",
            peers=peers,
        )
        with transaction.atomic():
            for one in found:
                other_team = Team.objects.filter(slug=one.team).first() if one.team else None
                Signal.objects.create(
                    submission=submission, kind=one.kind, detail=one.detail, other_team=other_team
                )
            Result.objects.filter(pk=result.pk).update(is_reviewed=True)


def _rounded(value: float | None, decimals: int) -> str | None:
    return None if value is None else decimal_string(value, decimals)

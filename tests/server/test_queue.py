from __future__ import annotations

from datetime import timedelta

import pytest


def expire(submission) -> None:
    from django.utils import timezone

    from acsbench.server.models import Submission

    past = timezone.now() - timedelta(seconds=1)
    Submission.objects.filter(pk=submission.pk).update(lease_until=past)


def test_the_oldest_comes_first_and_is_taken_once(world) -> None:
    from acsbench.server.queue import lease_next

    first = world.accept("ada", world.task.csv()).submission
    second = world.accept("bob", world.task.csv()).submission
    assert lease_next("w1", world.config).submission.pk == first.pk
    assert lease_next("w2", world.config).submission.pk == second.pk
    assert lease_next("w3", world.config) is None


def test_a_team_is_scored_in_its_order(world) -> None:
    from acsbench.server.queue import lease_next

    first = world.accept("ada", world.task.csv()).submission
    second = world.accept("ada", world.task.csv(seed=1)).submission
    held = lease_next("w1", world.config)
    assert held.submission.pk == first.pk
    assert lease_next("w2", world.config) is None  # the ladder compares it with the first
    world.worker().judge.judge(held)
    assert lease_next("w2", world.config).submission.pk == second.pk


def test_an_expired_lease_is_taken_over_and_its_holder_refused(world) -> None:
    from acsbench.server.models import Audit, Result
    from acsbench.server.queue import LeaseLostError, lease_next, renew

    submission = world.accept("ada", world.task.csv()).submission
    slow = lease_next("w1", world.config)
    expire(submission)
    quick = lease_next("w2", world.config)
    assert quick.attempt_no == 2
    assert not renew(slow, world.config)
    judge = world.worker().judge
    with pytest.raises(LeaseLostError):
        judge.judge(slow)
    assert not Result.objects.exists()
    judge.judge(quick)
    with pytest.raises(LeaseLostError):
        judge.judge(quick)
    assert Result.objects.count() == 1
    assert Audit.objects.filter(action="submission.scored").count() == 1


def test_a_renewed_lease_is_not_taken_over(world) -> None:
    from acsbench.server.queue import lease_next, renew

    submission = world.accept("ada", world.task.csv()).submission
    lease = lease_next("w1", world.config)
    expire(submission)
    assert renew(lease, world.config)
    assert lease_next("w2", world.config) is None


def test_the_third_expiry_fails_and_gives_the_place_back(world) -> None:
    from acsbench.server.models import Audit
    from acsbench.server.published import published
    from acsbench.server.queue import lease_next
    from acsbench.server.quota import places

    submission = world.accept("ada", world.task.csv()).submission
    for _ in range(3):
        assert lease_next("w", world.config) is not None
        expire(submission)
    assert lease_next("w", world.config) is None
    submission.refresh_from_db()
    assert submission.state == "failed"
    assert Audit.objects.filter(action="submission.failed").count() == 1
    rules = published(world.version, world.config)
    assert places(submission.team, world.version, rules.task.limits).remaining_24h == 2


def test_an_error_while_scoring_says_no_value_and_is_tried_again(
    world, monkeypatch, caplog
) -> None:
    from acsbench.server import judging

    def fail(*_):
        raise ValueError("the value 0.123456789 is odd")

    submission = world.accept("ada", world.task.csv()).submission
    with monkeypatch.context() as patch, caplog.at_level("INFO"):
        patch.setattr(judging, "score", fail)
        for _ in range(4):
            world.worker().step()
    submission.refresh_from_db()
    assert submission.state == "failed"
    told = str([vars(record) for record in caplog.records])
    assert "ValueError" in told
    assert "0.123456789" not in told


def test_every_waiting_submission_is_scored(world) -> None:
    from acsbench.server.models import Result, Submission

    for who in ("ada", "bob"):
        for seed in range(2):
            world.accept(who, world.task.csv(seed=seed))
    world.work()
    assert set(Submission.objects.values_list("state", flat=True)) == {"scored"}
    assert Result.objects.count() == 4


def test_a_worker_that_starts_scores_before_it_sweeps(world, monkeypatch) -> None:
    from acsbench.server import worker

    did = []
    monkeypatch.setattr(worker, "sweep", lambda _: did.append("swept"))
    submission = world.accept("ada", world.task.csv()).submission
    working = world.worker()
    while working.step():
        submission.refresh_from_db()
        did.append(submission.state)
    assert did[0] == "scored"
    assert did.count("swept") == 1
    assert did[-1] == "swept"


def test_a_board_that_cannot_be_ranked_keeps_nobody_from_a_score(
    world, monkeypatch, caplog
) -> None:
    from acsbench.server import worker

    def fail(*_):
        raise ValueError("the value 0.123456789 is odd")

    monkeypatch.setattr(worker, "refresh_next", fail)
    working = world.worker()
    for seed in range(2):
        submission = world.accept("ada", world.task.csv(seed=seed)).submission
        with caplog.at_level("INFO"):
            while working.step():
                pass
        submission.refresh_from_db()
        assert submission.state == "scored"
    told = str([vars(record) for record in caplog.records])
    events = [record.getMessage() for record in caplog.records]
    assert events.count("board.failed") == 1  # the second time it rests
    assert "0.123456789" not in told

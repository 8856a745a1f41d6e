from __future__ import annotations

import gzip
import threading
from datetime import timedelta

import pytest
from board_world import SMALL

from acsbench.leaderboard.findings import Refused


def refusal(function):
    from acsbench.server.problems import Problem

    with pytest.raises(Problem) as caught:
        function()
    return caught.value


def test_an_accepted_file_is_stored_recorded_and_receipted(world) -> None:
    from acsbench.leaderboard.receipts import verify
    from acsbench.server.models import Attempt, Audit
    from acsbench.server.stores import blobs, published_keys

    content = world.task.csv()
    taken = world.accept("ada", gzip.compress(content))
    row = taken.submission
    assert (taken.is_new, row.state, row.rows) == (True, "queued", world.task.n_rows)
    assert blobs(world.config).get(row.sha256) == content
    verify(row.receipt, published_keys(world.config))
    link = Audit.objects.get(seq=int(row.receipt["audit_seq"]))
    assert (link.action, link.hash) == ("submission.accepted", row.receipt["audit_hash"])
    assert Attempt.objects.get().outcome == "accepted"
    assert (taken.places.remaining_24h, taken.places.remaining_total) == (1, 19)


def test_a_refused_file_leaves_an_attempt_and_no_bytes(world) -> None:
    from acsbench.server.models import Attempt, Submission
    from acsbench.server.stores import blobs

    before = list(blobs(world.config).all())
    refused = world.accept("ada", b"ecg_id,score\n")
    assert isinstance(refused, Refused)
    assert refused.codes == ("E22_MISSING_ID",)
    assert not Submission.objects.exists()
    assert Attempt.objects.get().codes == ["E22_MISSING_ID"]
    assert list(blobs(world.config).all()) == before


def test_the_same_bytes_are_the_same_submission_and_take_no_place(world) -> None:
    first = world.accept("ada", world.task.csv())
    again = world.accept("ada", gzip.compress(world.task.csv()))
    assert not again.is_new
    assert again.submission.pk == first.submission.pk
    assert again.places.remaining_24h == 1


def test_two_teams_may_send_the_same_bytes(world) -> None:
    assert world.accept("ada", world.task.csv()).is_new
    assert world.accept("bob", world.task.csv()).is_new


def test_a_key_repeats_its_submission_and_refuses_other_bytes(world) -> None:
    first = world.accept("ada", world.task.csv(), key="k1")
    assert world.accept("ada", world.task.csv(), key="k1").submission.pk == first.submission.pk
    other = world.task.csv(seed=1)
    assert refusal(lambda: world.accept("ada", other, key="k1")).status == 409
    assert world.accept("ada", other, key="k2").is_new


def test_without_a_place_the_file_is_not_taken(world) -> None:
    from acsbench.server.models import Attempt

    for seed in range(2):
        world.accept("ada", world.task.csv(seed=seed))
    problem = refusal(lambda: world.accept("ada", world.task.csv(seed=2)))
    assert (problem.status, problem.code) == (429, "over_quota")
    assert 0 < int(problem.headers["Retry-After"]) <= 86_400
    assert problem.extra["quota"]["remaining_24h"] == 0
    # what is there already can still be asked for
    assert not world.accept("ada", world.task.csv(seed=0)).is_new
    assert Attempt.objects.filter(outcome="over_quota").count() == 1


def test_too_many_files_with_findings_are_not_looked_at(world) -> None:
    for _ in range(30):
        world.accept("ada", b"nothing")
    assert refusal(lambda: world.accept("ada", world.task.csv())).code == "too_many_refused"
    assert world.accept("bob", world.task.csv()).is_new


def test_the_first_submission_needs_a_card_and_later_ones_take_it_over(world) -> None:
    assert refusal(lambda: world.accept("ada", world.task.csv(), card=None)).code == "card_missing"
    world.accept("ada", world.task.csv())
    later = world.accept("ada", world.task.csv(seed=1), card=None).submission
    assert later.card["name"] == "a model"


def test_a_submission_that_failed_may_be_sent_again(world) -> None:
    from acsbench.server.models import Submission

    first = world.accept("ada", world.task.csv()).submission
    Submission.objects.filter(pk=first.pk).update(state="scoring")
    Submission.objects.filter(pk=first.pk).update(state="failed")
    again = world.accept("ada", world.task.csv())
    assert again.is_new
    assert again.places.remaining_24h == 1


def test_one_upload_of_a_team_is_looked_at_at_a_time(world) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    from acsbench.server.turns import one_at_a_time

    sender = world.sender("ada")
    with (
        one_at_a_time(sender.team, sender.version, world.config),
        ThreadPoolExecutor(1) as other,  # a connection of its own, as another request has
    ):
        problem = other.submit(refusal, lambda: world.accept("ada", world.task.csv())).result()
        assert (problem.status, problem.code) == (429, "upload_in_progress")
        assert other.submit(world.accept, "bob", world.task.csv()).result().is_new
        other.submit(lambda: connection.close()).result()  # noqa: PLW0108  each thread has its own


def test_fifty_parallel_uploads_for_one_place_give_one_submission(world, monkeypatch) -> None:
    from contextlib import nullcontext

    from django.db import connection

    from acsbench.server import accept as module
    from acsbench.server.models import Submission
    from acsbench.server.problems import Problem

    # the reservation alone decides: the lock on whole uploads would hide a race
    monkeypatch.setattr(module, "one_at_a_time", lambda *_: nullcontext())
    world.accept("ada", world.task.csv(seed=99))
    outcomes, start = [], threading.Barrier(50)

    def one(seed: int) -> None:
        start.wait()
        try:
            outcomes.append(world.accept("ada", world.task.csv(seed=seed)).is_new)
        except Problem as problem:
            outcomes.append(problem.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [True, *["over_quota"] * 49]
    assert Submission.objects.count() == 2


ATTESTED = '\n[attestation]\nversion = "2027-01"\ntext = "attestation.md"\n'


def test_an_attestation_is_asked_for_once_in_its_words(config, tmp_path) -> None:

    from board_world import make_world

    from acsbench.server.models import Attestation

    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "attestation.md").write_text("I did not look.")
    world = make_world(config, tmp_path, text=SMALL + ATTESTED)
    first = world.task.csv()
    assert refusal(lambda: world.accept("ada", first)).code == "attestation_missing"
    assert refusal(lambda: world.accept("ada", first, attestation="2026-01")).status == 422
    taken = world.accept("ada", first, attestation="2027-01").submission
    assert taken.receipt["attestation_version"] == "2027-01"
    assert world.accept("ada", world.task.csv(seed=1)).is_new
    assert len(Attestation.objects.get().text_sha256) == 64


def test_a_task_that_is_not_open_yet_takes_nothing(world, monkeypatch) -> None:
    from acsbench.server import accept as module

    early = module.timezone.now() - timedelta(days=3650)
    monkeypatch.setattr(module.timezone, "now", lambda: early)
    assert refusal(lambda: world.accept("ada", world.task.csv())).code == "task_not_open_yet"


@pytest.mark.parametrize("stop", ["put", "transaction", "audit"])
def test_what_stops_before_the_commit_leaves_no_row(world, monkeypatch, stop) -> None:
    from acsbench.server import accept as module
    from acsbench.server.blobs import Blobs
    from acsbench.server.models import Audit, Submission

    def fall(*_, **__):
        raise OSError("the power went")

    n_audit = Audit.objects.count()
    with monkeypatch.context() as patch:
        if stop == "put":
            patch.setattr(Blobs, "put", fall)
        elif stop == "transaction":
            patch.setattr(module, "lock_quota", fall)
        else:
            patch.setattr(module, "make_receipt", fall)  # after the audit entry was written
        with pytest.raises(OSError, match="power"):
            world.accept("ada", world.task.csv())
    assert not Submission.objects.exists()
    assert Audit.objects.count() == n_audit
    assert world.accept("ada", world.task.csv()).is_new  # the retry adopts what lies there

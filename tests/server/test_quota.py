from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from acsbench.leaderboard.definition import Limits

HOUR = timedelta(hours=1)


def at(world, *times: datetime) -> None:
    """Submissions that were accepted at these times."""
    from acsbench.server.models import Submission

    sender = world.sender("ada")
    for time in times:
        Submission.objects.create(
            team=sender.team,
            task_version=world.version,
            account=sender.account,
            sha256=f"{Submission.objects.count():064d}",
            size=1,
            rows=1,
            created_at=time,
        )


def left(world, now: datetime, **limits: int):
    from acsbench.server.quota import places

    return places(world.sender("ada").team, world.version, Limits(**limits), now=now)


@pytest.mark.parametrize(
    "noon",
    [
        datetime(2027, 3, 28, 0, 30, tzinfo=UTC),  # clocks go forward in Europe
        datetime(2027, 10, 31, 0, 30, tzinfo=UTC),  # and back
        datetime(2028, 2, 28, 23, 59, tzinfo=UTC),  # the next day is the 29th
        datetime(2027, 12, 31, 23, 59, tzinfo=UTC),
    ],
)
def test_a_place_is_free_again_exactly_24_hours_later(world, noon: datetime) -> None:
    at(world, noon, noon + 3 * HOUR)
    full = left(world, noon + 23 * HOUR)
    assert (full.remaining_24h, full.remaining_total) == (0, 18)
    assert full.next_possible_at == noon + 24 * HOUR
    assert left(world, noon + 24 * HOUR - timedelta(microseconds=1)).remaining_24h == 0
    assert left(world, noon + 24 * HOUR).remaining_24h == 1
    assert left(world, noon + 27 * HOUR).remaining_24h == 2


def test_the_whole_of_a_version_has_an_end(world) -> None:
    start = datetime(2027, 1, 1, tzinfo=UTC)
    at(world, *(start + timedelta(days=n) for n in range(20)))
    spent = left(world, start + timedelta(days=40))
    assert (spent.remaining_24h, spent.remaining_total) == (0, 0)
    assert spent.next_possible_at is None
    assert not spent.is_free


def test_granted_places_count_today_and_in_all(world) -> None:
    from acsbench.server.models import Grant

    now = datetime(2027, 1, 2, tzinfo=UTC)
    at(world, now - HOUR, now - HOUR)
    assert not left(world, now).is_free
    Grant.objects.create(
        team=world.sender("ada").team,
        task_version=world.version,
        places=3,
        reason="the disk was full",
        by=world.accounts["host"],
        created_at=now - HOUR,
    )
    assert left(world, now).remaining_24h == 3
    assert left(world, now).remaining_total == 21


def test_failed_submissions_take_no_place(world) -> None:
    from acsbench.server.models import Submission

    now = datetime(2027, 1, 2, tzinfo=UTC)
    at(world, now - HOUR, now - HOUR)
    Submission.objects.update(state="scoring")
    Submission.objects.update(state="failed")
    assert left(world, now).remaining_24h == 2


def test_withdrawn_submissions_keep_their_place(world) -> None:
    from acsbench.server.models import Submission

    now = datetime(2027, 1, 2, tzinfo=UTC)
    at(world, now - HOUR)
    for state in ("scoring", "scored", "withdrawn"):
        Submission.objects.update(state=state)
    assert left(world, now).remaining_24h == 1


def test_baselines_have_no_limit(world) -> None:
    from acsbench.server.operate import new_team
    from acsbench.server.quota import places

    found = places(new_team("A baseline", is_baseline=True), world.version, Limits())
    assert (found.remaining_24h, found.remaining_total, found.is_free) == (None, None, True)


def test_picks_are_counted_over_thirty_days(world) -> None:
    from django.utils import timezone

    from acsbench.server.models import Entry, Submission
    from acsbench.server.quota import picks_left

    at(world, timezone.now())
    sender, submission = world.sender("ada"), Submission.objects.get()
    for days in (1, 2, 31):
        Entry.objects.create(
            team=sender.team,
            task_version=world.version,
            submission=submission,
            until=timezone.now(),
            created_at=timezone.now() - timedelta(days=days),
        )
    assert picks_left(sender.team, world.version, Limits()) == 1

from __future__ import annotations

import re
from datetime import timedelta


def measured(world) -> dict[str, float]:
    token = (world.config.keys / "metrics.token").read_text().strip()
    answer = world.call("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.content
    lines = [one for one in answer.content.decode().splitlines() if not one.startswith("#")]
    return {name: float(value) for name, value in (one.rsplit(" ", 1) for one in lines)}


def test_what_a_host_watches_is_counted(world) -> None:
    from acsbench.server.models import Submission

    empty = measured(world)
    assert empty["acsbench_score_seconds_count"] == 0
    assert empty['acsbench_quota_use_24h{task_version="acs-v1"}'] == 0
    first = world.accept("ada", world.task.csv()).submission
    assert measured(world)["acsbench_waiting"] == 1
    world.accept("bob", b"ecg_id,score\nx,1\n")
    world.work()
    scored = Submission.objects.get(pk=first.pk)
    Submission.objects.filter(pk=first.pk).update(
        created_at=scored.scored_at - timedelta(seconds=7)
    )
    told = measured(world)
    assert told["acsbench_score_seconds_sum"] == 7
    assert told['acsbench_score_seconds_24h{quantile="0.99"}'] == 7
    assert told['acsbench_quota_use_24h{task_version="acs-v1"}'] == 1 / 4  # two teams of two
    assert told["acsbench_waiting"] == 0
    assert told["acsbench_workers"] == 1
    assert told['acsbench_refusals_24h{code="E22_MISSING_ID"}'] == 1
    assert told['acsbench_leak_share{task_version="acs-v1"}'] > 0
    assert told["acsbench_lease_expiries_total"] == 0


def test_no_metric_names_a_score(world) -> None:
    """A value with more than two decimals in [0.4, 1) could be one; times are not."""
    world.accept("ada", world.task.csv())
    world.work()
    shown = world.call("GET", "/submissions", "ada").json()["items"][0]["feedback"][0]["shown"]
    assert re.fullmatch(r"0\.\d{3}", shown)
    assert all(f"{value:.3f}" != shown for value in measured(world).values())

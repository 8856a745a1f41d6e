from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acsbench import parallel
from acsbench.errors import ConfigError, InputError, StepError
from acsbench.parallel import Eta, Workers, iter_units, map_units


def square(n: int) -> int:
    return n * n


def fail_at_three(n: int) -> int:
    if n == 3:
        raise StepError("three is too many")
    return n


def die(n: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return n


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_results_come_in_the_order_of_the_units(n_jobs: int) -> None:
    assert map_units(square, range(7), n_jobs=n_jobs) == [n * n for n in range(7)]


def test_no_units_give_no_results() -> None:
    assert map_units(square, []) == []


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_first_error_of_a_unit_comes_out_unchanged(n_jobs: int) -> None:
    with pytest.raises(StepError, match="three is too many"):
        map_units(fail_at_three, range(5), n_jobs=n_jobs)


def test_a_killed_worker_is_explained() -> None:
    with pytest.raises(StepError, match=r"worker process was killed.*start again"):
        map_units(die, range(4), n_jobs=2)


def test_work_stops_when_nobody_wants_more_of_it(tmp_path: Path) -> None:
    def touch(n: int) -> int:
        (tmp_path / str(n)).touch()
        return n

    results = iter_units(touch, range(5), workers=Workers(n_jobs=1))
    assert next(results) == 0
    results.close()
    assert [p.name for p in tmp_path.iterdir()] == ["0"]


@pytest.mark.parametrize("options", [{"engine": "dask"}, {"scheduler": "tcp://host:8786"}])
def test_dask_and_an_address_go_together(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="go together"):
        Workers(**options)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(parallel, "_PATIENCE", "1s")
    nobody = Workers(engine="dask", scheduler="tcp://127.0.0.1:1")
    with pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        map_units(square, range(2), workers=nobody)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(
    st.lists(st.floats(0.1, 10), min_size=40, max_size=200),
    st.floats(0.1, 5),
    st.randoms(use_true_random=False),
)
def test_the_time_left_is_right_within_a_fifth_where_costs_are_known(
    costs: list[float], pace: float, noise: object
) -> None:
    clock = Clock()
    eta = Eta(sum(costs), clock=clock)
    assert eta.seconds_left is None
    seconds = [cost * pace * noise.uniform(0.9, 1.1) for cost in costs]
    for n, cost in enumerate(costs):
        clock.now += seconds[n]
        eta.advance(cost)
        if any(abs(eta.done / eta.total - share) < 0.02 for share in (0.25, 0.5, 0.75)):
            truth = sum(seconds[n + 1 :])
            assert eta.seconds_left == pytest.approx(truth, rel=0.2)

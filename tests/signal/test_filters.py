from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import signal as scipy_signal
from scipy import stats

from acsbench.signal.filters import (
    bandpass_sections,
    baseline,
    exact_modes,
    fill_short_gaps,
    filter_support,
    finite_runs,
)

RATE = 500.0
SECTIONS = bandpass_sections(0.5, 100, order=2, sampling_rate=RATE)
PADDING = 1500

numbers = st.floats(-5, 5, allow_nan=False, width=32)
signals = hnp.arrays(np.float64, st.integers(2, 400), elements=numbers)
gappy = hnp.arrays(
    np.float64, st.integers(2, 200), elements=st.one_of(numbers, st.just(float("nan")))
)


def clean(samples: NDArray[np.float64], *, padding: int = PADDING) -> NDArray[np.float64]:
    return filter_support(samples, SECTIONS, padding=padding)


@pytest.mark.parametrize("corners", [(0, 40), (40, 0.5), (0.5, 250), (-1, 40)])
def test_corners_out_of_order_are_refused(corners: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="need 0 < low < high < 250"):
        bandpass_sections(*corners, order=2, sampling_rate=RATE)


@given(signals, st.floats(-3, 3), st.floats(-3, 3))
@settings(max_examples=30, deadline=None)
def test_the_filter_is_linear(x: NDArray[np.float64], a: float, b: float) -> None:
    y = np.roll(x, 1)[::-1].copy()
    together = clean(a * x + b * y)
    np.testing.assert_allclose(together, a * clean(x) + b * clean(y), atol=1e-8)


@given(gappy)
@settings(max_examples=50, deadline=None)
def test_nan_stays_nan_and_nothing_else_becomes_it(x: NDArray[np.float64]) -> None:
    np.testing.assert_array_equal(np.isnan(clean(x)), np.isnan(x))


def test_the_filter_shifts_nothing_in_time() -> None:
    pulse = np.exp(-0.5 * ((np.arange(5000) - 2500) / 10) ** 2)
    filtered = clean(pulse)
    assert filtered.argmax() == 2500
    np.testing.assert_allclose(filtered[1:], filtered[1:][::-1], atol=1e-6)


def test_the_gain_is_half_at_the_corners_and_one_between() -> None:
    t = np.arange(40_000) / RATE
    for hz, gain in ((0.5, 0.5), (100.0, 0.5), (10.0, 1.0)):
        middle = clean(np.sin(2 * np.pi * hz * t))[15_000:25_000]
        assert np.sqrt(2) * middle.std() == pytest.approx(gain, abs=0.01)


def test_each_run_is_filtered_as_if_it_were_alone() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 1250))
    joined = np.concatenate([first, [np.nan] * 100, 50 * second])
    filtered = clean(joined)
    np.testing.assert_array_equal(filtered[:1250], clean(first))
    np.testing.assert_array_equal(filtered[1350:], clean(50 * second))


def test_an_offset_leaves_no_trace_with_long_padding_and_does_with_short() -> None:
    t = np.arange(5000) / RATE
    wander = np.sin(2 * np.pi * 0.15 * t + 1)  # breathing, under the corner
    ends = np.r_[:1000, 4000:5000]
    reference = np.tile(np.concatenate([wander, wander[::-1]]), 5)
    truth = scipy_signal.sosfiltfilt(SECTIONS, reference)[20_000:25_000]
    long, short = (clean(wander, padding=n) - truth for n in (4999, 33))
    assert np.abs(long[ends]).max() < 0.05
    assert np.abs(short[ends]).max() > 3 * np.abs(long[ends]).max()


def test_padding_is_shortened_where_a_run_is() -> None:
    assert np.isfinite(clean(np.arange(5.0))).all()


@given(gappy)
@settings(deadline=None)
def test_runs_cover_the_finite_samples_in_order_and_nothing_else(x: NDArray[np.float64]) -> None:
    covered = np.zeros(x.shape, bool)
    last = -1
    for run in finite_runs(x):
        assert run.start > last
        last = run.stop
        assert not covered[run].any()
        covered[run] = True
    np.testing.assert_array_equal(covered, np.isfinite(x))


def test_short_gaps_become_straight_lines_and_long_ones_stay() -> None:
    nan = np.nan
    x = np.array([nan, 0.0, nan, nan, 3.0, nan, nan, nan, 7.0, nan])
    expected = np.array([nan, 0.0, 1.0, 2.0, 3.0, nan, nan, nan, 7.0, nan])
    np.testing.assert_allclose(fill_short_gaps(x, longest=2), expected)
    assert np.isnan(x[2])  # the input is not touched


def test_the_baseline_is_the_most_frequent_value_on_a_grid() -> None:
    rng = np.random.default_rng(1)
    beats = rng.normal(0, 0.3, 1250)
    beats[200:900] = 0.115  # isoelectric
    on_grid = np.rint(beats / 0.005) * 0.005
    assert baseline(on_grid) == pytest.approx(0.115)
    assert baseline(beats + rng.normal(0, 0.0005, 1250)) == pytest.approx(0.115, abs=0.0026)


def test_the_baseline_of_continuous_values_is_never_their_minimum() -> None:
    spread = np.random.default_rng(2).uniform(-20, 1, 5000)  # no bin holds a hundredth
    assert baseline(spread) == pytest.approx(np.median(spread))


def test_the_baseline_ignores_gaps_and_is_zero_for_a_missing_lead() -> None:
    assert baseline(np.array([np.nan, 0.2, 0.2, np.nan])) == pytest.approx(0.2)
    assert baseline(np.full(10, np.nan)) == 0
    assert baseline(np.zeros(0)) == 0


def test_the_baseline_of_absurd_values_is_their_median() -> None:
    assert baseline(np.array([0.0, 1e9, 1e9])) == 1e9


@given(signals, st.integers(-200, 200))
@settings(deadline=None)
def test_a_lifted_lead_has_a_lifted_baseline(x: NDArray[np.float64], steps: int) -> None:
    on_grid = np.rint(x / 0.005) * 0.005
    assert baseline(on_grid + steps * 0.005) == pytest.approx(
        baseline(on_grid) + steps * 0.005, abs=1e-9
    )


@given(
    hnp.arrays(np.float64, (3, 40), elements=st.integers(-50, 50).map(float)),
    st.sampled_from(["float64", "float32", "continuous"]),
)
@settings(deadline=None)
def test_counted_modes_are_the_sorted_ones(steps: NDArray[np.float64], kind: str) -> None:
    rows = steps * 0.005
    if kind == "float32":
        rows = rows.astype(np.float32).astype(np.float64)
    if kind == "continuous":
        rows = rows + np.linspace(0, 0.001, 40)
    finite = np.ones(rows.shape, bool)
    finite[0, :7] = False
    finite[2] = False
    found = exact_modes(rows, finite=finite)
    for row, ok, mode in zip(rows[:2], finite[:2], found[:2], strict=True):
        assert mode == stats.mode(row[ok]).mode
    assert np.isnan(found[2])

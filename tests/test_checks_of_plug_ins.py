"""The checks for authors of recipes and metrics: built-ins pass, each fault is found."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from acsbench import registry
from acsbench.evaluation.metrics import brier
from acsbench.recording import Recording, Waveform
from acsbench.testing import check_metric, check_recipe
from acsbench.waveforms.recipes import recorded_12

# HuBERT's paper input is the first 5 s, in which a page prints nothing of V2: no trace is right
RECIPES = [name for name in registry.BUILT_INS["recipes"] if name != "paper_hubert_100hz"]
PARAMETERS = {"paper_12x10s": {"duration_s": 10.0}}


@pytest.mark.parametrize("name", RECIPES)
def test_built_in_recipes_pass(name: str) -> None:
    check_recipe(name, **PARAMETERS.get(name, {}))


@pytest.mark.parametrize("name", list(registry.BUILT_INS["metrics"]))
def test_built_in_metrics_pass(name: str) -> None:
    check_metric(name)


def in_float64(recording: Recording) -> Waveform:
    made = recorded_12(recording)
    return replace(made, signal=made.signal.astype(np.float64))


def in_microvolts(recording: Recording) -> Waveform:
    made = recorded_12(recording)
    return replace(made, signal=1000 * made.signal)


def with_nan(recording: Recording) -> Waveform:
    made = recorded_12(recording)
    made.signal[0, 0] = np.nan
    return made


def changing(recording: Recording) -> Waveform:
    recording.signal[0] += 1
    return recorded_12(recording)


def uncut(recording: Recording) -> Waveform:
    signal = np.nan_to_num(recording.signal).astype(np.float32)
    return Waveform(
        signal=signal,
        mask=np.isfinite(recording.signal).astype(np.uint8),
        lead_names=recording.lead_names,
        sampling_rate=recording.sampling_rate,
        units=recording.units,
    )


def maskless(recording: Recording) -> Waveform:
    made = recorded_12(recording)
    return replace(made, mask=np.ones_like(made.mask))


_calls = itertools.count()


def noisy(recording: Recording) -> Waveform:
    made = recorded_12(recording)
    return replace(made, signal=made.signal + np.float32(next(_calls)) / 1000)


@pytest.mark.parametrize(
    ("recipe", "finding"),
    [
        (in_float64, "expected float32"),
        (in_microvolts, "a store cannot hold"),
        (with_nan, "NaN"),
        (changing, "it changes the recording"),
        (uncut, "one of 12 s gives another shape"),
        (uncut, "it takes a recording of 1 s"),
        (maskless, "leaves no trace in the mask"),
        (noisy, "a second call gives another waveform"),
        (lambda recording: recording.signal, "expected a Waveform"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_a_recipe_s_fault_is_found(
    recipe: Callable[[Recording], Any], finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "load", lambda *_: recipe)
    with pytest.raises(AssertionError, match=finding):
        check_recipe("theirs")


def sorting(labels: Any, scores: Any) -> float:
    scores.sort()
    return brier(labels, scores)


@pytest.mark.parametrize(
    ("metric", "finding"),
    [
        (lambda labels, scores: float("nan"), "expected one finite number"),
        (lambda labels, scores: [brier(labels, scores)], "expected one finite number"),
        (sorting, "it changes the arrays"),
        (lambda labels, scores: float(next(_calls)), "a second call gives another value"),
        (lambda labels, scores: float(scores[0]), "the order of the rows"),
        (lambda labels, _: float(labels.dtype.itemsize), "labels as flags"),
        (lambda labels, scores: float(scores[labels == 1].mean()), "expected NotEstimable"),
    ],
    ids=["nan", "list", "sorting", "counting", "first", "flags", "one-class"],
)
def test_a_metric_s_fault_is_found(
    metric: Callable[..., Any], finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "load", lambda *_: metric)
    with pytest.raises(AssertionError, match=finding):
        check_metric("theirs")

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import SMALL, sets

from acsbench.errors import ConfigError, StepError
from acsbench.models.base import load_model, make_model
from acsbench.models.calibrate import apply_lines, fit_lines
from acsbench.store import WaveformStore

MEMBERS = [
    {"model": "resnet18", "parameters": SMALL},
    {"model": "logistic", "parameters": {"features": ("age",)}},
]


def test_an_ensemble_is_the_mean_of_its_calibrated_members(
    store: WaveformStore, tmp_path: Path
) -> None:
    train, val, test = sets(store)
    model = make_model("ensemble", members=MEMBERS, folder=tmp_path / "f").fit(train, val)
    logits = []
    for member, lines in zip(model.members, model.lines, strict=True):
        p = member.predict_proba(test)[:, 1:]
        logits.append(apply_lines(np.log(p / (1 - p)), lines))
    wanted = 1 / (1 + np.exp(-np.mean(logits, axis=0)))
    np.testing.assert_allclose(model.predict_proba(test)[:, 1:], wanted, rtol=1e-9)
    model.save(tmp_path / "e")
    again = load_model(tmp_path / "e")
    np.testing.assert_array_equal(again.predict_proba(test), model.predict_proba(test))
    runs = [{"folder": tmp_path / "e" / f"member-{i}"} for i in (0, 1)]
    of_runs = make_model("ensemble", members=runs).fit(train, val)
    np.testing.assert_array_equal(of_runs.predict_proba(test), model.predict_proba(test))


def test_members_that_cannot_be_joined_are_refused(store: WaveformStore, tmp_path: Path) -> None:
    train, val, test = sets(store)
    with pytest.raises(ConfigError, match="either a model to train or the folder"):
        make_model("ensemble", members=[{}])
    make_model("flag:age").save(tmp_path)
    with pytest.raises(ConfigError, match="gives ranks"):
        make_model("ensemble", members=[{"folder": tmp_path}]).fit(train, val)
    other = [{"model": "resnet18", "parameters": {"recipe": "recorded_12"}}]
    with pytest.raises(ConfigError, match="needs recipe 'recorded_12'"):
        make_model("ensemble", members=other).fit(train, val)
    with pytest.raises(StepError, match="not fitted"):
        make_model("ensemble").predict_proba(test)


def test_calibration_keeps_the_order_and_meets_the_rate() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 1))
    labels = (rng.random(4000) < 1 / (1 + np.exp(-(0.5 * logits[:, 0] - 2)))).astype(np.float32)
    ((slope, intercept),) = fit_lines(logits * 3 + 1, labels)
    calibrated = apply_lines(logits * 3 + 1, ((slope, intercept),))
    assert np.mean(1 / (1 + np.exp(-calibrated))) == pytest.approx(labels.mean(), abs=1e-3)
    assert slope == pytest.approx(0.5 / 3, rel=0.15)
    assert (np.argsort(calibrated[:, 0]) == np.argsort(logits[:, 0])).all()
    assert fit_lines(-logits, labels) == ((1.0, 0.0),), "no slope turns the order round"

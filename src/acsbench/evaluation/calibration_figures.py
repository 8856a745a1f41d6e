"""Calibration of the models: figures with intervals, reliability curves, recalibration."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.bootstrap import bootstrap
from acsbench.evaluation.calibration import (
    brier_parts,
    calibration_line,
    consistency_band,
    ece10,
    fit_offset,
    smooth_errors,
    spiegelhalter_z,
)
from acsbench.evaluation.calibration_sample import (
    curve_positions,
    score_statistic,
    smooth_statistic,
)
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Figure, Findings, attempt, with_percentiles
from acsbench.evaluation.intervals import quantile, two_sided_p
from acsbench.evaluation.judged import Judged
from acsbench.evaluation.metrics import (
    NotEstimable,
    brier,
    log_loss,
    oe_ratio,
    scaled_brier,
)
from acsbench.evaluation.recalibration import METHODS, fit_map
from acsbench.evaluation.smoothing import local_fit
from acsbench.evaluation.weighted import Statistic

__all__ = ["calibration_figures", "cox_figures"]

Floats = NDArray[np.float64]

_N_BINS = 20
_N_BAND_DRAWS = 200
_SUMMED = {
    "brier": brier,
    "scaled_brier": scaled_brier,
    "log_loss": log_loss,
    "oe_ratio": oe_ratio,
}
_SMOOTH = ("ici", "e50", "e90", "emax")
_PARTS = ("mcb", "dsc", "unc")
_BIASED = "no interval: a resample is never calibrated on itself, so the bootstrap is biased"


def calibration_figures(judged: Judged, config: EvaluateConfig, findings: Findings) -> None:
    """Write all of calibration for every model that gives probabilities."""
    for model in judged.entries:
        if judged.no_probability(model):
            _refuse(judged, model, findings)
    if not judged.probabilities:
        return
    statistics: dict[str, Statistic] = {}
    for model, p in judged.probabilities.items():
        positives, patients = judged.labels == 1, judged.patients
        statistics[f"sums {model}"] = score_statistic(positives, p, patients, judged.n_patients)
        statistics[f"smooth {model}"] = smooth_statistic(positives, p, patients)
    sampled = bootstrap(
        statistics,
        n_patients=judged.n_patients,
        n_resamples=config.n_resamples,
        seed=config.seed,
    )
    for model, p in judged.probabilities.items():
        for column, (name, function) in enumerate(_SUMMED.items()):
            values = sampled[f"sums {model}"][:, column]
            value, reason = attempt(partial(function, judged.labels, p))
            findings.row(judged, model, name, with_percentiles(value, reason, values, config.level))
        for name, figure in cox_figures(judged, model, level=config.level).items():
            findings.row(judged, model, name, figure)
        smooth = sampled[f"smooth {model}"]
        _smooth_rows(judged, model, smooth[:, :4], config, findings)
        _point_rows(judged, model, findings)
        _curves(judged, model, smooth[:, 4:], config, findings)
        _recalibrate(judged, model, findings)


def _refuse(judged: Judged, model: str, findings: Findings) -> None:
    names = [*_SUMMED, "cal_intercept", "cal_slope", *_SMOOTH, *_PARTS, "ece10", "spiegelhalter_z"]
    for name in names:
        figure = Figure(None, "not_done", reason=judged.no_probability(model))
        findings.row(judged, model, name, figure)


def cox_figures(judged: Judged, model: str, *, level: float) -> dict[str, Figure]:
    """Calibration in the large and slope, with the sandwich of the patients."""
    labels, p, patients = judged.labels, judged.probabilities[model], judged.patients
    figures = {}
    for name, fit in (("cal_intercept", fit_offset), ("cal_slope", calibration_line)):
        try:
            found = fit(labels, p, patients=patients)
        except NotEstimable as refusal:
            figures[name] = Figure(None, "cluster_sandwich", reason=refusal.reason)
            continue
        value = float(found.coefficients[-1])
        if found.clustered is None:
            figures[name] = Figure(value, "cluster_sandwich", reason="fewer than 2 patients")
            continue
        se = float(np.sqrt(found.clustered[-1, -1]))
        null = 0.0 if name == "cal_intercept" else 1.0
        reach = quantile(level) * se
        p_value = two_sided_p((value - null) / se) if se > 0 else None
        figures[name] = Figure(value, "cluster_sandwich", value - reach, value + reach, p_value)
    return figures


def _smooth_rows(
    judged: Judged, model: str, sampled: Floats, config: EvaluateConfig, findings: Findings
) -> None:
    errors = smooth_errors(judged.labels, judged.probabilities[model])
    for column, name in enumerate(_SMOOTH):
        figure = with_percentiles(errors[column], None, sampled[:, column], config.level)
        findings.row(judged, model, name, figure)


def _point_rows(judged: Judged, model: str, findings: Findings) -> None:
    """What has no interval: the parts of the Brier score, the binned error, Spiegelhalter's z."""
    labels, p = judged.labels, judged.probabilities[model]
    parts = brier_parts(labels, p)
    for name in _PARTS:
        findings.row(judged, model, name, Figure(getattr(parts, name), "pav", reason=_BIASED))
    reason = "no interval: it depends on the bins, and is a secondary figure"
    binned = Figure(ece10(labels, p), "ten_equal_width_bins", reason=reason)
    findings.row(judged, model, "ece10", binned)
    z, reason_z = attempt(lambda: spiegelhalter_z(labels, p))
    p_value = None if z is None else two_sided_p(z)
    reason_z = reason_z or "no interval: it is a test statistic"
    figure = Figure(z, "rows_independent", p_value=p_value, reason=reason_z)
    findings.row(judged, model, "spiegelhalter_z", figure)


def _curves(
    judged: Judged, model: str, smooth: Floats, config: EvaluateConfig, findings: Findings
) -> None:
    labels, p = judged.labels, judged.probabilities[model]
    curve = brier_parts(labels, p).curve
    # ends of the flat stretches say all of a step function
    ends = np.r_[True, (curve.y[1:-1] != curve.y[:-2]) | (curve.y[1:-1] != curve.y[2:]), True]
    kept = np.flatnonzero(ends[: len(curve.x)])
    x, y = curve.x[kept], curve.y[kept]
    band = consistency_band(p, x, n_draws=_N_BAND_DRAWS, seed=config.seed, level=config.level)
    n = np.bincount(np.searchsorted(x, p).clip(max=len(x) - 1), minlength=len(x))
    findings.curve(judged, model, "reliability", x=x, y=y, band=band, n=n)
    at = curve_positions(p)
    fitted = local_fit(p, (labels == 1).astype(np.float64), at)
    tails = [(1 - config.level) / 2, (1 + config.level) / 2]
    low, high = np.nanquantile(smooth, tails, axis=0)
    findings.curve(judged, model, "reliability_smooth", x=at, y=fitted, band=(low, high))
    bins = np.minimum((p * _N_BINS).astype(np.intp), _N_BINS - 1)
    centres = (np.arange(_N_BINS) + 0.5) / _N_BINS
    for kind, members in (("positive", labels == 1), ("negative", labels == 0)):
        counts = np.bincount(bins[members], minlength=_N_BINS)
        findings.curve(
            judged, model, f"histogram_{kind}", x=centres, y=counts / members.sum(), n=counts
        )


def _recalibrate(judged: Judged, model: str, findings: Findings) -> None:
    """Before and after, on the test rows, of maps fitted on the validation rows."""
    val, p = judged.val, judged.probabilities[model]
    _recalibration_entry(judged, model, "none", p, findings)
    for method in METHODS:
        if val is None or model not in val.probabilities:
            reason = "no validation predictions to fit it on"
            findings.entry("recalibration", judged, model, method=method, reason=reason)
            continue
        try:
            fitted = fit_map(method, val.labels, val.probabilities[model])
        except NotEstimable as refusal:
            findings.entry("recalibration", judged, model, method=method, reason=refusal.reason)
            continue
        _recalibration_entry(
            judged, model, method, fitted.apply(p), findings, a=fitted.a, b=fitted.b
        )


def _recalibration_entry(
    judged: Judged,
    model: str,
    method: str,
    p: Floats,
    findings: Findings,
    *,
    a: float | None = None,
    b: float | None = None,
) -> None:
    labels = judged.labels
    figures = {
        "brier": lambda: brier(labels, p),
        "log_loss": lambda: log_loss(labels, p),
        "cal_intercept": lambda: fit_offset(labels, p).coefficients[0],
        "cal_slope": lambda: calibration_line(labels, p).coefficients[1],
        "oe_ratio": lambda: oe_ratio(labels, p),
        "ici": lambda: smooth_errors(labels, p).ici,
        "mcb": lambda: brier_parts(labels, p).mcb,
    }
    found = {name: attempt(function) for name, function in figures.items()}
    reasons = [f"{name}: {reason}" for name, (_, reason) in found.items() if reason]
    findings.entry(
        "recalibration",
        judged,
        model,
        method=method,
        a=a,
        b=b,
        **{name: value for name, (value, _) in found.items()},
        reason="; ".join(reasons) or None,
    )

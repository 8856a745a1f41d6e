"""What each rule of a benchmark changes, in words and with what was found here."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from acsbench.report.counts import guarded_text
from acsbench.report.numbers import MISSING, count, fixed
from acsbench.report.parts import Section, Table
from acsbench.report.reproduction_tables import is_whole, models_of

if TYPE_CHECKING:
    from acsbench.report.reproduction import Side

__all__ = ["rules_section"]

_RULES: Sequence[tuple[str, str, str, str]] = (
    (
        "Split",
        "tested and untested patients apart, each by a draw of its own",
        "one draw over everybody, by patient",
        "",
    ),
    (
        "Records that are reported",
        "the 30 % of patients that chose the epoch",
        "test, that nothing was chosen by",
        (
            "A figure on the records that chose it is too good, by an amount that grows with the "
            "number of epochs and models compared."
        ),
    ),
    (
        "Which ECGs",
        "all, copies and blank ones too",
        "unusable ones and copies within a visit leave",
        "",
    ),
    (
        "Waveforms",
        (
            "leads less their mode, joined to rows, filtered over the joints; for HuBERT-ECG a "
            "median beat pasted at each R peak"
        ),
        "each lead filtered on its own support; what was not recorded stays marked",
        (
            "Joints ring into both leads; the pasted beat shrinks ST by a sixth, and T by an "
            "amount that depends on the heart rate."
        ),
    ),
    ("Interval", "ECGs as the unit, normal scale", "patients as the unit, logit scale", ""),
    (
        "Cut",
        "k highest, k the number of positives reported",
        "chosen on val, then frozen",
        "At that k, PPV and sensitivity are one figure, and no host of hidden labels can set it.",
    ),
    ("Ties at the cut", "by the order of rows", "expectation over all orders", ""),
    ("Best model", "by eye", "paired test on the same patients, Holm", ""),
    (
        "Untested patients",
        "not looked at, or counted as negative",
        "figures of the tested alone, and beside them weighted ones",
        "Whom a doctor sent to the laboratory is not everybody who came.",
    ),
)
"""Rule, the original's, the sound one, and what it changes where no figure of the run says so."""


def rules_section(original: Side, sound: Side, published: Mapping[str, Any]) -> Section:
    """Rule by rule: what the original does, what is done instead, and what that changes here."""
    found = {
        "Split": _shared(original, sound, published["shared_patients"]),
        "Which ECGs": _dropped(original, sound),
        "Interval": _widths(original),
        "Ties at the cut": _ties(original),
        "Best model": _separable(sound),
    }
    table = Table(
        name="rules",
        caption="Rule by rule",
        header=["Rule", "The original", "Sound", "What it changes here"],
        rows=[[rule, theirs, ours, found.get(rule, words)] for rule, theirs, ours, words in _RULES],
        is_figures=False,
    )
    return Section(
        key="rules",
        title="What each rule changes",
        lead="Networks, tasks and stages are the same on both sides; these rules are not. "
        f"{_size(original)} {_size(sound)}",
        parts=(table,),
    )


def _shared(original: Side, sound: Side, published: int) -> str:
    theirs, ours = (side.cohort.info["shared_patients"] for side in (original, sound))
    found = (
        f"{theirs:,} patients stand in two splits, and may train MACE and be scored on ACS; here "
        f"{ours:,} patients do."
    )
    return (
        f"{guarded_text(found, original.min_count)} Published: {published:,} patients are in both "
        "groups."
    )


def _size(side: Side) -> str:
    sizes = [next(iter(found.values())) for v in side.views if (found := v.headline("auroc"))]
    words = [
        f"{count(one['n_records'], min_count=side.min_count)} ECGs of "
        f"{count(one['n_patients'], min_count=side.min_count)} patients, "
        f"{count(one['n_positive'], min_count=side.min_count)} positive"
        for one in sizes
    ]
    if len(words) > 1:
        words = [f"{words[0]} (what reads no waveform)", f"{words[1]} (networks)"]
    return f"{side.title}, figures are of {' and '.join(words)}."


def _dropped(original: Side, sound: Side) -> str:
    kept = [
        f"{int(side.sets[-1].cohort.frame['is_included'].sum()):,} ECGs {side.title.lower()}"
        for side in (original, sound)
    ]
    return guarded_text(f"{' and '.join(kept)} are included.", original.min_count)


def _widths(side: Side) -> str:
    ratios = [
        (row["sound_high"] - row["sound_low"]) / (row["high"] - row["low"])
        for model in models_of(side)
        if is_whole(row := side.row("original_auroc", model=model)) and row["high"] > row["low"]
    ]
    if not ratios:
        return MISSING
    return (
        f"For the same scores it is {statistics.median(ratios):.2f} times as wide (median of "
        f"{len(ratios)} predictors, {min(ratios):.2f} to {max(ratios):.2f})."
    )


def _ties(side: Side) -> str:
    row = side.row("original_binary", model="logistic")
    if not row or row["ppv_worst"] is None:
        return MISSING
    return (
        f"The logistic model's PPV may be anything from {fixed(row['ppv_worst'])} to "
        f"{fixed(row['ppv_best'])}; by the order of rows it is {fixed(row['ppv'])}."
    )


def _separable(side: Side) -> str:
    pairs = [row for view in side.views[-1:] for row in view.rows("pairwise")]
    known = [row for row in pairs if row.get("p_holm") is not None]
    if not known:
        return "No pair was compared."
    apart = sum(row["p_holm"] < 0.05 for row in known)
    return f"{apart} of {len(known)} pairs of predictors differ (p below 0.05 after Holm)."

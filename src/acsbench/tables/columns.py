"""The columns of every table that passes between stages. Upstream names end in `sources`."""

from __future__ import annotations

from enum import StrEnum

from acsbench.tables.schema import Column, Schema

__all__ = [
    "COHORT",
    "ECGS",
    "ENCOUNTERS",
    "FLOW",
    "LABELS",
    "PATIENTS",
    "QUALITY",
    "RACES",
    "SEXES",
    "Split",
]


class Split(StrEnum):
    """The four names a split can have. Upstream spellings are renamed at the source."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    HOLDOUT = "holdout"


def _key(name: str) -> Column:
    return Column(name, "text", nullable=False)


SEXES = ("Female", "Male")
RACES = ("black", "hispanic", "white", "other")
SPLITS = tuple(str(s) for s in Split)

PATIENTS = Schema(
    "patients",
    ("patient_id",),
    (
        _key("patient_id"),
        Column("sex", "text", values=SEXES),
        Column("race", "text", required=False, values=RACES),
    ),
)
ENCOUNTERS = Schema(
    "encounters",
    ("encounter_id",),
    (
        _key("encounter_id"),
        _key("patient_id"),
        Column("start_datetime", "datetime", required=False),
        Column("end_datetime", "datetime", required=False),
        Column("age", "number", low=0, high=130),
        Column("exclude_modeling", "flag"),
        Column("cath_010_day", "flag"),
        Column("test_010_day", "flag", required=False),
        Column("days_to_cath", "number", required=False),
        Column("stent_or_cabg_010_day", "flag", required=False),
        Column("macetrop_pos_or_death_030", "flag", required=False),
    ),
)
ECGS = Schema(
    "ecgs",
    ("ecg_id",),
    (
        _key("ecg_id"),
        _key("patient_id"),
        Column("encounter_id", "text", required=False),
        Column("ecg_date", "date", required=False),
        Column("age", "number", required=False, low=0, high=130),
    ),
)
QUALITY = Schema(
    "quality",
    ("ecg_id", "lead"),
    (
        _key("ecg_id"),
        _key("lead"),
        Column("finite_share", "number", low=0, high=1),
        Column("longest_flat_s", "number", low=0),
        Column("amplitude_range", "number", low=0),
        *(
            Column(name, "number", required=False)
            for name in (
                "clipped_share",
                "noise_share",
                "hum_share",
                "baseline_range",
                "overlap_s",
                "einthoven_residual",
                "einthoven_share",
                "augmented_residual",
                "heart_rate",
                "detector_agreement",
                "net_qrs_i",
                "i_v6_correlation",
            )
        ),
        Column("duration_s", "number", low=0),
        Column("reasons", "text"),
        Column("raw_sha256", "text"),
        Column("duplicate_of", "text", required=False),
    ),
)
"""One row per ECG and lead; an ECG that cannot be read has one row whose lead is ``*``.

``reasons`` holds the codes of the checks that failed, joined by spaces, empty when none did.
Ranges and residuals are in the recording's units; what belongs to the whole ECG (from
``einthoven_residual`` to ``i_v6_correlation``, ``duration_s``, the hash, and ``duplicate_of``, the
smallest id among bit-identical ECGs) stands in each of its rows.
"""
COHORT = Schema(
    "cohort",
    ("ecg_id",),
    (
        _key("ecg_id"),
        Column("patient_id", "text"),
        Column("encounter_id", "text"),
        Column("split", "text", nullable=False, values=SPLITS),
        Column("is_included", "flag", nullable=False),
        Column("exclusion", "text"),
        Column("is_tested", "flag", nullable=False),
        Column("is_untested", "flag", nullable=False),
        Column("ecg_order", "integer"),
        Column("ecg_date", "date", required=False),
        Column("raw_sha256", "text", required=False),
    ),
)
"""``exclusion`` names the step that dropped a record; ``ecg_order`` counts a visit's ECGs;
``raw_sha256`` is equal for equal waveforms."""
FLOW = Schema(
    "flow",
    ("order",),
    (
        Column("order", "integer", nullable=False),
        Column("step", "text", nullable=False),
        Column("kind", "text", nullable=False, values=("start", "dropped", "kept", "branch")),
        Column("n_encounters", "integer", nullable=False, low=0),
        Column("n_patients", "integer", nullable=False, low=0),
        Column("n_records", "integer", nullable=False, low=0),
    ),
)
"""The flow diagram: ``start``, then a ``dropped`` and a ``kept`` row per step, then branches."""
LABELS = Schema(
    "labels",
    ("ecg_id",),
    (
        _key("ecg_id"),
        _key("patient_id"),
        Column("label", "integer", values=(0, 1)),
        Column("task", "text", required=False, nullable=False),
        Column("encounter_id", "text", required=False),
        Column("split", "text", required=False, nullable=False, values=SPLITS),
        Column("is_tested", "flag", required=False),
        Column("ecg_order", "integer", required=False),
        Column("ecg_date", "date", required=False),
        Column("ecg_datetime", "datetime", required=False),
        Column("raw_sha256", "text", required=False),
        Column("duplicate_group", "text", required=False),
    ),
    key_if_there=("task",),
)
"""``label`` is 0, 1 or empty; with a ``task`` column the key is ``ecg_id`` and ``task``.

Rows that are not ``is_tested`` and have no label are the untested, whose outcome nobody looked for.
A date or time says which ECG of a patient is the first; equal values of ``duplicate_group`` or
``raw_sha256`` are one waveform, or nearly one.
"""

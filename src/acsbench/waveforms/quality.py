"""check_quality: one look at every raw ECG, before the cohort. Nothing is dropped here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import InputError, RecordingError
from acsbench.parallel import Workers, map_units
from acsbench.provenance import atomic_path, json_sha256
from acsbench.recording import Recording
from acsbench.signal.lead_checks import (
    arm_check,
    augmented_residual,
    baseline_range,
    clipped_share,
    einthoven_residual,
    limb_spread,
    longest_flat,
    noise_shares,
    read_rhythm,
)
from acsbench.signal.leads import LONG_LEADS, PAGE_ROWS
from acsbench.tables import QUALITY, Tables, check, read_table

__all__ = ["REASONS", "HasRecordings", "check_quality", "raw_sha256"]

MIN_FINITE_SHARE = 0.8
LONGEST_FLAT_S = 1.0
FLAT_RANGE_MV = 0.05
MAX_CLIPPED_SHARE = 0.005
RANGE_MV = (0.1, 10.0)
LARGEST_MV = 32.767
MAX_LIMB_RESIDUAL_MV = 0.05
MAX_LIMB_SHARE, MIN_LIMB_RESIDUAL_MV = 0.05, 0.01
MAX_NOISE_SHARE = 0.25
MAX_HUM_SHARE = 0.05
MAX_BASELINE_RANGE_MV = 1.0
HEART_RATE = (25.0, 250.0)
MIN_DETECTOR_AGREEMENT = 0.8
EXPECTED_S = 10.0
PRINTED_S = 2.5
MICROVOLT_RANGE = 50.0
"""A median range of more "millivolts" is microvolts."""

REASONS = {
    "all_missing": "no sample is there",
    "missing": f"under {MIN_FINITE_SHARE:.0%} of the expected support is finite",
    "flat": f"a run of equal values over {LONGEST_FLAT_S:g} s, or a range under {FLAT_RANGE_MV} mV",
    "clipped": f"over {MAX_CLIPPED_SHARE:.1%} of samples rest at the largest or smallest value",
    "too_small": f"a range under {RANGE_MV[0]} mV",
    "too_large": f"a range over {RANGE_MV[1]:g} mV",
    "out_of_range": f"beyond ±{LARGEST_MV} mV, which no store holds",
    "limb_law": f"I, II, III break Einthoven's law by over {MAX_LIMB_RESIDUAL_MV} mV (rms), or by "
    f"{MIN_LIMB_RESIDUAL_MV} mV and {MAX_LIMB_SHARE:.0%} of their standard deviation",
    "augmented_law": f"aVR, aVL, aVF break theirs by over {MAX_LIMB_RESIDUAL_MV} mV (rms)",
    "arm_reversal": "lead I is upside down and unlike V6: look at it",
    "noise": f"power above 40 Hz over {MAX_NOISE_SHARE:g} of that from 1 to 40 Hz",
    "hum": f"mains hum over {MAX_HUM_SHARE:g} of the power from 1 to 40 Hz",
    "wander": f"the baseline moves by over {MAX_BASELINE_RANGE_MV:g} mV",
    "no_beats": "fewer than two beats were found",
    "heart_rate": f"outside {HEART_RATE[0]:g} to {HEART_RATE[1]:g} beats/min",
    "detectors_disagree": f"two detectors share under {MIN_DETECTOR_AGREEMENT:.0%} of the beats",
    "overlap": "two leads of a page row overlap in time",
    "duplicate": "bit-identical to an ECG of another id",
    "too_short": f"under {EXPECTED_S:g} s: recipes refuse it",
    "too_long": f"over {EXPECTED_S:g} s: recipes cut it to its first {EXPECTED_S:g} s",
}
"""Code of each check, and when it fails. Limits are start values: specification W5, and the 99th
percentile of LUDB and PTB-XL for noise."""
_CHUNK = 256
_SCHEMA = {c.name: pl.Float64 if c.kind == "number" else pl.String for c in QUALITY.columns}


class HasRecordings(Protocol):
    """What is needed of a source."""

    def tables(self) -> Tables:
        """See `acsbench.sources.base.Source`."""
        ...

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """See `acsbench.sources.base.Source`."""
        ...


def check_quality(
    source: HasRecordings,
    *,
    ids: Sequence[str] | None = None,
    folder: Path | None = None,
    n_jobs: int | None = None,
    workers: Workers | None = None,
) -> pl.DataFrame:
    """Measure every lead of every ECG and name what is wrong; the codes are `REASONS`.

    Codes about the limb leads, the rhythm or the whole ECG stand in the rows of the leads they
    are about. An ECG that cannot be read has one row, lead ``*``, with the code of its error.

    Parameters
    ----------
    source : Source
    ids : sequence of str, optional
        By default every ECG of the source.
    folder : Path, optional
        Where finished parts are kept, so that a stopped check goes on where it was. Whoever
        gave the folder removes it.
    n_jobs : int, optional
        Worker processes on this machine. The table does not depend on it.
    workers : Workers, optional
        Says where to work, in the place of ``n_jobs``.

    Returns
    -------
    DataFrame
        See `tables.QUALITY`; one row per ECG and lead.

    Raises
    ------
    InputError
        When the median range of the leads says that microvolts were read as millivolts.
    """
    ids = sorted(source.tables().ecgs["ecg_id"] if ids is None else ids)
    chunks = [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
    kept = None if folder is None else folder / _job(source, ids)
    parts = map_units(
        _CheckChunk(source, kept),
        list(enumerate(chunks)),
        workers=workers or Workers(n_jobs=n_jobs),
        label="quality",
    )
    table = _mark_duplicates(pl.concat([pl.DataFrame(schema=_SCHEMA), *parts]))
    _refuse_microvolts(table)
    return check(table, QUALITY)


def _job(source: HasRecordings, ids: Sequence[str]) -> str:
    """Name of the work: other ECGs, or other limits, are other work."""
    return json_sha256([source.tables().fingerprint, list(ids), REASONS])[:16]


def _refuse_microvolts(table: pl.DataFrame) -> None:
    ranges = table["amplitude_range"].drop_nulls()
    middle = float(ranges.median() or 0.0)  # type: ignore[arg-type]  # of numbers
    if middle > MICROVOLT_RANGE:
        raise InputError(
            f"The leads span {middle:,.4g} 'mV' at the median of {len(ranges):,}; above "
            f"{MICROVOLT_RANGE:g} they are microvolts. Tell the source its unit, or divide by 1000."
        )


def _mark_duplicates(table: pl.DataFrame) -> pl.DataFrame:
    """Name the smallest id of each group of bit-identical ECGs, and mark all of the group."""
    readable = pl.col("raw_sha256").is_not_null() & ~pl.col("is_blank")
    hashes = (
        table.group_by("ecg_id")
        .agg(
            pl.col("raw_sha256").first(),
            pl.col("reasons").str.contains("all_missing").all().alias("is_blank"),
        )
        .filter(readable)
    )
    groups = (
        hashes.group_by("raw_sha256")
        .agg(pl.col("ecg_id").min().alias("duplicate_of"), pl.len().alias("n"))
        .filter(pl.col("n") > 1)
        .select("raw_sha256", "duplicate_of")
    )
    marked = table.drop("duplicate_of").join(
        groups, on="raw_sha256", how="left", maintain_order="left"
    )
    code = pl.concat_str([pl.col("reasons"), pl.lit("duplicate")], separator=" ").str.strip_chars()
    is_copy = pl.col("duplicate_of").is_not_null()
    return marked.with_columns(
        pl.when(is_copy).then(code).otherwise("reasons").alias("reasons")
    ).select(table.columns)


@dataclass(frozen=True)
class _CheckChunk:
    source: HasRecordings
    folder: Path | None

    def __call__(self, unit: tuple[int, Sequence[str]]) -> pl.DataFrame:
        number, ids = unit
        file = None if self.folder is None else self.folder / f"part-{number:05d}.parquet"
        if file is not None and file.is_file():
            return read_table(file)
        rows: list[dict[str, Any]] = []
        for found in self.source.recordings(ids):
            rows += [_unreadable(found)] if isinstance(found, RecordingError) else _check(found)
        part = pl.DataFrame(rows, schema=_SCHEMA)
        if file is not None:
            with atomic_path(file) as temporary:
                part.write_parquet(temporary)
        return part


def _unreadable(error: RecordingError) -> dict[str, Any]:
    blank = {column.name: None for column in QUALITY.columns}
    return {**blank, "ecg_id": error.ecg_id, "lead": "*", "reasons": error.reason}


def _check(recording: Recording) -> list[dict[str, Any]]:
    leads = dict(zip(recording.lead_names, recording.signal, strict=True))
    is_page = any(name in leads for name in LONG_LEADS)
    whole = _measure_whole(recording, leads, is_page=is_page)
    of_ecg = _judge_whole(whole, recording)
    rows = []
    for name, row in leads.items():
        measured = _measure_lead(recording, name, row, is_page=is_page)
        measured["overlap_s"] = _overlap_s(leads, name, recording.sampling_rate)
        reasons = [*_judge_lead(measured, recording), *of_ecg.get(name, ()), *of_ecg["*"]]
        rows.append(
            {
                "ecg_id": recording.ecg_id,
                "lead": name,
                "reasons": " ".join(code for code in REASONS if code in reasons),
                "duplicate_of": None,
                **{key: _number(value) for key, value in {**measured, **whole}.items()},
            }
        )
    checksum = raw_sha256(recording)
    return [{**row, "raw_sha256": checksum} for row in rows]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _measure_lead(
    recording: Recording, name: str, row: NDArray[np.float64], *, is_page: bool
) -> dict[str, float]:
    rate = recording.sampling_rate
    printed = is_page and name not in LONG_LEADS
    expected = (PRINTED_S if printed else EXPECTED_S) * rate
    finite = row[np.isfinite(row)]
    noise, hum = noise_shares(finite, sampling_rate=rate)
    return {
        "finite_share": min(finite.size / expected, 1.0),
        "longest_flat_s": longest_flat(row) / rate,
        "amplitude_range": float(np.ptp(finite)) if finite.size else 0.0,
        "clipped_share": clipped_share(finite, sampling_rate=rate) if finite.size else 0.0,
        "noise_share": noise,
        "hum_share": hum,
        "baseline_range": baseline_range(finite, sampling_rate=rate),
        "largest": float(np.abs(finite).max(initial=0)),
    }


def _judge_lead(measured: dict[str, float], recording: Recording) -> list[str]:
    """Codes of one lead; those in millivolts are not asked of z-scored recordings."""
    share, span = measured["finite_share"], measured["amplitude_range"]
    largest = measured.pop("largest")
    is_there, in_mv = share > 0, recording.units == "mV"
    found = {
        "all_missing": not is_there,
        "missing": 0 < share < MIN_FINITE_SHARE,
        "flat": is_there
        and (measured["longest_flat_s"] > LONGEST_FLAT_S or (in_mv and span < FLAT_RANGE_MV)),
        "clipped": measured["clipped_share"] > MAX_CLIPPED_SHARE,
        "too_small": is_there and in_mv and span < RANGE_MV[0],
        "too_large": in_mv and span > RANGE_MV[1],
        "out_of_range": largest > LARGEST_MV,
        "noise": measured["noise_share"] > MAX_NOISE_SHARE,
        "hum": measured["hum_share"] > MAX_HUM_SHARE,
        "wander": in_mv and measured["baseline_range"] > MAX_BASELINE_RANGE_MV,
        "overlap": measured["overlap_s"] > 0,
    }
    return [code for code, is_so in found.items() if is_so]


def _overlap_s(leads: dict[str, NDArray[np.float64]], name: str, rate: float) -> float:
    """Time that a page lead shares with the next one of its printed row."""
    if not any(long in leads for long in LONG_LEADS):
        return 0.0
    for row in PAGE_ROWS:
        if name in row[:-1]:
            following = leads.get(row[row.index(name) + 1])
            if following is not None:
                both = np.isfinite(leads[name]) & np.isfinite(following)
                return float(both.sum() / rate)
    return 0.0


def _measure_whole(
    recording: Recording, leads: dict[str, NDArray[np.float64]], *, is_page: bool
) -> dict[str, float]:
    """Numbers of the whole ECG: they stand in the rows of all its leads."""
    rate = recording.sampling_rate
    rhythm = read_rhythm(leads, sampling_rate=rate)
    arms = arm_check(leads, rhythm.r_peaks, sampling_rate=rate)
    limb = einthoven_residual(leads, own_heights=is_page)
    return {
        "duration_s": recording.duration_s,
        "einthoven_residual": limb,
        "einthoven_share": limb / limb_spread(leads),
        "augmented_residual": augmented_residual(leads, own_heights=is_page),
        "heart_rate": rhythm.heart_rate,
        "detector_agreement": rhythm.agreement,
        "net_qrs_i": arms.net_qrs,
        "i_v6_correlation": arms.correlation,
    }


def _judge_whole(whole: dict[str, float], recording: Recording) -> dict[str, list[str]]:
    """Codes of the whole ECG (``*``), and of single leads by what they have together."""
    found: dict[str, list[str]] = {"*": []}

    def add(code: str, leads: Sequence[str], *, is_so: bool) -> None:
        for lead in leads if is_so else ():
            found.setdefault(lead, []).append(code)

    in_mv = recording.units == "mV"
    rate, agreement = whole["heart_rate"], whole["detector_agreement"]
    limb, augmented = whole["einthoven_residual"], whole["augmented_residual"]
    # a wrong gain of a small lead is small in millivolts
    is_broken = limb > MAX_LIMB_RESIDUAL_MV or (
        limb > MIN_LIMB_RESIDUAL_MV and whole["einthoven_share"] > MAX_LIMB_SHARE
    )
    add("limb_law", ("I", "II", "III"), is_so=in_mv and is_broken)
    add(
        "augmented_law",
        ("aVR", "aVL", "aVF"),
        is_so=in_mv and augmented > MAX_LIMB_RESIDUAL_MV,
    )
    is_reversed = whole["net_qrs_i"] < 0 and whole["i_v6_correlation"] < 0
    add("arm_reversal", ("I",), is_so=is_reversed)
    add("no_beats", ("*",), is_so=not np.isfinite(rate))
    add("heart_rate", ("*",), is_so=rate < HEART_RATE[0] or rate > HEART_RATE[1])
    add("detectors_disagree", ("*",), is_so=agreement < MIN_DETECTOR_AGREEMENT)
    add("too_short", ("*",), is_so=whole["duration_s"] < EXPECTED_S)
    add("too_long", ("*",), is_so=whole["duration_s"] > EXPECTED_S)
    return found


def raw_sha256(recording: Recording) -> str:
    """Hash of the raw samples, gaps included: equal for one waveform under two ids."""
    digest = hashlib.sha256(" ".join(recording.lead_names).encode())
    digest.update(np.ascontiguousarray(recording.signal, dtype="<f4").tobytes())
    return digest.hexdigest()

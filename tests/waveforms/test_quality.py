from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from shelf import Shelf, beating_page

from acsbench.errors import InputError, RecordingError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12
from acsbench.tables import Tables
from acsbench.waveforms.quality import REASONS, check_quality
from acsbench.waveforms.quality_summary import quality_svg, summarise_quality


@dataclass(frozen=True)
class These(Shelf):
    """A source of given recordings."""

    given: tuple[Recording, ...] = ()

    @property
    def ids(self) -> list[str]:
        return [one.ecg_id for one in self.given]

    def tables(self) -> Tables:
        frame = pl.DataFrame({"ecg_id": self.ids}, schema={"ecg_id": pl.String})
        return Tables(source="these", fingerprint="f", ecgs=frame, patients=frame)

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        by_id = {one.ecg_id: one for one in self.given}
        return (by_id[ecg_id] for ecg_id in ids)


def checked(*recordings: Recording) -> pl.DataFrame:
    return check_quality(These(given=recordings), n_jobs=1)


def codes(table: pl.DataFrame) -> dict[str, str]:
    found = table.filter(pl.col("reasons") != "")
    return dict(found.select("lead", "reasons").iter_rows())


def beating(ecg_id: str = "b") -> Recording:
    recording, _ = beating_page()
    return replace(recording, ecg_id=ecg_id, signal=recording.signal.copy())


def twelve(signal: np.ndarray, ecg_id: str = "t") -> Recording:
    return Recording(
        ecg_id=ecg_id, signal=signal, lead_names=STANDARD_12, sampling_rate=500, units="mV"
    )


def test_a_sound_page_has_no_code() -> None:
    table = checked(beating())
    assert codes(table) == {}
    row = table.row(0, named=True)
    assert row["heart_rate"] == pytest.approx(70, abs=1)
    assert row["detector_agreement"] == 1
    assert row["einthoven_residual"] < 0.01
    assert row["augmented_residual"] < 0.01


def test_quality_names_what_is_wrong_lead_by_lead() -> None:
    raw = beating()
    t = np.arange(5000) / 500
    raw.signal[0] = np.nan
    raw.signal[6, 2600:3600] = np.nan  # V1 keeps 0.2 s
    raw.signal[7, 2500:3750] += 12 * t[2500:3750]
    raw.signal[8, 2500:3750] += 0.3 * np.sin(2 * np.pi * 50 * t[2500:3750])
    raw.signal[9, 3750:] *= 0.01
    raw.signal[10, 3750:] = np.clip(raw.signal[10, 3750:], -1, 0.4)
    raw.signal[11, 3740:3750] = 0.1
    raw.signal[14, 1000:2000] = 0.1
    found = {lead: set(text.split()) for lead, text in codes(checked(raw)).items()}
    assert found["I"] == {"all_missing"}
    assert found["V1"] == {"missing"}
    assert {"wander", "too_large"} <= found["V2"]
    assert "hum" in found["V3"]
    assert {"flat", "too_small"} <= found["V4"]
    assert found["V5"] == {"clipped"}
    assert found["V3"] >= {"hum"}
    assert found["long_V5"] == {"flat"}


def test_leads_of_a_row_that_overlap_are_told_with_their_time() -> None:
    raw = beating()
    raw.signal[3, 1240:1250] = 0.0  # aVR begins 20 ms early
    table = checked(raw)
    assert codes(table) == {"I": "overlap"}
    assert table.filter(pl.col("lead") == "I")["overlap_s"].item() == pytest.approx(0.02)


def test_a_lead_of_wrong_gain_breaks_the_limb_laws() -> None:
    raw = beating()
    raw.signal[1, :1250] *= 1.5
    raw.signal[5, 1250:2500] *= 1.5
    found = codes(checked(raw))
    assert {found[lead] for lead in ("I", "II", "III")} == {"limb_law"}
    assert {found[lead] for lead in ("aVR", "aVL", "aVF")} == {"augmented_law"}


def test_leads_drawn_at_their_own_heights_keep_the_laws() -> None:
    raw = beating()
    raw.signal[:] += np.linspace(-0.3, 0.3, 15)[:, None]
    assert codes(checked(raw)) == {}


def test_a_length_other_than_ten_seconds_is_told() -> None:
    short = replace(beating("short"), signal=beating().signal[:, :4000])
    long = replace(beating("long"), signal=np.tile(beating().signal, 2)[:, :5500])
    table = checked(short, long)
    assert "too_short" in table.filter(pl.col("ecg_id") == "short")["reasons"][0]
    assert "too_long" in table.filter(pl.col("ecg_id") == "long")["reasons"][0]


def test_no_beats_and_a_broken_rhythm_are_told() -> None:
    silent = twelve(np.random.default_rng(0).normal(0, 0.2, (12, 5000)))
    assert all("detectors_disagree" in text for text in codes(checked(silent)).values())
    still = twelve(np.full((12, 5000), 0.2))
    assert all("no_beats" in text for text in codes(checked(still)).values())


def test_z_scored_recordings_are_not_judged_in_millivolts() -> None:
    z_scored = replace(beating(), signal=beating().signal * 15, units="sd")
    assert codes(checked(z_scored)) == {}


def test_one_waveform_under_two_ids_is_marked_in_both_and_blank_pages_are_not() -> None:
    blank = np.full((15, 5000), np.nan)
    other = beating("c")
    other.signal[12, 100] += 0.005
    table = checked(
        beating("b"),
        beating("a"),
        other,
        replace(beating("x"), signal=blank),
        replace(beating("y"), signal=blank),
    )
    copies = dict(table.select("ecg_id", "duplicate_of").unique().iter_rows())
    assert copies == {"a": "a", "b": "a", "c": None, "x": None, "y": None}
    marked = table.filter(pl.col("reasons").str.contains("duplicate"))
    assert set(marked["ecg_id"]) == {"a", "b"}


def test_microvolts_taken_for_millivolts_stop_the_run() -> None:
    loud = replace(beating(), signal=beating().signal * 1000)
    with pytest.raises(InputError, match=r"span .* 'mV' at the median of 15.*microvolts"):
        checked(loud)


def test_quality_is_the_same_for_any_number_of_workers() -> None:
    one, two = (check_quality(Shelf(), n_jobs=n) for n in (1, 2))
    assert one.equals(two)
    unreadable = one.filter(pl.col("lead") == "*")
    assert unreadable.select("ecg_id", "reasons").rows() == [("e004", "truncated")]
    loud = one.filter(pl.col("reasons").str.contains("out_of_range"))
    assert loud["ecg_id"].unique().to_list() == ["e005"]


@dataclass(frozen=True)
class Interrupted(Shelf):
    """Asked to stop when the fifth ECG is read."""

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        for found in super().recordings(ids):
            if found.ecg_id == "e004":
                raise KeyboardInterrupt
            yield found


@dataclass(frozen=True)
class Listening(Shelf):
    """Remembers what was asked for."""

    asked: list[str] = field(default_factory=list)

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        self.asked.extend(ids)
        return super().recordings(ids)


def test_a_check_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acsbench.waveforms.quality._CHUNK", 2)
    with pytest.raises(KeyboardInterrupt):
        check_quality(Interrupted(), folder=tmp_path, n_jobs=1)
    again = Listening()
    found = check_quality(again, folder=tmp_path, n_jobs=1)
    assert again.asked == ["e004", "e005"]
    assert found.equals(check_quality(Shelf(), n_jobs=1))
    other = Listening()
    check_quality(other, ids=["e000", "e001"], folder=tmp_path, n_jobs=1)
    assert other.asked == ["e000", "e001"]  # other ECGs are other work


def test_the_summary_counts_ecgs_and_leads_and_the_picture_is_the_same_twice() -> None:
    noisy = beating("n")
    noisy.signal[14, 1000:2000] = 0.1
    noisy.signal[12, 1000:2000] = 0.1
    table = checked(beating("b"), noisy)
    summary = summarise_quality(table)
    assert summary.row(0, named=True)["n_ecgs"] == 1
    flat = summary.filter(pl.col("reason") == "flat").row(0, named=True)
    assert (flat["n_ecgs"], flat["share_of_ecgs"], flat["n_leads"]) == (1, 0.5, 2)
    assert flat["meaning"] == REASONS["flat"]
    picture = quality_svg(table)
    assert picture == quality_svg(table)
    assert "flat" in picture
    assert "<svg" in picture
    assert "<svg" in quality_svg(checked(beating()))


def read_wfdb(path: Path, *, gain: float | None = None) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # wfdb 4.3 uses what pandas is about to retire
        import wfdb

        record: Any = wfdb.rdrecord(str(path), physical=gain is None)
    return record.p_signal.T if gain is None else record.d_signal.T / gain


@pytest.mark.shared
def test_wrong_gains_of_ludb_break_einthovens_law_and_right_ones_do_not(shared: Path) -> None:
    folder = shared / "data" / "ludb" / "data"
    names = sorted(p.stem for p in folder.glob("*.hea"))[::10]
    wrong = [twelve(read_wfdb(folder / name), name) for name in names]
    right = [twelve(read_wfdb(folder / name, gain=1000), name) for name in names]
    caught = checked(*wrong).filter(pl.col("reasons").str.contains("limb_law"))
    assert caught["ecg_id"].n_unique() >= len(names) - 1
    sound = checked(*right)
    assert not sound["reasons"].str.contains("limb_law|augmented_law|arm_reversal").any()


@pytest.mark.shared
def test_flat_leads_of_the_challenge_files_are_caught(shared: Path) -> None:
    folder = shared / "data" / "cinc2021_mini"
    names = ("JS20004", "JS20008", "JS20000")
    table = checked(*(twelve(read_wfdb(folder / name), name) for name in names))
    flat = table.filter(pl.col("reasons").str.contains("flat"))
    found = flat.group_by("ecg_id").agg(pl.col("lead").sort()).sort("ecg_id").rows()
    assert found == [("JS20004", ["V2", "V4", "V6"]), ("JS20008", ["V2", "V4", "V6"])]


@pytest.mark.shared
def test_exchanged_arm_electrodes_are_caught_after_a_simulated_swap(shared: Path) -> None:
    folder = shared / "data" / "ludb" / "data"
    names = sorted(p.stem for p in folder.glob("*.hea"))[::5]
    signals = [read_wfdb(folder / name, gain=1000) for name in names]
    swapped = [x[[0, 2, 1, 4, 3, 5, 6, 7, 8, 9, 10, 11]] * _arms_swapped() for x in signals]
    ids = [f"{name}-swapped" for name in names]
    table = checked(*map(twelve, signals, names), *map(twelve, swapped, ids)).filter(
        pl.col("reasons").str.contains("arm_reversal")
    )
    is_swapped = table["ecg_id"].str.ends_with("swapped")
    assert is_swapped.sum() >= 0.85 * len(names)
    assert (~is_swapped).sum() <= 0.05 * len(names)
    assert not checked(*map(twelve, swapped, ids))["reasons"].str.contains("limb_law").any()


def _arms_swapped() -> np.ndarray:
    """I turns over; II and III, aVR and aVL change places."""
    signs = np.ones((12, 1))
    signs[0] = -1
    return signs


@pytest.mark.shared
def test_microvolts_of_a_real_file_are_caught(shared: Path) -> None:
    path = shared / "data" / "cinc2021_mini" / "JS20000"
    with pytest.raises(InputError, match="microvolts"):
        checked(twelve(1000 * read_wfdb(path)))


@pytest.mark.shared
def test_a_real_ecg_under_two_ids_is_caught(shared: Path) -> None:
    folder = shared / "data" / "cinc2021_mini"
    first, other = (read_wfdb(folder / name) for name in ("JS20000", "JS20001"))
    table = checked(twelve(first, "p1-a"), twelve(first.copy(), "p2-b"), twelve(other, "c"))
    marked = table.filter(pl.col("duplicate_of").is_not_null())
    assert set(marked["ecg_id"]) == {"p1-a", "p2-b"}

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.errors import ConfigError, InputError, RecordingError, StepError
from acsbench.recording import Recording
from acsbench.signal.leads import PAGE_LEADS, STANDARD_12
from acsbench.store import WaveformStore
from acsbench.tables import Cohort, Tables
from acsbench.waveforms import process
from acsbench.waveforms.process import process_waveforms
from acsbench.waveforms.quality import check_quality
from acsbench.waveforms.recipes import get_recipe


def page(ecg_id: str = "e1", *, seed: int = 0, samples: int = 5000) -> Recording:
    rng = np.random.default_rng(seed)
    signal = rng.normal(0, 0.2, (15, samples))
    for row in range(12):
        quarter = row // 3
        signal[row, : quarter * 1250] = np.nan
        signal[row, (quarter + 1) * 1250 :] = np.nan
    return Recording(
        ecg_id=ecg_id, signal=signal, lead_names=PAGE_LEADS, sampling_rate=500, units="mV"
    )


def full(*, rate: float = 500, seconds: float = 10, seed: int = 0) -> Recording:
    signal = np.random.default_rng(seed).normal(0, 0.2, (12, round(rate * seconds)))
    return Recording(
        ecg_id="f", signal=signal, lead_names=STANDARD_12, sampling_rate=rate, units="mV"
    )


@dataclass(frozen=True)
class Shelf:
    """Recordings by id: the last one is too loud for a store, the one before unreadable."""

    n: int = 6

    @property
    def ids(self) -> list[str]:
        return [f"e{i}" for i in range(self.n)]

    def tables(self) -> Tables:
        frame = pl.DataFrame({"ecg_id": self.ids})
        return Tables(source="shelf", fingerprint="f", ecgs=frame, patients=frame)

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        for ecg_id in ids:
            number = int(ecg_id[1:])
            if number == self.n - 2:
                yield RecordingError(ecg_id, "truncated", "cut")
                continue
            recording = page(ecg_id, seed=number)
            if number == self.n - 1:
                recording.signal[0, :1250] *= 1000
            yield recording

    def cohort(self) -> Cohort:
        frame = pl.DataFrame({"ecg_id": self.ids, "is_included": [True] * self.n})
        return Cohort(frame=frame, flow=pl.DataFrame(), source="shelf", scheme="patient")


def store_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_each_page_lead_keeps_its_own_quarter() -> None:
    made = get_recipe("three_by_four", low_hz=None)(page())
    assert made.signal.shape == (3, 5000)
    assert (made.mask == 1).all()
    assert made.lead_names[0] == "I+aVR+V1+V4"
    raw = page()
    shift = raw.lead("aVR")[1250:2500] - made.signal[0, 1250:2500]
    assert np.ptp(shift) < 1e-5


def test_a_full_recording_gives_the_quarters_of_its_page() -> None:
    raw = full()
    made = get_recipe("three_by_four", low_hz=None)(raw)
    shift = raw.lead("V6")[3750:] - made.signal[2, 3750:]
    assert np.ptp(shift) < 1e-5


def test_no_lead_leaks_into_its_neighbour() -> None:
    loud = page()
    loud.signal[3, 1250:2500] *= 50  # aVR, the quarter after I
    quiet_row = get_recipe("three_by_four")(page()).signal[0]
    loud_row = get_recipe("three_by_four")(loud).signal[0]
    np.testing.assert_array_equal(quiet_row[:1250], loud_row[:1250])
    np.testing.assert_array_equal(quiet_row[2500:], loud_row[2500:])


def test_recorded_12_takes_the_long_lead_where_it_is() -> None:
    made = get_recipe("recorded_12")(page())
    share = dict(zip(made.lead_names, (made.mask == 1).mean(axis=1), strict=True))
    assert {n for n, s in share.items() if s == 1} == {"V1", "II", "V5"}
    assert share["aVL"] == pytest.approx(0.25)


def test_a_missing_lead_is_masked_and_zero() -> None:
    raw = page()
    raw.signal[4] = np.nan
    made = get_recipe("recorded_12")(raw)
    assert not made.mask[STANDARD_12.index("aVL")].any()
    assert not made.signal[STANDARD_12.index("aVL")].any()


def test_longer_input_is_cut_and_shorter_refused_with_its_length() -> None:
    assert get_recipe("recorded_12")(full(seconds=12)).signal.shape == (12, 5000)
    with pytest.raises(RecordingError, match="4000 samples at 500 Hz"):
        get_recipe("recorded_12")(page(samples=4000))


def test_another_rate_is_resampled() -> None:
    assert get_recipe("recorded_12")(full(rate=100)).signal.shape == (12, 5000)


def test_an_unknown_parameter_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'low_hz'"):
        get_recipe("recorded_12", low_hzz=1)


def test_quality_names_what_is_wrong_lead_by_lead() -> None:
    raw = page()
    raw.signal[0] = np.nan
    raw.signal[12, 1000:2000] = 0.1

    class One(Shelf):
        def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
            yield raw

    table = check_quality(One(), ids=["e1"], n_jobs=1)
    found = dict(table.filter(pl.col("reasons") != "").select("lead", "reasons").iter_rows())
    assert found == {"I": "all_missing", "long_V1": "flat"}


def test_quality_is_the_same_for_any_number_of_workers() -> None:
    one, two = (check_quality(Shelf(), n_jobs=n) for n in (1, 2))
    assert one.equals(two)
    unreadable = one.filter(pl.col("lead") == "*")
    assert unreadable.select("ecg_id", "reasons").rows() == [("e4", "truncated")]
    loud = one.filter(pl.col("reasons").str.contains("out_of_range"))
    assert loud["ecg_id"].unique().to_list() == ["e5"]


def test_the_store_gives_back_what_went_in_within_half_a_step(tmp_path: Path) -> None:
    shelf = Shelf()
    store = process_waveforms(
        shelf, shelf.cohort(), folder=tmp_path / "s", max_failed_share=0.5, n_jobs=1
    )
    made = get_recipe("three_by_four")(page("e2", seed=2))
    read = store.read("e2")
    assert np.abs(read.signal - made.signal).max() <= 0.0005 + 1e-6
    np.testing.assert_array_equal(read.mask, made.mask)
    assert store.failed() == {"e4": "truncated", "e5": "out_of_range"}
    assert len(store) == 6


def test_no_byte_depends_on_workers_or_on_being_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SHARD_SIZE", 2)
    shelf = Shelf()
    for name, n_jobs in (("a", 1), ("b", 2)):
        process_waveforms(
            shelf, shelf.cohort(), folder=tmp_path / name, max_failed_share=0.5, n_jobs=n_jobs
        )
    calls: list[int] = []
    whole = process.write_shard

    def stop_at_the_third(folder: Path, shard: int, *args: object, **more: object) -> None:
        calls.append(shard)
        if len(calls) == 3:
            raise KeyboardInterrupt
        whole(folder, shard, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(process, "write_shard", stop_at_the_third)
    go = {"folder": tmp_path / "c", "max_failed_share": 0.5, "n_jobs": 1}
    with pytest.raises(KeyboardInterrupt):
        process_waveforms(shelf, shelf.cohort(), **go)
    process_waveforms(shelf, shelf.cohort(), **go)
    assert calls == [0, 1, 2, 2]
    whole_store = store_bytes(tmp_path / "a")
    assert whole_store == store_bytes(tmp_path / "b") == store_bytes(tmp_path / "c")


def test_too_many_failures_end_the_step_with_counts(tmp_path: Path) -> None:
    shelf = Shelf()
    with pytest.raises(StepError, match=r"2 of 6 ECGs.*truncated"):
        process_waveforms(shelf, shelf.cohort(), folder=tmp_path / "s", n_jobs=1)


def test_a_store_of_another_job_is_never_mixed_or_overwritten(tmp_path: Path) -> None:
    shelf = Shelf()
    go = {"folder": tmp_path / "s", "max_failed_share": 0.5, "n_jobs": 1}
    store = process_waveforms(shelf, shelf.cohort(), **go)
    before = store_bytes(store.folder)
    with pytest.raises(InputError, match="holds a store of recipe"):
        process_waveforms(shelf, shelf.cohort(), recipe="recorded_12", **go)
    assert store_bytes(tmp_path / "s") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"notes\.txt"):
        process_waveforms(shelf, shelf.cohort(), folder=tmp_path / "mine", n_jobs=1)


def test_a_store_travels_to_another_process(tmp_path: Path) -> None:
    import pickle

    shelf = Shelf()
    store = process_waveforms(
        shelf, shelf.cohort(), folder=tmp_path / "s", max_failed_share=0.5, n_jobs=1
    )
    store.read("e0")
    sent = pickle.dumps(store)
    assert len(sent) < 100_000
    again: WaveformStore = pickle.loads(sent)
    np.testing.assert_array_equal(again.read("e1").signal, store.read("e1").signal)

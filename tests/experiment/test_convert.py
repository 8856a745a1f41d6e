from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.cli import main
from acsbench.errors import InputError
from acsbench.experiment.convert import FileFormat, convert_files
from acsbench.sources.formats import read_file

SUFFIX: dict[FileFormat, str] = {"wfdb": ".hea", "csv": ".csv", "npz": ".npz"}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A WFDB record of three leads with a gap."""
    times = np.arange(1000) / 250
    steps = np.rint(1000 * np.stack([np.sin(times), 0.5 * np.cos(times), 0 * times]))
    steps[2, 100:110] = -32768
    stored = steps.astype("<i2")
    (tmp_path / "a1.dat").write_bytes(stored.T.tobytes())
    lines = [
        f"a1.dat 16 1000(0)/mV 16 0 {row[0]} {row.sum(dtype='<i2')} 0 {name}"
        for name, row in zip(("V1", "V2", "V3"), stored, strict=True)
    ]
    (tmp_path / "a1.hea").write_text("\n".join(["a1 3 250 1000", *lines]) + "\n")
    return tmp_path / "a1.hea"


@pytest.mark.parametrize("to", SUFFIX)
def test_a_converted_recording_has_the_same_leads_rate_and_samples(
    record: Path, tmp_path: Path, to: FileFormat
) -> None:
    (done,) = convert_files([record], tmp_path / "out", to=to)
    target = tmp_path / "out" / f"a1{SUFFIX[to]}"
    assert done.written == str(target)
    assert (done.lead_names, done.sampling_rate, done.duration_s) == ("V1 V2 V3", 250, 4)
    before = read_file(record).signal
    if to == "wfdb":
        after = read_file(target).signal
    elif to == "csv":
        table = pl.read_csv(target)
        assert table.columns == ["time_s", "V1", "V2", "V3"]
        after = table.drop("time_s").to_numpy().T
    else:
        after = np.load(target)["signal"]
    np.testing.assert_array_equal(np.isnan(after), np.isnan(before))
    np.testing.assert_allclose(after, before, atol=0.0005 if to == "wfdb" else 1e-12)


def test_a_broken_file_does_not_stop_the_others(record: Path, tmp_path: Path) -> None:
    broken = tmp_path / "b.xml"
    broken.write_bytes(b"<no ecg>")
    bad, good = convert_files([broken, record], tmp_path / "out")
    assert bad.written is None
    assert bad.reason is not None
    assert good.reason is None
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a1.dat", "a1.hea"]


def test_nothing_is_overwritten_unasked(record: Path, tmp_path: Path) -> None:
    convert_files([record], tmp_path / "out", to="csv")
    with pytest.raises(InputError, match=r"a1\.csv exist already.*--overwrite"):
        convert_files([record], tmp_path / "out", to="csv")
    convert_files([record], tmp_path / "out", to="csv", overwrite=True)
    with pytest.raises(InputError, match="written more than once"):
        convert_files([record, tmp_path / "other" / "a1.hea"], tmp_path / "more")


def test_the_command_says_what_it_read_and_fails_when_a_file_does(
    record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["convert", str(record), "--out", str(tmp_path / "out"), "--json"]
    with pytest.raises(SystemExit) as leaving:
        main(command)
    assert not leaving.value.code
    assert json.loads(capsys.readouterr().out)["files"][0]["sampling_rate"] == 250
    with pytest.raises(SystemExit) as leaving:
        main(["convert", str(tmp_path / "none.xml"), "--out", str(tmp_path / "more")])
    assert leaving.value.code == 2
    assert "1 of 1 files could not be converted" in capsys.readouterr().err


@pytest.mark.shared
def test_every_vendor_file_becomes_a_record_of_the_same_rate(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "vendor_formats"
    known = json.loads((folder / "expected.json").read_text())
    files = [folder / (name if "." in name else f"{name}.hea") for name in known]
    for done, expected in zip(convert_files(files, tmp_path), known.values(), strict=True):
        assert done.reason is None
        assert done.sampling_rate == expected["fs"]
        assert read_file(Path(str(done.written))).sampling_rate == expected["fs"]

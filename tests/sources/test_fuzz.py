"""Damaged files: every reader ends with a recording or with the error that says why it has none.

Memory is judged by what the process holds, for a reader may ask for more than it ever touches.
"""

from __future__ import annotations

import contextlib
import functools
import io
import resource
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from acsbench.errors import InputError, RecordingError
from acsbench.recording import Recording
from acsbench.sources.description import SignalsPart
from acsbench.sources.folder_files import read_record
from acsbench.sources.formats import read_file
from acsbench.sources.matlab_files import read_cpsc
from acsbench.sources.nightingale import NightingaleSource, read_recording
from acsbench.sources.synthetic import write_hospital
from acsbench.sources.wfdb_files import read_wfdb

Read = Callable[[Path], object]
SLOWEST_S = 10.0
MOST_MIB = 400
LEADS = np.random.default_rng(0).normal(0, 0.3, (12, 500))

fuzzed = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Cut, flip, overwrite, double or renumber some bytes of a file."""
    kind = draw(st.sampled_from(["cut", "flip", "fill", "double", "number"]))
    places = draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4))
    value = draw(st.integers(0, 255))
    number = draw(st.sampled_from([b"0", b"-1", b"9" * 12, b"1e30", b"nan", b"."]))

    def apply(content: bytes) -> bytes:
        changed = bytearray(content)
        for place in places:
            # half of the damage falls on the first 2 kB, where the headers are
            size = min(len(changed), 2048) if value % 2 else len(changed)
            at = int(place * size)
            if kind == "cut":
                return bytes(changed[:at])
            if kind == "flip" and changed:
                changed[at] ^= value or 255
            if kind == "fill":
                changed[at : at + 40] = bytes([value]) * 40
            if kind == "double":
                changed[at:at] = changed[at : at + 100]
            if kind == "number":
                digits = [
                    i for i in range(at, min(at + 300, len(changed))) if 48 <= changed[i] < 58
                ]
                if digits:
                    changed[digits[0] : digits[0] + 1] = number
        return bytes(changed)

    return apply


def survives(read: Read, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    with contextlib.suppress(RecordingError):
        assert read(path) is not None
    assert time.monotonic() - start < SLOWEST_S
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MOST_MIB * 1024


@functools.cache
def npz() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, waveform=np.tile(LEADS[0], (15, 1)).astype(np.float32))
    return stream.getvalue()


@functools.cache
def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, LEADS)
    return stream.getvalue()


@functools.cache
def mat() -> bytes:
    stream = io.BytesIO()
    ecg = {"ECG": {"sex": "Male", "age": 52, "data": LEADS}}
    savemat(stream, ecg, do_compression=True)
    return stream.getvalue()


@functools.cache
def csv() -> bytes:
    lines = [",".join(("I", "II", "III", "aVR", "aVL", "aVF", *(f"V{i}" for i in range(1, 7))))]
    lines += [",".join(f"{v:.3f}" for v in row) for row in LEADS.T]
    return "\n".join(lines).encode()


def aecg() -> bytes:
    def sequence(name: str, row: np.ndarray) -> str:
        digits = " ".join(str(int(v)) for v in row * 400)
        return (
            f'<component><sequence><code code="MDC_ECG_LEAD_{name}"/><value xsi:type="SLIST_PQ">'
            f'<origin value="0" unit="uV"/><scale value="2.5" unit="uV"/><digits>{digits}</digits>'
            "</value></sequence></component>"
        )

    rows = "".join(sequence(n, r) for n, r in zip(("I", "II", "V1"), LEADS, strict=False))
    return (
        '<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><component><series>'
        '<code code="RHYTHM"/><component><sequenceSet><component><sequence>'
        '<code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS"><head value="20021122091000"/>'
        '<increment value="0.002" unit="s"/></value></sequence></component>'
        f"{rows}</sequenceSet></component></series></component></AnnotatedECG>"
    ).encode()


def described(layout: str) -> SignalsPart:
    names = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    leads = names if layout == "npy" else ()
    return SignalsPart(format=layout, files="{file}", units="mV", sampling_rate=500, leads=leads)


def read_npy(path: Path) -> Recording:
    return read_record("x", path.parent, described("npy"), {"file": path.name})


def read_csv(path: Path) -> Recording:
    return read_record("x", path.parent, described("csv"), {"file": path.name})


READERS: dict[str, tuple[Read, Callable[[], bytes], str]] = {
    "npz": (read_recording, npz, "x.npz"),
    "npy": (read_npy, npy, "x.npy"),
    "csv": (read_csv, csv, "x.csv"),
    "mat": (lambda path: read_cpsc("x", path), mat, "x.mat"),
    "aecg": (read_file, aecg, "x.xml"),
}


@pytest.mark.parametrize("kind", READERS)
def test_the_undamaged_files_are_read(kind: str, tmp_path: Path) -> None:
    read, content, name = READERS[kind]
    (tmp_path / name).write_bytes(content())
    assert read(tmp_path / name) is not None


@pytest.mark.parametrize("kind", READERS)
@fuzzed
@given(damage=damage())
def test_a_damaged_file_is_read_or_refused(
    kind: str, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    read, content, name = READERS[kind]
    survives(read, tmp_path / name, damage(content()))


@pytest.mark.parametrize("kind", READERS)
@fuzzed
@given(content=st.binary(max_size=400))
def test_bytes_without_meaning_are_refused(kind: str, tmp_path: Path, content: bytes) -> None:
    read, _, name = READERS[kind]
    survives(read, tmp_path / name, content)


@pytest.mark.parametrize("part", [".hea", ".dat"])
@fuzzed
@given(damage=damage())
def test_a_damaged_wfdb_record_is_read_or_refused(
    part: str,
    tmp_path: Path,
    write_wfdb: Callable[..., Path],
    damage: Callable[[bytes], bytes],
) -> None:
    record = write_wfdb(tmp_path / "r", LEADS)
    file = record.with_name(f"r{part}")
    survives(lambda _: read_wfdb("r", record), file, damage(file.read_bytes()))


@pytest.mark.parametrize(
    "name", ["scp_ecg_example.scp", "dicom_12lead_ecg.dcm", "philips_sierra_1_04.xml"]
)
@pytest.mark.shared
def test_damaged_files_of_devices_are_read_or_refused(
    name: str, tmp_path: Path, shared: Path
) -> None:
    whole = (shared / "data/vendor_formats" / name).read_bytes()

    @settings(fuzzed, max_examples=25)
    @given(damage=damage())
    def run(damage: Callable[[bytes], bytes]) -> None:
        survives(read_file, tmp_path / name, damage(whole))

    run()


def test_archives_that_inflate_beyond_measure_are_refused_quickly(tmp_path: Path) -> None:
    zeros = bytes(100 * 2**20)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (15, len(zeros) // 8 // 15)}
    )
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("waveform.npy", header.getvalue() + zeros)
    savemat(tmp_path / "x.mat", {"ECG": np.zeros(9 * 2**20)}, do_compression=True)
    del zeros
    for read, name in ((read_recording, "x.npz"), (lambda p: read_cpsc("x", p), "x.mat")):
        content = (tmp_path / name).read_bytes()
        with pytest.raises(RecordingError, match="too_large"):
            read(tmp_path / name)
        survives(read, tmp_path / name, content)


@pytest.mark.parametrize("root", ["RestingECG", "AnnotatedECG", "CardiologyXML", "restingecgdata"])
def test_an_xml_file_whose_entities_multiply_is_refused_quickly(tmp_path: Path, root: str) -> None:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><{root}>&l11;</{root}>'
    (tmp_path / "x.xml").write_text(text)
    with pytest.raises(RecordingError):
        read_file(tmp_path / "x.xml")
    survives(read_file, tmp_path / "x.xml", text.encode())


@pytest.fixture(scope="module")
def tables_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_hospital(tmp_path_factory.mktemp("fuzz") / "h", n_patients=5, waveforms=False)
    return folder / "ed-bwh-ecg" / "v1"


@pytest.mark.slow
@settings(fuzzed, max_examples=15)
@given(damage=damage())
def test_damaged_tables_are_read_or_refused(
    tables_folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    for name in ("patient.csv", "ed-encounter.csv", "ecg-metadata.csv", "ecg-ed-enc.csv"):
        whole = (tables_folder / name).read_bytes()
        (tables_folder / name).write_bytes(damage(whole))
        with contextlib.suppress(InputError):
            NightingaleSource(path=tables_folder).tables()
        (tables_folder / name).write_bytes(whole)

"""Rows are joined by id; the fast and the slow path agree on anything."""

from __future__ import annotations

import gzip
import io
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from boards import IDS, csv, good_scores, make_version, many_ids, shuffled
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acsbench.errors import MissingPathError
from acsbench.leaderboard.check import check_content, check_file, is_few
from acsbench.leaderboard.fast_check import fast_scores, is_number
from acsbench.leaderboard.findings import Refused
from acsbench.leaderboard.slow_check import read_slowly

GOOD = good_scores()
VERSION = make_version()
EXPECTED = np.array([float(score) for score in GOOD.values()])

readers = pytest.mark.parametrize("columnar_from", [0, 10**9], ids=["columnar", "splitting"])


def fast(content: bytes, version=VERSION, columnar_from=10**9):
    return fast_scores(content, version.index, slug="acs", columnar_from=columnar_from)


def columnar(content: bytes):
    return fast(content, columnar_from=0)


def slow(content: bytes, version=VERSION):
    return read_slowly(content, version.index.rows, slug="acs", others={})


@readers
@given(
    order=st.permutations(sorted(GOOD.items())),
    with_task=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_permutation_of_the_rows_gives_the_same_scores(columnar_from, order, with_task, end):
    header = "ecg_id,score"
    if with_task:
        header, order = "ecg_id,task,score", [(f"{i},acs", s) for i, s in order]
    content = csv(order, header=header, end=end)
    for data in (content, content.removesuffix(end.encode())):
        np.testing.assert_array_equal(fast(data, columnar_from=columnar_from), EXPECTED)
        np.testing.assert_array_equal(slow(data), EXPECTED)


fragments = st.sampled_from(
    [
        *("ecg_id,score\n", "ecg_id,task,score\n", "\n", "\r\n", "\r", ",", '"', '""', "\0"),
        *(" ", "\t", "é", "\ufeff", "acs", "mace", ";", "#", "'", "\\", "\x1a", "\u2028", "\x0b"),
        *IDS,
        *("0.5", "1", "0", "-0", "+.5", "5.", "1e-3", "1E+2", "1e400", "1e-400", "nan", "inf"),
        *("NA", "null", "1_0", "٠.٥", "0x1", "1e", ".", "-", "e5", "1,5", "0." + "1" * 70),
        *(f"{ecg_id},0.5\n" for ecg_id in IDS),
        *(f"{ecg_id},acs,0.5\n" for ecg_id in IDS),
    ]
)
whole_files = st.permutations([[ecg_id, ",", "0.5", "\n"] for ecg_id in IDS]).map(
    lambda rows: ["ecg_id,score\n", *itertools.chain(*rows)]
)


@st.composite
def edited_files(draw) -> bytes:
    parts = list(draw(whole_files))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(parts) - 1))
        parts[at : at + draw(st.integers(0, 2))] = [draw(fragments)]
    return "".join(parts).encode()


anything = st.one_of(
    st.binary(max_size=300),
    st.lists(fragments, max_size=40).map(lambda parts: "".join(parts).encode()),
    edited_files(),
)


@readers
@settings(max_examples=400)
@given(content=anything)
@example(content=csv(GOOD) + b"\n")
@example(content=csv(GOOD).replace(b"\necg0004", b"\n\necg0004"))
@example(content=csv(GOOD).replace(b"ecg0002,", b"ecg0002\n0.5,ecg0003,"))
@example(content=csv({**GOOD, "ecg0001": " 0.5"}))
@example(content=csv({**GOOD, "ecg0001": "nan"}))
def test_what_the_fast_path_accepts_the_slow_path_accepts_with_the_same_scores(
    columnar_from, content
):
    quick = fast(content, columnar_from=columnar_from)
    careful = slow(content)
    if quick is not None:
        np.testing.assert_array_equal(quick, careful)
    if b'"' not in content and isinstance(careful, np.ndarray):
        assert quick is not None, "a plain good file needs no second reading"


@given(content=anything)
def test_any_bytes_get_an_answer_and_a_refusal_says_why(content):
    found = check_file(content, VERSION)
    if isinstance(found, Refused):
        assert found.findings
        assert all(one.message.isprintable() for one in found.findings)
    else:
        assert found.scores.shape == (8,)
        assert ((found.scores >= 0) & (found.scores <= 1)).all()


def test_every_parser_takes_the_same_numbers():
    texts = ["".join(c) for n in range(1, 6) for c in itertools.product("+-.1eE", repeat=n)]
    by_polars = pl.Series(texts).cast(pl.Float64, strict=False).is_not_null().to_list()
    for text, read in zip(texts, by_polars, strict=True):
        assert read == is_number(text), text
        if read:
            float(text)


@given(st.floats(0, 1))
def test_a_score_is_read_to_the_last_bit(score):
    for content in (csv({**GOOD, IDS[0]: repr(score)}), csv({**GOOD, IDS[0]: f"{score:.25f}"})):
        text = content.split(b"\n")[1].split(b",")[1]
        read = {reader(content)[0] for reader in (fast, columnar, slow)}
        assert read == {float(text)}


@given(st.dictionaries(st.sampled_from(IDS), st.floats(0, 1), min_size=8))
def test_text_to_scores_to_text_is_stable(scores):
    once = check_content(csv({i: repr(s) for i, s in scores.items()}), VERSION)
    again = check_content(
        csv({i: repr(float(s)) for i, s in zip(IDS, once.scores, strict=True)}), VERSION
    )
    np.testing.assert_array_equal(once.scores, again.scores)


def test_ids_are_text_and_leading_zeros_survive():
    version = make_version(("0012", "012", "12"))
    found = check_content(csv({"12": "0.1", "012": "0.2", "0012": "0.3"}), version)
    assert found.scores.tolist() == [0.3, 0.2, 0.1]
    lost = check_content(csv({"12": "0.1", "012": "0.2", "00012": "0.3"}), version)
    assert lost.codes == ("E20_UNKNOWN_ID", "E22_MISSING_ID")


def test_quoted_fields_are_read(tmp_path):
    content = b'"ecg_id","score"\r\n' + b"".join(
        f'"{i}","{s}"\r\n'.encode() for i, s in shuffled(GOOD.items())
    )
    np.testing.assert_array_equal(check_content(content, VERSION).scores, EXPECTED)


def test_gzip_path_stream_and_bytes_give_the_same(tmp_path):
    content = csv(GOOD)
    file = tmp_path / "scores.csv.gz"
    file.write_bytes(gzip.compress(content))
    for data in (content, gzip.compress(content), file, io.BytesIO(gzip.compress(content))):
        found = check_file(data, VERSION)
        np.testing.assert_array_equal(found.scores, EXPECTED)
        assert found.content == content
        assert found.sha256 == check_file(content, VERSION).sha256
    with pytest.raises(MissingPathError, match="There is no file"):
        check_file(tmp_path / "nothing.csv", VERSION)


def test_a_stream_is_read_one_byte_beyond_the_limit_at_most():
    stream = io.BytesIO(b"x" * 10 * VERSION.max_bytes)
    assert check_file(stream, VERSION).codes == ("E02_TOO_LARGE",)
    assert stream.tell() == VERSION.max_bytes + 1


@pytest.mark.parametrize("line", [b"\n", b",\n", b'"\n', b"a,b,c\n", b"\0\n", b'"' * 500 + b"\n"])
def test_a_hostile_file_is_refused_quickly(line):
    version = make_version(many_ids(2000))
    content = b"ecg_id,score\n" + line * ((version.max_bytes - 13) // len(line))
    found = check_file(content, version)
    assert isinstance(found, Refused)
    assert len(str(found.problem())) < 10_000


def test_seventy_thousand_rows_grow_memory_by_less_than_64_mb():
    """The check alone, in a process of its own: the file, and the worst file of its size."""
    program = """
import resource, sys, gzip
sys.path.insert(0, sys.argv[1])
from boards import csv, many_ids, make_version
from acsbench.leaderboard.check import check_file
small = make_version(many_ids(6000))
check_file(csv([(i, "0.123456") for i in small.ids]), small)
version = make_version(many_ids(70_000))
version.index.by_hash, version.index.rows
data = gzip.compress(csv([(i, f"0.{n:016}") for n, i in enumerate(reversed(version.ids))]), 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = check_file(data, version)
assert found.scores[0] == 0.0000000000069999, found.scores[0]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 64 * 1024


@pytest.mark.parametrize(
    ("n", "different", "few"), [(1295, 12, True), (1295, 13, False), (8, 2, True), (8, 3, False)]
)
def test_fewer_than_one_in_a_hundred_different_scores_are_few(n, different, few):
    scores = np.arange(n) % different / different
    assert is_few(scores) is few
    assert is_few(np.sort(scores)) is few

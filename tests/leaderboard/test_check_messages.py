"""Every message of the check, word for word."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import polars as pl
import pytest
from boards import IDS, csv, good_scores, make_version
from hypothesis import given
from hypothesis import strategies as st

from acsbench.leaderboard.check import check_file
from acsbench.leaderboard.findings import MESSAGES, Checked, Refused, as_text

GOOD = good_scores()
VERSION = make_version()


def edited(**changes: str | None) -> bytes:
    """The good file with other scores, by id; None leaves the row out."""
    return csv({i: s for i, s in {**GOOD, **changes}.items() if s is not None})


def line_edited(number: int, text: str) -> bytes:
    lines = csv(GOOD).decode().split("\n")
    lines[number - 1] = text
    return "\n".join(lines).encode()


def excel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "x")
        archive.writestr("xl/workbook.xml", "x")
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("scores.csv", csv(GOOD))
    return buffer.getvalue()


def parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"ecg_id": list(IDS)}).write_parquet(buffer)
    return buffer.getvalue()


HEADER = "Header is `{}`; expected `ecg_id,score`.{}"
CASES = [
    (b"", "E01_EMPTY", "The file is empty. Expected a header `ecg_id,score` and 8 rows."),
    (b"\n \n", "E01_EMPTY", "The file is empty. Expected a header `ecg_id,score` and 8 rows."),
    (
        csv(GOOD) + b"x" * 6000,
        "E02_TOO_LARGE",
        "The file is larger than 6 KiB for task `acs`. A file with 8 rows needs about 152 bytes.",
    ),
    *(
        (
            data,
            "E03_GZIP",
            "The gzip stream is damaged or has more than one member. Compress one CSV file.",
        )
        for data in (
            gzip.compress(csv(GOOD), mtime=0)[:-9],
            gzip.compress(csv(GOOD), mtime=0) * 2,
            gzip.compress(csv(GOOD), mtime=0) + b"more",
            b"\x1f\x8bnonsense",
        )
    ),
    (
        gzip.compress(b"0" * 1_000_000, mtime=0),
        "E04_EXPANDS",
        "The gzip stream expands beyond 6 KiB; reading stopped there.",
    ),
    *(
        (data, "E05_TYPE", f"This looks like {kind}, not CSV. Upload `.csv` or `.csv.gz`.")
        for data, kind in (
            (excel(), "xlsx"),
            (zipped(), "zip"),
            (parquet(), "parquet"),
            (b'{"ecg1": 0.5}', "json"),
            (b'\n[["ecg1", 0.5]]', "json"),
            (b"<!doctype html><html>", "html"),
            (gzip.compress(b"<html>", mtime=0), "html"),
        )
    ),
    (
        csv(GOOD).decode().encode("utf-16"),
        "E06_ENCODING",
        "Byte 0 (line 1) is not UTF-8. This looks like UTF-16; save as UTF-8.",
    ),
    (
        line_edited(3, "é,0.5").decode().encode("latin-1"),
        "E06_ENCODING",
        "Byte 28 (line 3) is not UTF-8. This looks like Latin-1 or Windows-1252; save as UTF-8.",
    ),
    (line_edited(3, "ecg0\x00002,0.5"), "E07_NUL", "Line 3 contains a NUL byte."),
    (b"ecg_id\0,score\n", "E07_NUL", "Line 1 contains a NUL byte."),
    *(
        (
            csv(GOOD).replace(b",", sign),
            "E08_DELIMITER",
            (
                f"The header has no comma but has {name}. "
                "Use commas between columns and a point in decimals."
            ),
        )
        for sign, name in ((b";", "semicolons"), (b"\t", "tabs"), (b"|", "vertical bars"))
    ),
    *(
        (csv(GOOD, header=header), "E09_HEADER", HEADER.format(header, hint))
        for header, hint in (
            ("ECG_ID,Score", " The names are in lower case."),
            ("ecg_id, score", " There are spaces around the names."),
            ("score,ecg_id", " The columns are in another order."),
            ("ecg0001,0.5", " The header line is missing."),
            ("ecg_id,score,model", " Leave the other columns out."),
            ("id,probability", ""),
        )
    ),
    (
        csv(GOOD, end="\r"),
        "E09_HEADER",
        HEADER.format(
            r"ecg_id,score\recg0001,0.1000\recg0002,0…",
            " Its lines end with a lone CR; save with LF or CRLF line ends.",
        ),
    ),
    (
        line_edited(4, "ecg0003,0,31"),
        "E10_COLUMNS",
        "Line 4 has 3 columns; expected 2. A decimal comma splits a number in two.",
    ),
    (line_edited(4, "ecg0003"), "E10_COLUMNS", "Line 4 has 1 columns; expected 2."),
    (csv(GOOD) + b"\n", "E10_COLUMNS", "Line 10 has 1 columns; expected 2. It is empty."),
    (
        line_edited(4, "ecg0003;0.3"),
        "E10_COLUMNS",
        "Line 4 has 1 columns; expected 2. It has semicolons instead of commas.",
    ),
    (
        edited(ecg0003="0." + "3" * 63),
        "E11_LONG",
        "Line 4 has a field longer than 64 characters.",
    ),
    (line_edited(4, '"ecg0003,0.3'), "E12_QUOTE", "Line 4: a quoted field is not closed."),
    (line_edited(4, 'ecg0003,"0.3"4'), "E12_QUOTE", "Line 4: a quoted field is not closed."),
    (b'"ecg_id,score\n', "E12_QUOTE", "Line 1: a quoted field is not closed."),
    (
        csv(
            [(f"{i},{'mace' if i == 'ecg0002' else 'acs'}", s) for i, s in GOOD.items()],
            header="ecg_id,task,score",
        ),
        "E13_TASK",
        "Line 3: task is `mace`; this upload is for `acs`.",
    ),
    (
        csv([*GOOD.items(), ("ecgffff", "0.5"), ("ecgeeee", "0.5")]),
        "E20_UNKNOWN_ID",
        "2 ids are not in task `acs`, first: line 10 `ecgffff`.",
    ),
    *(
        (
            csv([*GOOD.items(), (ecg_id, "0.5")]),
            "E20_UNKNOWN_ID",
            f"1 ids are not in task `acs`, first: line 10 `{ecg_id}`. {hint}",
        )
        for ecg_id, hint in (
            ("ecg0001.npy", "Without `.npy` it would match."),
            (" ecg0001", "Spaces around it."),
            ("ecgdddd", "It belongs to task `mace`."),
            ("ECG0001", "In lower case it would match."),
            ("0001", "With `ecg` before it it would match."),
        )
    ),
    (
        csv([*GOOD.items(), ("ecg0002", "0.5")]),
        "E21_DUPLICATE_ID",
        "1 ids occur more than once, first: `ecg0002` on lines 3 and 10.",
    ),
    (
        edited(ecg0004=None, ecg0006=None),
        "E22_MISSING_ID",
        "2 of 8 ids are missing, first: `ecg0004`.",
    ),
    *(
        (
            edited(ecg0002=text),
            "E30_NOT_NUMBER",
            f"Line 3: score `{shown or text}` is not a number.{hint}",
        )
        for text, shown, hint in (
            ("high", "", ""),
            ('"0,5"', "0,5", " Use a point, not a comma, in decimals."),
            ("50%", "", " Leave the percent sign out and divide by 100."),
            ("TRUE", "", " A score is a number, not true or false."),
            ("NA", "", " Every ECG needs a score; none can be missing."),
            (" 0.5", "", " There are spaces around it."),
            ("1_0", "", ""),
            ("0x1", "", ""),
            ("٠.٥", "", ""),
            ("0.5\t", r"0.5\t", " There are spaces around it."),
        )
    ),
    *(
        (
            edited(ecg0002=text),
            "E31_NOT_FINITE",
            f"Line 3: score is {found}. Every ECG needs a finite score.",
        )
        for text, found in (
            ("", "empty"),
            ("nan", "NaN"),
            ("-NaN", "NaN"),
            ("inf", "infinite"),
            ("-Infinity", "infinite"),
            ("1e400", "infinite"),
        )
    ),
    (
        edited(ecg0002="-2.1", ecg0003="3"),
        "E32_RANGE",
        (
            "2 scores are outside [0, 1], first: line 3 `-2.1`. "
            "Negative values: these look like log-odds; apply the logistic function."
        ),
    ),
    (
        edited(ecg0002="12.5", ecg0003="99"),
        "E32_RANGE",
        (
            "2 scores are outside [0, 1], first: line 3 `12.5`. "
            "Largest is 99: these look like percentages; divide by 100."
        ),
    ),
    (
        edited(ecg0002="1.0000001"),
        "E32_RANGE",
        (
            "1 scores are outside [0, 1], first: line 3 `1.0000001`. "
            "They are off by rounding; clip them to [0, 1]."
        ),
    ),
    (
        edited(ecg0002="1e5"),
        "E32_RANGE",
        (
            "1 scores are outside [0, 1], first: line 3 `1e5`. "
            "Largest is 100000: these are no probabilities."
        ),
    ),
]


@pytest.mark.parametrize(("data", "code", "message"), CASES)
def test_a_bad_file_is_refused_with_the_message_of_its_code_alone(data, code, message):
    found = check_file(data, VERSION, others={"mace": {"ecgdddd"}})
    assert isinstance(found, Refused)
    assert found.codes == (code,)
    assert found.findings[0].message == message


WARNINGS = [
    (b"\xef\xbb\xbf" + csv(GOOD), "The file starts with a byte-order mark; it was ignored."),
    (csv(dict.fromkeys(IDS, "0.5")), "All scores are equal; AUROC will be 0.5."),
    (
        csv({i: n % 2 for n, i in enumerate(IDS)}),
        "Only 2 different scores. That is fine for rule-based methods; is it what you meant?",
    ),
]


@pytest.mark.parametrize(("data", "message"), WARNINGS)
def test_an_odd_file_is_accepted_with_a_notice(data, message):
    found = check_file(data, VERSION)
    assert isinstance(found, Checked)
    assert [warning.message for warning in found.warnings] == [message]


def test_every_message_has_a_test():
    tested = {code for _, code, _ in CASES}
    tested |= {w.code for data, _ in WARNINGS for w in check_file(data, VERSION).warnings}
    assert tested == set(MESSAGES)


def test_one_id_missing_and_one_doubled_is_refused_with_both():
    rows = [(i, s) for i, s in GOOD.items() if i != "ecg0005"]
    found = check_file(csv([*rows, ("ecg0001", "0.2")]), VERSION)
    assert found.codes == ("E21_DUPLICATE_ID", "E22_MISSING_ID")


def test_everything_is_found_at_once_and_places_are_counted_beyond_twenty():
    ids = [f"x{n}" for n in range(30)]
    data = csv([*edited_rows(ecg0002="high", ecg0003="2"), *((i, "0.1") for i in ids)])
    found = check_file(data, make_version(IDS + tuple(f"y{n}" for n in range(40))))
    assert found.codes == ("E20_UNKNOWN_ID", "E22_MISSING_ID", "E30_NOT_NUMBER", "E32_RANGE")
    unknown = found.findings[0]
    assert (unknown.count, len(unknown.places)) == (30, 20)
    assert "line 10 `x0`" in as_text(found.findings)
    assert as_text(found.findings).count("and 10 more") == 1
    problem = found.problem()
    assert (problem["status"], problem["code"]) == (422, "E20_UNKNOWN_ID")
    assert problem["findings"][0]["places"][0] == {"line": 10, "text": "x0"}


def edited_rows(**changes):
    return {**GOOD, **changes}.items()


def test_what_a_file_says_is_cut_and_escaped_before_it_is_shown():
    found = check_file(edited(ecg0002="\x1b[31m\u202e" + "a" * 50), VERSION)
    shown = found.findings[0].places[0].text
    assert shown.startswith(r"\x1b[31m\u202eaaa")
    assert len(shown) <= 40
    assert shown.isprintable()


def test_every_message_stands_in_the_reference():
    page = Path(__file__).parents[2] / "docs" / "reference" / "submission-file.md"
    text = page.read_text(encoding="utf-8")
    for code, message in MESSAGES.items():
        assert f"| `{code}` | {message} |" in text


CHANGES = {
    "dropped": (lambda i, s: "", ("E22_MISSING_ID",)),
    "doubled": (lambda i, s: f"{i},{s}\n{i},{s}\n", ("E21_DUPLICATE_ID",)),
    "renamed": (lambda i, s: f"x{i},{s}\n", ("E20_UNKNOWN_ID", "E22_MISSING_ID")),
    "word": (lambda i, s: f"{i},high\n", ("E30_NOT_NUMBER",)),
    "empty": (lambda i, s: f"{i},\n", ("E31_NOT_FINITE",)),
    "large": (lambda i, s: f"{i},1.5\n", ("E32_RANGE",)),
    "decimal comma": (lambda i, s: f"{i},{s.replace('.', ',')}\n", ("E10_COLUMNS",)),
    "blank line": (lambda i, s: f"\n{i},{s}\n", ("E10_COLUMNS",)),
    "NUL": (lambda i, s: f"{i}\0,{s}\n", ("E07_NUL",)),
    "open quote": (lambda i, s: f'"{i},{s}\n', ("E12_QUOTE",)),
    "long": (lambda i, s: f"{i},{s}{'0' * 64}\n", ("E11_LONG",)),
    "CRLF": (lambda i, s: f"{i},{s}\r\n", ()),
    "quoted": (lambda i, s: f'"{i}","{s}"\n', ()),
    "exponent": (lambda i, s: f"{i},1e-3\n", ()),
}


@pytest.mark.parametrize("change", CHANGES)
@given(at=st.integers(0, 7), order=st.permutations(sorted(GOOD.items())))
def test_any_single_edit_of_a_good_file_gives_exactly_its_code(change, at, order):
    edit, codes = CHANGES[change]
    rows = [f"{i},{s}\n" for i, s in order]
    rows[at] = edit(*order[at])
    found = check_file(("ecg_id,score\n" + "".join(rows)).encode(), VERSION)
    assert (found.codes if isinstance(found, Refused) else ()) == codes

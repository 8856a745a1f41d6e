"""No hidden count can be found by adding and subtracting what is printed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acsbench.report.counts import guarded_text, rounded, rounding_step, shown_count, shown_part
from acsbench.report.flow import flow_figure
from acsbench.report.page import write_report
from acsbench.report.table_one import table_one
from acsbench.results import RESULT_COLUMNS, Results
from acsbench.tables import Cohort

MIN_COUNT = 10
_UP_TO = 4000


def preimages() -> dict[str, tuple[int, int]]:
    """For every printed text, the smallest and largest count that is printed so."""
    found: dict[str, tuple[int, int]] = {}
    for count in range(_UP_TO):
        text = shown_count(count, MIN_COUNT)
        low, _ = found.get(text, (count, count))
        found[text] = (low, count)
    return found


RANGES = preimages()


def possible(added: Iterable[str], taken: Iterable[str] = ()) -> tuple[int, int]:
    """Smallest and largest value of a sum of printed counts less others."""
    plus, minus = [RANGES[text] for text in added], [RANGES[text] for text in taken]
    low = sum(least for least, _ in plus) - sum(most for _, most in minus)
    high = sum(most for _, most in plus) - sum(least for least, _ in minus)
    return low, high


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0"), (1, "<= 10"), (10, "<= 10"), (11, "20"), (30, "20"), (31, "40"), (1234, "1,240")],
)
def test_counts_from_one_to_the_limit_are_hidden_and_others_rounded(count: int, shown: str) -> None:
    assert shown_count(count, 10) == shown


@pytest.mark.parametrize("min_count", [1, 5, 10, 50])
def test_every_printed_number_stands_for_equally_many_counts(min_count: int) -> None:
    texts = [rounded(n, min_count) for n in range(min_count + 1, 41 * min_count + 1)]
    assert {texts.count(text) for text in texts} == {rounding_step(min_count)}


@pytest.mark.parametrize(("n_terms", "left"), [(2, 9), (3, 8), (4, 7), (5, 6)])
def test_no_sum_or_difference_of_printed_counts_tells_a_hidden_one(n_terms: int, left: int) -> None:
    """All signed sums of so many printed counts; each leaves so many of the ten values."""
    texts = [text for text, (least, _) in RANGES.items() if least < 60 + 20 * (n_terms < 4)]
    for n_added in range(n_terms + 1):
        for added in itertools.combinations_with_replacement(texts, n_added):
            for taken in itertools.combinations_with_replacement(texts, n_terms - n_added):
                low, high = possible(added, taken)
                if high < 1 or low > MIN_COUNT:
                    continue  # not a hidden count
                assert min(high, MIN_COUNT) - max(low, 1) + 1 >= left, (added, taken)


@st.composite
def cohorts(draw: st.DrawFn) -> Cohort:
    """Cohorts whose groups are often small: everything that may be subtracted is in them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    n = draw(st.integers(60, 900))
    patients = rng.integers(0, n // 2, n)
    rare = draw(st.floats(0.005, 0.1))
    tested = rng.random(n) < draw(st.floats(0.02, 0.98))
    unknown = rng.random(n) < rare
    sex = np.where(rng.random(n // 2) < rare, "Male", "Female")[patients]
    races = rng.choice(["black", "white", "other"], n // 2, p=[rare, 0.9 - rare, 0.1])[patients]
    frame = pl.DataFrame(
        {
            "ecg_id": [f"e{i:04}" for i in range(n)],
            "patient_id": [f"p{i:04}" for i in patients],
            "encounter_id": [f"v{i:04}" for i in patients],
            "split": rng.choice(["train", "val", "test"], n, p=[0.9 - rare, rare, 0.1]),
            "is_included": [True] * n,
            "is_tested": tested & ~unknown,
            "is_untested": ~tested & ~unknown,
            "sex": sex,
            "race": races,
            "died": rng.random(n) < rare,
        }
    )
    dropped = int(rng.integers(1, 12))
    counts = [
        frame["encounter_id"].n_unique(),
        frame["patient_id"].n_unique(),
        len(frame),
    ]
    keys = ["n_encounters", "n_patients", "n_records"]
    flow = pl.DataFrame(
        {
            "step": ["all", "unreadable", "remaining"],
            "kind": ["start", "dropped", "kept"],
            **{k: [c + dropped, dropped, c] for k, c in zip(keys, counts, strict=True)},
        }
    )
    return Cohort(
        frame=frame,
        flow=flow,
        source="nightingale",
        scheme="patient",
        outcomes=("died",),
        min_count=MIN_COUNT,
    )


def printed_counts(text: str) -> list[str]:
    return re.findall(r"(?:<= )?\d[\d,]*", unescape(text))


@settings(max_examples=15, deadline=None)
@given(cohorts())
def test_table_one_and_flow_tell_no_small_group(cohort: Cohort) -> None:
    """Try every sum and difference of up to three printed counts on the small groups."""
    table = table_one(cohort)
    columns = [n for n, head in enumerate(table.header) if n and not head.startswith("Std.")]
    cells = [row[n].split(" (")[0] for row in table.rows for n in columns]
    boxes = re.findall(r">([^<]*)</text>", flow_figure(cohort.flow, min_count=MIN_COUNT))
    texts = {one for words in (*cells, *boxes) for one in printed_counts(words)}
    assert texts <= set(RANGES), "an exact count is printed"
    for n_terms in (1, 2, 3):
        for chosen in itertools.product(sorted(texts), repeat=n_terms):
            for n_added in range(n_terms + 1):
                low, high = possible(chosen[:n_added], chosen[n_added:])
                if high >= 1 and low <= MIN_COUNT:
                    assert min(high, MIN_COUNT) - max(low, 1) + 1 >= 8


def test_small_groups_are_there_to_be_found() -> None:
    """The test above could not fail if exact counts told nothing: they would."""
    few_men = Cohort(
        frame=some_frame(n=200, n_male=4), flow=pl.DataFrame(), source="s", scheme="patient"
    )
    rows = {row[0]: row[1] for row in table_one(few_men).rows}
    assert int(rows["Patients"]) - int(rows["Sex: Female"].split(" ")[0]) == 4
    hidden = {row[0]: row[1] for row in table_one(replace(few_men, min_count=10)).rows}
    assert (hidden["Patients"], hidden["Sex: Female"].split(" ")[0]) == ("200", "200")
    assert hidden["Sex: Male"] == "<= 10"


def some_frame(*, n: int, n_male: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ecg_id": [f"e{i:04}" for i in range(n)],
            "patient_id": [f"p{i:04}" for i in range(n)],
            "encounter_id": [f"v{i:04}" for i in range(n)],
            "split": ["test"] * n,
            "is_included": [True] * n,
            "is_tested": [True] * n,
            "is_untested": [False] * n,
            "sex": ["Male" if i < n_male else "Female" for i in range(n)],
        }
    )


@pytest.mark.parametrize("few", [1, 7, 10])
def test_the_page_prints_no_exact_count(tmp_path: Path, few: int) -> None:
    cohort = Cohort(
        frame=some_frame(n=997, n_male=few),
        flow=pl.DataFrame(
            {"step": ["all"], "kind": ["start"], "n_encounters": [997], "n_patients": [997]}
            | {"n_records": [997]}
        ),
        source="nightingale",
        scheme="patient",
        min_count=MIN_COUNT,
    )
    base = dict.fromkeys(RESULT_COLUMNS, None) | {
        "model": "resnet18",
        "task": "acs",
        "metric": "auroc",
        "method": "clustered_delong_logit",
        "n_records": 997,
        "n_positive": 203,
        "n_patients": 990,
    }
    rows = [
        base | {"value": 0.7, "low": 0.6, "high": 0.8},
        base | {"subgroup": "sex=Female", "n_records": 997 - few, "value": 0.7},
        base | {"subgroup": "sex=Male", "n_records": few, "reason": f"{few} positives"},
    ]
    results = Results(
        pl.DataFrame(rows, schema=RESULT_COLUMNS),
        remarks=(f"Task acs: {few} records of split test have no label.",),
    )
    facts = {"Patients in more than one split": str(few)}
    # the caller asks for nothing: the cohort does
    page = write_report(results, tmp_path, title="T", cohort=cohort, facts=facts).read_text()
    words = re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    for exact in (997, 997 - few, 203, 990):
        assert str(exact) not in words
    for unit in ("records", "positives"):
        assert not re.search(rf"(?<!&lt;=) {few} {unit}", words)
    assert f"<dd>{few}</dd>" not in page
    assert "nearest 20" in words


def test_a_part_shows_its_share_only_where_rounding_leaves_it_true() -> None:
    assert shown_part(15, 30, 0) == "15 (50.0 %)"
    assert shown_part(15, 30, 10) == "20"
    assert shown_part(160, 320, 10) == "160 (50 %)"


def test_sentences_lose_their_counts_and_keep_other_numbers() -> None:
    text = "Task acs: 4 of 1,295 records; 33 of 2,000 resamples; 2 waveform ECGs"
    assert guarded_text(text, 10) == (
        "Task acs: 4 of 1,300 records; 33 of 2,000 resamples; <= 10 waveform ECGs"
    )
    assert guarded_text(text, 0) == text
    assert guarded_text("fewer than 10 positives", 10) == "fewer than 10 positives"

from __future__ import annotations

import numpy as np
import pytest

from acsbench.signal.leads import (
    LIMB_LEADS,
    LONG_LEADS,
    PAGE_COLUMNS,
    PAGE_LEADS,
    PAGE_ROWS,
    STANDARD_12,
    limb_residual,
    standard_name,
)


def test_columns_and_rows_of_a_page_hold_every_lead_once() -> None:
    assert tuple(name for column in PAGE_COLUMNS for name in column) == STANDARD_12
    assert sorted(name for row in PAGE_ROWS for name in row) == sorted(STANDARD_12)
    assert PAGE_ROWS[1] == ("II", "aVL", "V2", "V5")
    assert (*STANDARD_12, *LONG_LEADS) == PAGE_LEADS
    assert STANDARD_12[:6] == LIMB_LEADS


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("i", "I"),
        ("AVF", "aVF"),
        ("avl ", "aVL"),
        ("Lead II", "II"),
        ("lead v6", "V6"),
        ("long V1", "long_V1"),
        ("long_ii", "long_II"),
        ("MCL1", None),
        ("", None),
        ("V7", None),
    ],
)
def test_spellings_are_read_and_strangers_are_not_guessed(written: str, meant: str | None) -> None:
    assert standard_name(written) == meant


def test_einthovens_law_is_zero_for_right_gains_and_not_for_wrong_ones() -> None:
    one, three = np.random.default_rng(0).normal(size=(2, 1000))
    two = one + three
    two[:10] = np.nan
    assert limb_residual(one, two, three) == pytest.approx(0, abs=1e-12)
    assert limb_residual(1.1 * one, two, three) == pytest.approx(0.1, abs=0.02)


def test_leads_that_were_never_simultaneous_have_no_residual() -> None:
    nothing = np.full(5, np.nan)
    assert np.isnan(limb_residual(np.ones(5), nothing, np.ones(5)))

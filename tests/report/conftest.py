"""Cohorts, recordings and results that a report can be written from."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_results import synthetic_results

from acsbench.recording import Recording
from acsbench.results import Results
from acsbench.signal.leads import PAGE_LEADS


@pytest.fixture(scope="session")
def rich() -> Results:
    """Ten models with every table."""
    return synthetic_results()


@pytest.fixture(scope="session")
def small() -> Results:
    """Two models with every table: quick to draw."""
    return synthetic_results(n_models=2, n=400)


@pytest.fixture(scope="session")
def recording() -> Recording:
    times = np.arange(5000) / 500
    beat = np.exp(-(((times % 0.8) - 0.4) ** 2) / 0.0004)
    signal = np.full((15, 5000), np.nan)
    for lead in range(15):
        start = 0 if lead >= 12 else lead // 3 * 1250
        stop = 5000 if lead >= 12 else start + 1250
        signal[lead, start:stop] = beat[start:stop] * (0.5 + 0.05 * lead)
    return Recording(
        ecg_id="ECGSECRET001",
        signal=signal,
        lead_names=PAGE_LEADS,
        sampling_rate=500.0,
        units="mV",
    )

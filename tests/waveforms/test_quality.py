from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from shelf import Shelf, page

from acsbench.errors import RecordingError
from acsbench.recording import Recording
from acsbench.waveforms.quality import check_quality


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
    assert unreadable.select("ecg_id", "reasons").rows() == [("e004", "truncated")]
    loud = one.filter(pl.col("reasons").str.contains("out_of_range"))
    assert loud["ecg_id"].unique().to_list() == ["e005"]

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
import pytest

from acsbench.errors import RecordingError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12
from acsbench.tables import Tables
from acsbench.testing import check_source

GOOD = Tables(
    source="small",
    fingerprint="1",
    ecgs=pl.DataFrame({"ecg_id": ["a", "b"], "patient_id": ["p", "q"], "mi": [True, None]}),
    patients=pl.DataFrame({"patient_id": ["p", "q"], "sex": ["Male", None]}),
    outcomes=("mi",),
    features=("is_female",),
)


@dataclass
class Small:
    given: Tables = GOOD
    leads: tuple[str, ...] = STANDARD_12
    order: int = 1
    raises: bool = False
    scale: float = 1.0
    knows: Sequence[str] = field(default=("a", "b"))

    def tables(self) -> Tables:
        return self.given

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        for ecg_id in ids[:: self.order]:
            if ecg_id in self.knows:
                signal = np.ones((len(self.leads), 10)) * self.scale
                yield Recording(
                    ecg_id=ecg_id,
                    signal=signal,
                    lead_names=self.leads,
                    sampling_rate=500,
                    units="mV",
                )
            elif self.raises:
                raise RecordingError(ecg_id, "missing_file", "gone")
            else:
                yield RecordingError(ecg_id, "missing_file", "gone")


def test_a_good_source_passes() -> None:
    check_source(Small())


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        (Small(raises=True), "raised RecordingError"),
        (Small(order=-1), "one each, in order"),
        (Small(leads=STANDARD_12[:11]), "lacks ['V6']"),
        (Small(scale=np.inf), "infinite values"),
        (Small(knows=("a", "b", "no such ecg")), "an id that nobody has is read"),
        (Small(knows=()), "none of 2 ECGs can be read"),
        (Small(replace(GOOD, fingerprint="")), "no fingerprint"),
        (Small(replace(GOOD, outcomes=("stroke",))), "names 'stroke'"),
        (Small(replace(GOOD, flags=("ecg_id",))), "'ecg_id' is String"),
        (Small(replace(GOOD, fold_column="fold")), "fold_column names 'fold'"),
        (Small(replace(GOOD, patients=GOOD.patients.head(1))), "1 ECGs have a patient"),
        (Small(replace(GOOD, ecgs=GOOD.ecgs.head(0))), "no ECG"),
        (
            Small(replace(GOOD, ecgs=GOOD.ecgs.with_columns(sex=pl.lit("Male")))),
            "columns ['sex'] stand in two tables",
        ),
        (
            Small(replace(GOOD, ecgs=GOOD.ecgs.with_columns(ecg_id=pl.lit("a")))),
            "stand in more than one row",
        ),
    ],
)
def test_every_breach_is_named(source: Small, finding: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_source(source)
    assert finding in str(caught.value)


def test_all_breaches_come_at_once() -> None:
    broken = Small(replace(GOOD, fingerprint="", outcomes=("stroke",)), raises=True)
    with pytest.raises(AssertionError) as caught:
        check_source(broken)
    assert len(str(caught.value).splitlines()) == 4

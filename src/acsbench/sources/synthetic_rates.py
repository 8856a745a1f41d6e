"""How often things happen in the generated hospital: published figures, and a demo that has more.

Published are the figures of the Nightingale set ``ed-bwh-ecg`` v1 (doi:10.48815/N5CC7R) as the
ACS-BenchWork notebooks print them, at the level of ECGs. What is not published is marked so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BENIGN_SD_MV",
    "DEFAULT_EFFECT_MV",
    "FLAGS_BY_GROUP",
    "FLAGS_BY_LABEL",
    "MACE_GIVEN_LESION",
    "RATES",
    "TERRITORIES",
    "Demographics",
    "Rates",
    "RatesName",
    "lesion_posterior",
]

RatesName = Literal["demo", "published"]

DEFAULT_EFFECT_MV = 0.18
"""ST shift of a lesion of severity 1, as length of the heart vector."""

BENIGN_SD_MV = 0.09
"""Standard deviation, per territory direction, of the ST shift that everybody has."""

TERRITORIES = ("anterior", "lateral", "inferior")
TERRITORY_SHARES = (0.45, 0.20, 0.35)
SEVERITY_RANGE = (0.5, 1.5)
TREATED_SHARE = 0.95
"""Of the lesions in tested patients; not published."""


@dataclass(frozen=True, kw_only=True)
class Demographics:
    """Who is in a group: age in years, and shares of sexes and races."""

    age_mean: float
    age_sd: float
    female: float
    races: Mapping[str, float]

    def age_shape(self) -> tuple[float, float]:
        """Parameters of a beta distribution between 18 and 100 years with this mean and SD."""
        mean = (self.age_mean - YOUNGEST) / (OLDEST - YOUNGEST)
        spread = (self.age_sd / (OLDEST - YOUNGEST)) ** 2
        total = mean * (1 - mean) / spread - 1
        return mean * total, (1 - mean) * total


YOUNGEST, OLDEST = 18.0, 100.0

# Table 1; SD = SEM x sqrt(rows)
TESTED = Demographics(
    age_mean=63.51,
    age_sd=14.2,
    female=0.381,
    races={"black": 0.145, "hispanic": 0.0968, "white": 0.692, "other": 0.0652},
)
UNTESTED = Demographics(
    age_mean=54.43,
    age_sd=19.2,
    female=0.571,
    races={"black": 0.238, "hispanic": 0.169, "white": 0.513, "other": 0.0799},
)
# all minus included, from the printed totals; races not published for them
FRAIL = Demographics(age_mean=65.5, age_sd=17.0, female=0.523, races=UNTESTED.races)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of the generated hospital.

    Attributes
    ----------
    tested : float
        Of included visits.
    tested_excluded : float
        Of excluded visits; published: 0.0084 treated / 0.387.
    lesion_tested, lesion_untested : float
        Of visits. ``lesion_tested`` x 0.95 treated is the published 0.387.
    frail : float
        Of patients; frail patients are nearly always excluded.
    visits, visits_frail : float
        Mean visits of a patient.
    ecgs_tested, ecgs_untested, ecgs_excluded : float
        Mean ECGs of a visit.
    """

    tested: float
    tested_excluded: float
    lesion_untested: float
    lesion_tested: float = 0.387 / TREATED_SHARE
    frail: float = 0.205
    visits: float = 1.445
    visits_frail: float = 2.2
    excluded_frail: float = 0.95
    excluded_other: float = 0.03
    ecgs_tested: float = 2.01
    ecgs_untested: float = 1.41
    ecgs_excluded: float = 1.95
    tested_group: Demographics = field(default=TESTED)
    untested_group: Demographics = field(default=UNTESTED)
    frail_group: Demographics = field(default=FRAIL)


RATES: Mapping[str, Rates] = {
    # 0.1035 makes the published 0.0838 MACE of the untested, see MACE_GIVEN_LESION
    "published": Rates(tested=0.0382, tested_excluded=0.022, lesion_untested=0.1035),
    # many tests and many lesions, so that a small hospital can be learned from
    "demo": Rates(tested=0.35, tested_excluded=0.20, lesion_untested=0.20),
}

MACE_GIVEN_LESION: Mapping[str, tuple[float, float]] = {
    # without and with a lesion; tested: 0.54 overall, untested: 0.0838, excluded: 0.26
    "tested": (0.327, 0.85),
    "untested": (0.03, 0.55),
    "excluded": (0.22, 0.60),
}

FLAGS_BY_LABEL: Mapping[str, tuple[float, float, float]] = {
    # untested; tested without and with a treated lesion: false positive rate and sensitivity,
    # 2x2 counts of the published evaluation (502 positives, 793 negatives)
    "has_st_eleva": (0.0127, 28 / 793, 53 / 502),
    "has_depress": (0.0126, 29 / 793, 28 / 502),
    "has_twave_inver": (0.0632, 86 / 793, 61 / 502),
    "has_twave_abnormal": (0.234, 288 / 793, 153 / 502),
}

FLAGS_BY_GROUP: Mapping[str, tuple[float, float]] = {
    # untested, tested; the first two published, the others plausible
    "has_afib": (0.0667, 0.0981),
    "has_rhythm_disturbance": (0.194, 0.327),
    "has_bbb": (0.06, 0.10),
    "has_st": (0.08, 0.13),
    "has_pacemaker": (0.02, 0.03),
    "has_lvh": (0.07, 0.10),
    "has_normal": (0.40, 0.24),
    "has_normal_ecg": (0.36, 0.20),
    "has_normal_sinus": (0.62, 0.55),
    "has_twave": (0.27, 0.37),
    "has_aberran_bbb": (0.004, 0.006),
    "has_jpoint_repol": (0.012, 0.008),
    "has_jpoint_eleva": (0.006, 0.006),
    "has_nonspecific": (0.24, 0.28),
    "has_prolonged_qt": (0.05, 0.07),
    "has_lead_reversal": (0.002, 0.002),
    "has_poor_or_quality": (0.010, 0.008),
}


def lesion_posterior(
    visible_st_mv: NDArray[np.float64], prior: NDArray[np.float64], *, effect_mv: float
) -> NDArray[np.float64]:
    """Probability of a lesion given the ST shift that is visible: the best possible score.

    Parameters
    ----------
    visible_st_mv : ndarray, shape (n, 3)
        Along the territory directions: lesion plus benign shift.
    prior : ndarray, shape (n,)
        Share of lesions in the group (tested or not) that the visit belongs to.
    effect_mv : float
        Shift of a lesion of severity 1.

    Returns
    -------
    ndarray, shape (n,)

    Notes
    -----
    The likelihood ratio is an average over territories and severities of ratios of two normal
    densities; severity by Gauss-Legendre quadrature.
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    low, high = SEVERITY_RANGE
    severity = low + (nodes + 1) / 2 * (high - low)
    ratio = np.zeros(len(visible_st_mv))
    for territory, share in enumerate(TERRITORY_SHARES):
        for size, weight in zip(effect_mv * severity, weights / 2, strict=True):
            exponent = (visible_st_mv[:, territory] * size - size**2 / 2) / BENIGN_SD_MV**2
            ratio += share * weight * np.exp(exponent)
    odds = ratio * prior / (1 - prior)
    return np.asarray(odds / (1 + odds))

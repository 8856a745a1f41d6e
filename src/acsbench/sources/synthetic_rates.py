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
    "FLAGS_EXCLUDED",
    "MACE_GIVEN_LESION",
    "RATES",
    "TERRITORIES",
    "Demographics",
    "Rates",
    "RatesName",
    "lesion_posterior",
]

RatesName = Literal["demo", "published", "returning"]

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

    def without(self, *parts: tuple[float, Demographics]) -> Demographics:
        """Who is left when parts are taken away, each a share of the whole and who is in it."""
        left = 1 - sum(share for share, _ in parts)

        def rest(whole: float, *theirs: float) -> float:
            taken = sum(share * value for (share, _), value in zip(parts, theirs, strict=True))
            return (whole - taken) / left

        def square(group: Demographics) -> float:
            return group.age_mean**2 + group.age_sd**2

        groups = [group for _, group in parts]
        age = rest(self.age_mean, *(group.age_mean for group in groups))
        variance = rest(square(self), *(square(group) for group in groups)) - age**2
        return Demographics(
            age_mean=age,
            age_sd=variance**0.5,
            female=rest(self.female, *(group.female for group in groups)),
            races={
                race: rest(share, *(group.races[race] for group in groups))
                for race, share in self.races.items()
            },
        )


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
    visits, visits_prone, visits_frail : float
        Mean visits of a patient: of most, of the test-prone, of the frail.
    tested_prone : float
        Share of a test-prone patient's included visits that are tested; nobody else's are. With
        ``visits_prone`` it settles how tests cluster in patients.
    persistence : float
        Share of visits at which the lesion is decided by the patient, once for all of these
        visits, and not by the visit.
    ecgs_tested, ecgs_untested, ecgs_excluded : float
        Mean ECGs of a visit.
    """

    tested: float
    tested_excluded: float
    lesion_untested: float
    lesion_tested: float = 0.387 / TREATED_SHARE
    frail: float = 0.205
    tested_prone: float = 0.3365
    visits: float = 1.455
    visits_prone: float = 1.373
    visits_frail: float = 2.2
    excluded_frail: float = 0.95
    excluded_other: float = 0.03
    persistence: float = 0.0
    ecgs_tested: float = 2.01
    ecgs_untested: float = 1.41
    ecgs_excluded: float = 1.95
    tested_group: Demographics = field(default=TESTED)
    untested_group: Demographics = field(default=UNTESTED)
    frail_group: Demographics = field(default=FRAIL)

    @property
    def _frail_visits(self) -> float:
        """Included visits of the frail, per patient of the hospital."""
        return self.frail * self.visits_frail * (1 - self.excluded_frail)

    @property
    def prone(self) -> float:
        """Share of the patients who are not frail that are test-prone.

        It solves tests = ``tested`` x visits, both of the included.
        """
        weight = (1 - self.frail) * (1 - self.excluded_other)
        tests = self.tested_prone * self.visits_prone * weight
        more_visits = (self.visits_prone - self.visits) * weight
        everybody_else = self.visits * weight + self._frail_visits
        return self.tested * everybody_else / (tests - self.tested * more_visits)

    @property
    def other_group(self) -> Demographics:
        """Who is neither test-prone nor frail: the untested without those two."""
        weight = (1 - self.frail) * (1 - self.excluded_other)
        of_prone = self.prone * self.visits_prone * weight
        of_others = (1 - self.prone) * self.visits * weight
        untested = of_prone * (1 - self.tested_prone) + of_others + self._frail_visits
        return self.untested_group.without(
            (of_prone * (1 - self.tested_prone) / untested, self.tested_group),
            (self._frail_visits / untested, self.frail_group),
        )


RATES: Mapping[str, Rates] = {
    # 0.1035 makes the published 0.0838 MACE of the untested, see MACE_GIVEN_LESION; `tested_prone`
    # and `visits_prone` solve 1,952 tested visits of 1,758 patients, 628 of them untested as well
    "published": Rates(tested=0.0382, tested_excluded=0.022, lesion_untested=0.1035),
    # many tests and many lesions, so that a small hospital can be learned from
    "demo": Rates(
        tested=0.35,
        tested_excluded=0.20,
        lesion_untested=0.20,
        tested_prone=0.75,
        visits=1.445,
        visits_prone=1.445,
    ),
    # patients who come back, tested or not, with a lesion that mostly stays: what can leak when
    # one patient's visits stand on both sides of a split
    "returning": Rates(
        tested=0.25,
        tested_excluded=0.20,
        lesion_untested=0.20,
        tested_prone=0.5,
        visits=1.445,
        visits_prone=3.0,
        persistence=0.9,
    ),
}

MACE_GIVEN_LESION: Mapping[str, tuple[float, float]] = {
    # without and with a lesion; tested: 0.54 overall, untested: 0.0838, excluded: 0.26
    "tested": (0.327, 0.85),
    "untested": (0.03, 0.55),
    "excluded": (0.22, 0.60),
}

FLAGS_EXCLUDED: Mapping[str, float] = {
    # of excluded visits: all minus included, from the printed totals
    "has_st_eleva": 0.0149,
    "has_depress": 0.0227,
    "has_twave_inver": 0.0937,
    "has_twave_abnormal": 0.302,
    "has_afib": 0.1093,
    "has_rhythm_disturbance": 0.278,
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

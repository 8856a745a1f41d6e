"""How ST and T fare when a page is extended to 10 s, by the original's recipe and by ours.

The same page is drawn with and without a planted shift, so the difference is the shift and nothing
else: what is left of it after a recipe, against what the page itself shows. Then cases and
controls whose heart rates differ: a reader of ST, or of T, and what the recipe adds to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.metrics import auroc
from acsbench.parallel import progress
from acsbench.recording import Recording
from acsbench.signal.beats import common_r_peaks, median_beat
from acsbench.signal.leads import LONG_LEADS, PAGE_LEADS, STANDARD_12
from acsbench.sources.synthetic_ecg import Heart, draw_page
from acsbench.sources.synthetic_rates import BENIGN_SD_MV
from acsbench.waveforms.dense import twelve_lead_10s
from acsbench.waveforms.paper import paper_12x10s
from benchmarks.flaws.hospitals import EFFECTS_MV, Floats, mean_of, print_table
from benchmarks.flaws.picture import write_lines

HZ = 500
RATES = (50, 60, 75, 90, 110, 130)
ROUTES = ("page", "ours", "original")
READ_LEADS = ("V2", "V3", "V4")
"""Where an anterior shift is largest; all three are rebuilt from 2.5 s."""
ST_S, PR_S = (0.104, 0.112), (-0.074, -0.058)
"""60 ms after the J point, which is drawn 48 ms after R; and between P and QRS."""
T_S, T_HALF_S = 0.265, 0.008
"""Peak of T after R at 60 beats/min; it moves with the square root of the interval."""
WAVES = ("ST", "T")
SHOWN_LEADS = ("V3", "V1")
SHOWN = (
    ("original", "ST", "V3"),
    ("original", "T", "V3"),
    ("ours", "ST", "V3"),
    ("ours", "T", "V3"),
    ("original", "ST", "V1"),
)
"""V1 is a long lead, which the original leaves as it is."""
CASES_PER_MIN, CONTROLS_PER_MIN, ALL_PER_MIN, SD_PER_MIN = 95, 70, 82, 12


def heart(rng: np.random.Generator, rate: float, effect_mv: float) -> Heart:
    """Draw a heart with a benign shift in every direction and a planted anterior one."""
    shift = rng.normal(0, BENIGN_SD_MV, 3) + np.array([effect_mv, 0.0, 0.0])
    return Heart(
        rate=rate,
        scale=float(np.exp(rng.normal(0, 0.12))),
        t_share=float(np.exp(rng.normal(0, 0.18))),
        turn_frontal=float(rng.normal(0, 0.22)),
        turn_horizontal=float(rng.normal(0, 0.18)),
        st_mv=shift,
        has_afib=False,
    )


def page_of(key: Sequence[int], rate: float, effect_mv: float) -> Recording:
    """Draw one page; the same key and rate give the same heart, beats and noise."""
    rng = np.random.default_rng(key)
    signal = draw_page(heart(rng, rate, effect_mv), rng).astype(np.float64)
    name = "-".join(map(str, key))
    return Recording(
        ecg_id=name, signal=signal, lead_names=PAGE_LEADS, sampling_rate=float(HZ), units="mV"
    )


def rows_of(page: Recording, route: str) -> dict[str, NDArray[np.floating]]:
    """Leads as a route gives them, by name."""
    if route == "page":
        return dict(zip(STANDARD_12, page.signal[: len(STANDARD_12)], strict=True))
    recipes: dict[str, Callable[[Recording], object]] = {
        "ours": twelve_lead_10s,
        "original": paper_12x10s,
    }
    return dict(zip(STANDARD_12, recipes[route](page).signal, strict=True))  # type: ignore[attr-defined]


def levels(page: Recording, rate: float, leads: Sequence[str], route: str) -> Floats:
    """ST and T less the PR level, in each lead's median beat; NaN without a beat.

    Returns
    -------
    ndarray, shape (2, leads)
    """
    long_rows = {name: page.signal[PAGE_LEADS.index(name)] for name in LONG_LEADS}
    peaks = common_r_peaks(long_rows, sampling_rate=HZ)
    rows = rows_of(page, route)
    before, after = round(0.1 * HZ), round(0.32 * HZ)
    t_s = T_S * float(np.sqrt(np.clip(60 / rate, 0.4, 1.5)))
    windows = (ST_S, (t_s - T_HALF_S, t_s + T_HALF_S), PR_S)
    found = np.full((len(WAVES), len(leads)), np.nan)
    for number, name in enumerate(leads):
        beat = median_beat(rows[name], peaks, before=before, after=after)
        if beat is not None:
            st, t, pr = (
                beat[before + round(a * HZ) : before + round(b * HZ) + 1].mean() for a, b in windows
            )
            found[:, number] = st - pr, t - pr
    return found


def kept(rate: int, effect_mv: float, n_hearts: int) -> dict[str, list[float]]:
    """Share of a planted shift that is left in V3, and in V1; one value a heart."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(n_hearts):
        with_shift, without = (page_of([number, rate], rate, e) for e in (effect_mv, 0.0))
        shown = {
            route: levels(with_shift, rate, SHOWN_LEADS, route)
            - levels(without, rate, SHOWN_LEADS, route)
            for route in ROUTES
        }
        for route, wave, lead in SHOWN:
            at = WAVES.index(wave), SHOWN_LEADS.index(lead)
            share = shown[route][at] / shown["page"][at]
            if np.isfinite(share):
                found[f"{route}, {wave} in {lead}"].append(float(share))
    return found


def shares(n_hearts: int) -> dict[int, dict[str, list[float]]]:
    """See `kept`, of the largest effect, at each rate."""
    return {
        rate: kept(rate, EFFECTS_MV[-1], n_hearts)
        for rate in progress(RATES, label="ST by heart rate", total=len(RATES))
    }


def levels_at_rest(n_hearts: int) -> list[tuple[str, ...]]:
    """Mean ST level in V3 at each rate and effect: as printed, by our recipe, by the original's."""
    rows = []
    for rate in RATES:
        cells = []
        for effect in EFFECTS_MV:
            pages = [page_of([number, rate], rate, effect) for number in range(n_hearts)]
            means = [np.nanmean([levels(p, rate, ("V3",), r)[0] for p in pages]) for r in ROUTES]
            cells.append(" / ".join(f"{mean:+.3f}" for mean in means))
        rows.append((f"{rate}", *cells))
    return rows


def readings(
    key: Sequence[int], n: int, mean_rate: float, effect_mv: float
) -> dict[tuple[str, str], Floats]:
    """ST and T of ``n`` people by wave and route, averaged over `READ_LEADS`."""
    rates = np.random.default_rng(key).normal(mean_rate, SD_PER_MIN, n).clip(45, 150)
    pages = [page_of([*key, i], float(rate), effect_mv) for i, rate in enumerate(rates)]
    found = {}
    for route in ROUTES:
        drawn = [levels(p, float(r), READ_LEADS, route) for p, r in zip(pages, rates, strict=True)]
        for wave, values in zip(WAVES, np.nanmean(drawn, axis=2).T, strict=True):
            found[wave, route] = values
    return found


def areas(seed: int, n: int, rates: tuple[float, float]) -> dict[tuple[float, str, str], float]:
    """AUROC of a reader by effect, wave and route, in one draw of cases and controls.

    A planted shift lifts ST and turns T the other way, so T is read with its sign changed.
    """
    controls = readings([seed, 0], n, rates[1], 0.0)
    labels = np.repeat([1.0, 0.0], n)
    found = {}
    for effect in EFFECTS_MV:
        cases = readings([seed, 1], n, rates[0], effect)
        for wave, route in cases:
            scores = np.concatenate([cases[wave, route], controls[wave, route]])
            found[effect, wave, route] = auroc(labels, -scores if wave == "T" else scores)
    return found


def main(folder: Path, n_draws: int, n_people: int, n_hearts: int) -> None:
    """Print three tables, and draw the first into the folder."""
    left = shares(n_hearts)
    names = list(left[RATES[0]])
    head = [f"beats/min, {n_hearts} hearts", *names]
    cells = [(f"{r}", *(mean_of(left[r][name], spread=False) for name in names)) for r in RATES]
    print_table(head, cells)
    write_lines(folder / "flaws-st.svg", left)
    planted = [f"{effect:.2f} mV planted" for effect in EFFECTS_MV]
    print_table(["beats/min; ST in V3, mV", *planted], levels_at_rest(n_hearts))
    rows = []
    arms = {
        f"cases {CASES_PER_MIN}, controls {CONTROLS_PER_MIN}/min": (
            CASES_PER_MIN,
            CONTROLS_PER_MIN,
        ),
        f"all {ALL_PER_MIN}/min": (ALL_PER_MIN, ALL_PER_MIN),
    }
    for told, rates in arms.items():
        draws = [areas(s, n_people, rates) for s in progress(range(n_draws), label=told)]
        for wave in WAVES:
            for route in ROUTES:
                means = (
                    mean_of([d[e, wave, route] for d in draws], spread=False) for e in EFFECTS_MV
                )
                rows.append((f"{told}: {wave}, {route}", *means))
    print_table([f"AUROC, {n_draws} x {2 * n_people} ECGs", *planted], rows)

"""What MACE pre-training brings to ACS, and what of it is a leak, on a generated hospital.

    python -m benchmarks.transfer OUT [EFFECT_MV ...]

For each effect size and each of several splits, a narrow ResNet learns ACS from scratch and from
weights trained on MACE. Under the scheme ``patient`` nobody stands in two splits. Under ``paper``
tested and untested visits are split apart, so a patient may train MACE and be scored on ACS: what
pre-training gains there with an effect of zero is that leak. The hospital is ``returning``: without
lesions that stay, one visit's outcome says nothing of another's and there is nothing to leak.
Finished fits are kept in OUT, so the script may be stopped and started at any time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.cohort.build import CohortConfig, build_cohort
from acsbench.dataset import load_dataset
from acsbench.evaluation.intervals import two_sided_p
from acsbench.experiment.config import SourceStep
from acsbench.experiment.steps import OpenedSource, open_step, quality_step, store_step
from acsbench.models.base import make_model
from acsbench.parallel import Workers
from acsbench.provenance import atomic_path, json_sha256
from acsbench.store import WaveformStore
from acsbench.tables import Cohort
from acsbench.tasks import TASKS
from benchmarks.areas import Area, Floats, area, difference, mean_area
from benchmarks.ptbxl_folds import logit

EFFECTS_MV = (0.0, 0.18, 0.36)
SEEDS = (0, 1, 2)
"""Of split and training."""
N_PATIENTS = 1200
Scheme = Literal["patient", "paper"]
SCHEMES: tuple[Scheme, ...] = ("patient", "paper")
RECIPE, RECIPE_PARAMETERS = "three_by_four", {"target_rate": 100, "high_hz": 40}
MODELS = ("scratch", "transfer", "mace", "recall")
NETWORK: dict[str, Any] = {
    "recipe": RECIPE,
    "width": 16,
    "hidden": 64,
    "dropout": 0.1,
    "learning_rate": 3e-3,
    "batch_size": 32,
    "threads": 1,
    "epochs": 8,
    "patience": 99,
}


class Cell(NamedTuple):
    """Test records of one split: labels, scores by model, patients, who else is in MACE's train."""

    labels: Floats
    scores: dict[str, Floats]
    patients: NDArray[np.intp]
    shared: NDArray[np.bool_]

    def areas(self, rows: NDArray[np.bool_], n_patients: int) -> dict[str, Area]:
        """AUROC of every model on some of the rows."""
        return {
            name: area(
                self.labels[rows, None],
                scores[rows, None],
                self.patients[rows],
                n_patients=n_patients,
            )
            for name, scores in self.scores.items()
        }


class Hospital:
    """A generated hospital of one effect size with its store."""

    def __init__(self, folder: Path, effect_mv: float) -> None:
        self.folder = folder
        step = SourceStep.model_validate(
            {
                "name": "synthetic",
                "path": folder / "hospital",
                "n_patients": N_PATIENTS,
                "rates": "returning",
                "effect_mv": effect_mv,
            }
        )
        self.opened: OpenedSource = open_step(step)
        self.quality = quality_step(self.opened, folder / "quality", workers=Workers(n_jobs=1))
        self.store: WaveformStore = store_step(
            self.opened,
            self.cohort("patient", 0),
            folder / "store",
            recipe=RECIPE,
            parameters=RECIPE_PARAMETERS,
            workers=Workers(n_jobs=1),
        )
        self.patients = sorted(set(self.cohort("patient", 0).frame["patient_id"].drop_nulls()))

    def cohort(self, scheme: Scheme, seed: int) -> Cohort:
        """Split the same people by a scheme and a seed."""
        fractions = {"train": 0.7, "val": 0.15, "test": 0.15}
        config = CohortConfig.model_validate({"scheme": scheme, "fractions": fractions})
        return build_cohort(self.opened.tables, quality=self.quality, seed=seed, config=config)

    def cell(self, scheme: Scheme, seed: int) -> Cell:
        """Fit, unless it was done, and score the test records of one split."""
        cohort = self.cohort(scheme, seed)
        acs, mace = TASKS["acs"], TASKS["mace"]
        file = self.folder / f"{scheme}-{seed}-{json_sha256(NETWORK)[:8]}.npz"
        test = load_dataset(cohort, self.store, acs, "test")
        if not file.is_file():
            start = time.process_time()
            scores = self._fit(cohort, seed)
            with atomic_path(file) as temporary, temporary.open("wb") as stream:
                np.savez(stream, **scores)
            print(f"{file.name}: {time.process_time() - start:.0f} CPU s", flush=True)
        known = np.isfinite(test.labels)
        ids = pl.DataFrame({"ecg_id": test.ecg_ids})
        rows = ids.join(cohort.frame, on="ecg_id", how="left", maintain_order="left")
        seen = mace.select(cohort, "train")
        outcome = seen.group_by("patient_id").agg(pl.col(mace.outcome).mean().alias("seen"))
        recalled = rows.join(outcome, on="patient_id", how="left", maintain_order="left")["seen"]
        with np.load(file) as held:
            scores = {name: held[name][known] for name in held.files}
        # a model that recognised everybody would score with the outcome it was trained on
        scores["recall"] = recalled.fill_null(float(seen[mace.outcome].mean())).to_numpy()[known]
        return Cell(
            test.labels[known].astype(np.float64),
            scores,
            np.searchsorted(self.patients, rows["patient_id"].to_numpy())[known],
            recalled.is_not_null().to_numpy()[known],
        )

    def _fit(self, cohort: Cohort, seed: int) -> dict[str, Floats]:
        sets = {
            task: [load_dataset(cohort, self.store, TASKS[task], s) for s in ("train", "val")]
            for task in ("acs", "mace")
        }
        test = load_dataset(cohort, self.store, TASKS["acs"], "test")
        first = self.folder / "mace" / f"{cohort.scheme}-{seed}"
        pretrained = make_model("resnet6", **NETWORK, seed=seed).fit(*sets["mace"])
        pretrained.save(first)
        scores = {"mace": logit(pretrained.predict_proba(test)[:, 1])}
        for name, start in (("scratch", None), ("transfer", first)):
            model = make_model("resnet6", **NETWORK, seed=seed, init_from=start).fit(*sets["acs"])
            scores[name] = logit(model.predict_proba(test)[:, 1])
        return scores


def rows_of_table(hospital: Hospital, effect_mv: float) -> Iterator[list[str]]:
    """Cells of the table: one row per scheme, and for ``paper`` one of the shared patients."""
    n = len(hospital.patients)
    for scheme in SCHEMES:
        cells = [hospital.cell(scheme, seed) for seed in SEEDS]
        everybody = [np.ones(len(one.labels), bool) for one in cells]
        yield [f"{effect_mv:.2f}", scheme, *_row(cells, everybody, n)]
        if scheme == "paper":
            shared = [one.shared for one in cells]
            yield [f"{effect_mv:.2f}", "paper, patients who trained MACE", *_row(cells, shared, n)]


def _row(cells: list[Cell], rows: list[NDArray[np.bool_]], n_patients: int) -> list[str]:
    # a split whose few shared patients are all of one class has no AUROC
    pairs = [
        (one, chosen)
        for one, chosen in zip(cells, rows, strict=True)
        if len(set(one.labels[chosen])) == 2
    ]
    if not pairs:
        return ["0", *["not estimable"] * 6]
    areas = [one.areas(chosen, n_patients) for one, chosen in pairs]
    by_model = {name: [one[name] for one in areas] for name in areas[0]}
    delta, reach = difference(by_model["transfer"], by_model["scratch"])
    return [
        f"{np.mean([chosen.sum() for _, chosen in pairs]):.0f}",
        *(f"{mean_area(by_model[name]).value:.3f}" for name in MODELS),
        f"{delta:+.3f} ± {reach:.3f}",
        f"{two_sided_p(1.96 * delta / reach):.3f}",
    ]


def main(out: Path, effects_mv: tuple[float, ...] = EFFECTS_MV) -> None:
    """Run what is not there yet and print the table."""
    rows = [
        row
        for effect_mv in effects_mv
        for row in rows_of_table(Hospital(out / f"effect-{effect_mv:g}", effect_mv), effect_mv)
    ]
    print(
        "\n| effect, mV | scheme | test ECGs | scratch | transfer | MACE model as it is "
        "| recalled outcome | transfer - scratch | p |"
    )
    print("|---" * 9 + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), tuple(float(one) for one in sys.argv[2:]) or EFFECTS_MV)

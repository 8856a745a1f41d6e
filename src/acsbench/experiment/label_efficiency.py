"""What pre-training is worth: methods x shares of the labels x draws, fitted once each."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from acsbench.errors import MissingPathError, StepError
from acsbench.experiment.label_config import (
    LabelEfficiencyConfig,
    counted_fits,
    plan_fits,
    study_of,
)
from acsbench.experiment.label_fits import LabelFit, LabelFitOnce
from acsbench.experiment.label_table import label_table
from acsbench.parallel import Workers, iter_units
from acsbench.provenance import atomic_path, atomic_text, write_manifest
from acsbench.report.label_chart import label_chart
from acsbench.report.svg import standalone_svg
from acsbench.results import format_estimate
from acsbench.store import WaveformStore
from acsbench.tables import Cohort

__all__ = [
    "LabelEfficiency",
    "counted_fits",
    "label_efficiency_text",
    "run_label_efficiency",
    "study_of",
]

log = logging.getLogger("acsbench")


@dataclass(frozen=True, kw_only=True)
class LabelEfficiency:
    """What a study found.

    Attributes
    ----------
    table : DataFrame
        One row a method and share: AUROC with its interval, the paired difference from the
        baseline, and ``same_as_share``, the share of labels with which the baseline is as good.
    failures : DataFrame
        ``fit, reason``; started again, they are tried again.
    figure : str
        SVG.
    folder : Path
    """

    table: pl.DataFrame
    failures: pl.DataFrame
    figure: str
    folder: Path


def run_label_efficiency(
    config: LabelEfficiencyConfig,
    rounds: Mapping[str, Cohort],
    store: WaveformStore,
    folder: Path,
    *,
    workers: Workers | None = None,
) -> LabelEfficiency:
    """Fit what is not there yet, and judge it.

    Parameters
    ----------
    config : LabelEfficiencyConfig
    rounds : mapping of str to Cohort
        One cohort with its splits; or several, each with other folds in test, whose AUROCs are
        averaged.
    store : WaveformStore
    folder : Path
        Holds ``fits``, ``features``, ``table.csv``, ``failures.csv`` and ``figure.svg``.
    workers : Workers, optional
        By default one, which uses every core.

    Raises
    ------
    MissingPathError
        When a pre-trained folder is not there.
    StepError
        When nothing could be fitted.
    """
    _require_starts(config, list(rounds))
    fits = plan_fits(config, list(rounds))
    once = LabelFitOnce(rounds=rounds, store=store.folder, task=config.task, folder=folder)
    results = iter_units(once, fits, workers=workers or Workers(n_jobs=1), label="fitting")
    done: list[tuple[LabelFit, Path]] = []
    failed = []
    for fit, (file, reason) in zip(fits, results, strict=True):
        if reason is None:
            done.append((fit, file))
        else:
            log.warning("%s failed: %s", fit, reason)
            failed.append((str(fit), reason))
    if not done:
        raise StepError(f"All {len(fits):,} fits failed, the first of them: {failed[0][1]}")
    table = label_table(config, rounds, store, done)
    figure = label_chart(table, title=f"AUROC of {config.task} by share of labels")
    failures = pl.DataFrame(failed, schema=["fit", "reason"], orient="row")
    for name, frame in (("table", table), ("failures", failures)):
        with atomic_path(folder / f"{name}.csv") as temporary:
            frame.write_csv(temporary)
    atomic_text(folder / "figure.svg", standalone_svg(figure))
    splits = {f"split {name}": one.split_fingerprint for name, one in rounds.items()}
    write_manifest(
        folder,
        step="label-efficiency",
        config=config.model_dump(mode="json"),
        inputs={"store": store.manifest.fingerprint, **splits},
        outputs=["failures.csv", "figure.svg", "table.csv"],
        info={"n_fits": len(done), "n_failed": len(failed)},
    )
    return LabelEfficiency(table=table, failures=failures, figure=figure, folder=folder)


def _require_starts(config: LabelEfficiencyConfig, rounds: Sequence[str]) -> None:
    starts = {
        method.start(round_name=name, seed=seed)
        for method in config.methods
        for name in rounds
        for seed in config.seeds
    }
    missing = sorted(str(one) for one in starts if one is not None and not one.exists())
    if missing:
        raise MissingPathError(
            f"{len(missing)} pre-trained models are not there, the first of them {missing[0]}. "
            "Make them with 'acsbench pretrain', one for each seed and round."
        )


def label_efficiency_text(table: pl.DataFrame) -> str:
    """Headlines for a terminal."""
    lines = [f"{'method':<22}{'share':>7}{'labels':>9}  AUROC                  to the baseline"]
    for row in table.iter_rows(named=True):
        shown = format_estimate(row["auroc"], row["low"], row["high"])
        more = ""
        if row["difference"] is not None:
            bounds = (row["difference"], row["difference_low"], row["difference_high"])
            more = "{:+.3f} ({:+.3f} to {:+.3f})".format(*bounds)
        lines.append(
            f"{row['method']:<22}{row['share']:>7.0%}{row['n_labels']:>9,.0f}  {shown:<23}{more}"
        )
    return "\n".join(lines)

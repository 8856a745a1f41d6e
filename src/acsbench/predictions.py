"""Predictions: the one table that makers hand to judges, ``ecg_id, task, score``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import polars as pl

from acsbench.errors import PredictionsError, TableError, did_you_mean, first_few
from acsbench.provenance import atomic_path
from acsbench.tables import Column, Schema, check, read_table

__all__ = ["PREDICTIONS", "Predictions", "ScoresAre", "merge", "parse_name_and_file"]

ScoresAre = Literal["probability", "logit", "rank"]

PREDICTIONS = Schema(
    "predictions",
    ("ecg_id", "task"),
    (
        Column("ecg_id", "text", nullable=False),
        Column("task", "text", nullable=False),
        Column("score", "number", nullable=False),
    ),
)


@dataclass(frozen=True)
class Predictions:
    """Scores of one model.

    Attributes
    ----------
    frame : DataFrame
        Exactly ``ecg_id`` (text), ``task``, ``score``.
    model : str
    scores_are : "probability", "logit" or "rank"
        Said by whoever made the scores, never guessed. A rank carries order only.

    Raises
    ------
    PredictionsError
        On duplicates, missing cells, scores that are not finite, or probabilities outside [0, 1].
    """

    frame: pl.DataFrame
    model: str
    scores_are: ScoresAre = "probability"

    def __post_init__(self) -> None:
        if self.scores_are not in get_args(ScoresAre):
            raise PredictionsError(
                f"scores_are = '{self.scores_are}' is none of {', '.join(get_args(ScoresAre))}."
            )
        extra = [name for name in self.frame.columns if PREDICTIONS.column(name) is None]
        if extra:
            raise PredictionsError(
                f"Predictions of '{self.model}' have columns beside ecg_id, task and score: "
                f"{', '.join(extra)}. Leave them out; what is known of a patient belongs to "
                "the labels."
            )
        try:
            frame = check(self.frame, PREDICTIONS, where=f"model '{self.model}'")
        except TableError as error:
            raise PredictionsError(str(error)) from None
        self._check_scores(frame)
        object.__setattr__(self, "frame", frame.select("ecg_id", "task", "score"))

    def _check_scores(self, frame: pl.DataFrame) -> None:
        bad = frame.filter(~pl.col("score").is_finite())
        rule = "are not finite numbers"
        if bad.is_empty() and self.scores_are == "probability":
            bad = frame.filter(~pl.col("score").is_between(0, 1))
            rule = (
                "lie outside [0, 1]. A score is a probability; say scores_are 'logit' or 'rank' "
                "(--scores-are) if these are raw scores"
            )
        if not bad.is_empty():
            shown = [f"{ecg_id}: {score!r}" for ecg_id, _, score in bad.head(3).rows()]
            raise PredictionsError(
                f"{len(bad):,} scores of model '{self.model}' {rule} (first: {first_few(shown)})."
            )

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that are scored, in order of appearance."""
        return self.frame["task"].unique(maintain_order=True).to_list()

    @classmethod
    def read(
        cls,
        path: Path | str,
        *,
        model: str | None = None,
        task: str | None = None,
        scores_are: ScoresAre = "probability",
    ) -> Self:
        """Read a CSV or Parquet file.

        Parameters
        ----------
        path : Path or str
            ``FILE`` or ``NAME=FILE``.
        model : str, optional
            By default the name given, or the file's stem up to the first ``--``.
        task : str, optional
            Fills in a ``task`` column that the file does not have.
        scores_are : {"probability", "logit", "rank"}
        """
        name, file = parse_name_and_file(path)
        frame = read_table(file, text_columns=("ecg_id", "task"))
        if "task" not in frame.columns and task is not None:
            frame = frame.with_columns(pl.lit(task).alias("task"))
        return cls(frame, model or name, scores_are)

    def write(self, path: Path | str) -> Path:
        """Write ``ecg_id, task, score`` as CSV (scores in full precision) or Parquet."""
        path = Path(path)
        frame = self.frame.sort("task", "ecg_id")
        with atomic_path(path) as temporary:
            if path.suffix == ".parquet":
                frame.write_parquet(temporary)
            else:
                frame.write_csv(temporary)
        return path

    def probabilities(self) -> pl.DataFrame | None:
        """Return the frame with scores in [0, 1]; None when the scores are ranks."""
        if self.scores_are == "rank":
            return None
        if self.scores_are == "probability":
            return self.frame
        scores = self.frame["score"].to_numpy()
        with np.errstate(over="ignore"):
            probabilities = 1 / (1 + np.exp(-scores))
        return self.frame.with_columns(pl.Series("score", probabilities))

    def check_ids(self, ecg_ids: Sequence[str], *, task: str, known: Sequence[str]) -> None:
        """Require one score for each of ``ecg_ids`` and no score for an id outside ``known``.

        Raises
        ------
        PredictionsError
            Naming the ids that lack a score and the ids that nobody knows.
        """
        scored = self.frame.filter(pl.col("task") == task)["ecg_id"]
        if scored.is_empty():
            raise PredictionsError(
                f"Predictions of '{self.model}' have no row of task '{task}'."
                f"{did_you_mean(task, self.tasks)} Found: {', '.join(self.tasks) or 'nothing'}."
            )
        missing = sorted(set(ecg_ids) - set(scored))
        unknown = sorted(set(scored) - set(known))
        findings = []
        if missing:
            findings.append(
                f"Predictions of '{self.model}' lack {len(missing):,} of {len(ecg_ids):,} records "
                f"of task '{task}' (first: {first_few(missing, n=3)}). Every record needs "
                "one score."
            )
        if unknown:
            findings.append(
                f"Predictions of '{self.model}' score {len(unknown):,} ids that the labels of task "
                f"'{task}' do not hold (first: {first_few(unknown, n=3)}). Are the ids edited?"
            )
        if findings:
            raise PredictionsError("\n".join(findings))


def parse_name_and_file(text: Path | str) -> tuple[str, Path]:
    """Split ``NAME=FILE``; without a name it is the file's stem up to the first ``--``.

    >>> parse_name_and_file("mine=out/a.csv")[0], parse_name_and_file("out/s4--acs--test.csv")[0]
    ('mine', 's4')
    """
    text = str(text)
    if "=" in text and not Path(text).exists():
        name, _, file = text.partition("=")
        return name, Path(file)
    return Path(text).stem.split("--")[0], Path(text)


def merge(predictions: Sequence[Predictions]) -> pl.DataFrame:
    """Stack the predictions of several models: ``model, ecg_id, task, score``.

    Raises
    ------
    PredictionsError
        When two of them have the same model name.
    """
    models = [p.model for p in predictions]
    doubled = sorted({m for m in models if models.count(m) > 1})
    if doubled:
        raise PredictionsError(
            f"Two predictions are called {', '.join(doubled)}. Name them apart with NAME=FILE."
        )
    return pl.concat(p.frame.select(pl.lit(p.model).alias("model"), pl.all()) for p in predictions)

"""How predictions are judged, as one config."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from acsbench import registry
from acsbench.errors import did_you_mean
from acsbench.provenance import StepConfig

__all__ = ["EvaluateConfig"]


class EvaluateConfig(StepConfig):
    """How predictions are judged.

    Attributes
    ----------
    metrics : tuple of str
        Registered metrics.
    n_resamples : int
        Resamples of patients for each bootstrap interval.
    level : float
        Coverage of every interval.
    seed : int
        Of the resamples; the other figures need none.
    subgroups : tuple of str or None
        Columns of the labels. None: every further text column of at most 10 values.
    min_class : int
        A subgroup with fewer rows of either class is not estimated.
    compare : bool
        Test every pair of models for a difference in AUROC.
    flags : tuple of str
        Columns of the labels (0/1) that are judged as models named ``flag:<column>``.
    """

    metrics: tuple[str, ...] = Field(default=("auroc", "auprc"), min_length=1)
    n_resamples: int = Field(default=2000, ge=100)
    level: float = Field(default=0.95, gt=0.5, lt=1)
    seed: int = Field(default=0, ge=0)
    subgroups: tuple[str, ...] | None = None
    min_class: int = Field(default=10, ge=2)
    compare: bool = True
    flags: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _metrics_are_registered(self) -> Self:
        known = registry.names("metrics")
        for name in self.metrics:
            if name not in known:
                raise ValueError(
                    f"no metric is called '{name}'.{did_you_mean(name, known)} "
                    f"Known: {', '.join(known)}"
                )
        return self

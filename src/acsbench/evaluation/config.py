"""How predictions are judged, as one config."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from acsbench import registry
from acsbench.errors import did_you_mean
from acsbench.provenance import StepConfig

__all__ = ["SECTIONS", "EvaluateConfig", "Section"]

Section = Literal[
    "operating_points",
    "calibration",
    "utility",
    "comparisons",
    "subgroups",
    "features",
    "sensitivity",
    "selective_testing",
    "original",
]
SECTIONS: tuple[Section, ...] = get_args(Section)
Share = Annotated[float, Field(gt=0, lt=1)]


class EvaluateConfig(StepConfig):
    """How predictions are judged.

    Attributes
    ----------
    metrics : tuple of str
        Registered metrics that get an interval, subgroups and a macro average.
    sections : tuple of str
        Further analyses; discrimination is always done.
    n_resamples : int
        Resamples of patients for each bootstrap interval.
    level : float
        Coverage of every interval.
    seed : int
        Of the resamples; the other figures need none.
    subgroups : tuple of str or None
        Columns of the labels. None: every further text column of at most 10 values.
    min_class : int
        A subgroup with fewer rows of either class is not estimated: 10 in a report, 20 on a board.
    min_patients : int
        As many patients a subgroup needs.
    min_complement : bool
        The rest of a subgroup needs as many too, so that nothing follows by subtraction.
    compare : bool
        Test every pair of models for a difference in AUROC.
    flags : tuple of str or None
        Columns of the labels (0/1) that are judged as models named ``flag:<column>``. None: the
        classical findings that the labels hold in full.
    specificities, sensitivities : tuple of float
        Targets of the cuts that are chosen on the validation rows.
    budgets : tuple of float
        Shares of the rows that are flagged.
    thresholds : tuple of float
        Risks from which somebody would act, where net benefit is given with an interval.
    decision_range : pair of float
        Risks between which the decision curve is drawn.
    testing_columns : tuple of str or None
        Columns that the chance of being tested is fitted on. None: flags, subgroups and age.
    """

    metrics: tuple[str, ...] = Field(default=("auroc", "auprc"), min_length=1)
    sections: tuple[Section, ...] = SECTIONS
    n_resamples: int = Field(default=2000, ge=100)
    level: float = Field(default=0.95, gt=0.5, lt=1)
    seed: int = Field(default=0, ge=0)
    subgroups: tuple[str, ...] | None = None
    min_class: int = Field(default=10, ge=2)
    min_patients: int = Field(default=0, ge=0)
    min_complement: bool = False
    compare: bool = True
    flags: tuple[str, ...] | None = None
    specificities: tuple[Share, ...] = (0.80, 0.90, 0.95)
    sensitivities: tuple[Share, ...] = (0.90, 0.95, 0.98)
    budgets: tuple[Share, ...] = (0.01, 0.05, 0.10, 0.20)
    thresholds: tuple[Share, ...] = (0.05, 0.10, 0.15, 0.20, 0.30, 0.40, 0.50)
    decision_range: tuple[Share, Share] = (0.01, 0.60)
    testing_columns: tuple[str, ...] | None = None

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

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        low, high = self.decision_range
        if low >= high:
            raise ValueError(f"decision_range begins at {low:g} and ends at {high:g}")
        return self

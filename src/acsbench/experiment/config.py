"""ExperimentConfig: one TOML file that says everything a run needs, and replays it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import tomli_w
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from acsbench.cohort.build import CohortConfig
from acsbench.errors import ConfigError, MissingPathError, did_you_mean
from acsbench.evaluation.evaluate import EvaluateConfig
from acsbench.provenance import StepConfig, parse_config
from acsbench.registry import canonical
from acsbench.report.page import ReportConfig

__all__ = [
    "ExperimentConfig",
    "ExternalStep",
    "ModelStep",
    "ProcessStep",
    "SourceStep",
    "SweepConfig",
    "assign",
    "read_experiment",
]


ExternalName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]


class SourceStep(StepConfig):
    """Which source, and its own options beside the name."""

    # the options belong to the source, which refuses the ones it does not know
    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class ProcessStep(StepConfig):
    """How stores are made.

    Attributes
    ----------
    recipes : dict
        Parameters by recipe, where they differ from the recipe's own defaults.
    max_failed_share : float
        Above this share of records without a waveform the run stops.
    """

    recipes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    max_failed_share: float = Field(default=0.05, ge=0, le=1)


class ModelStep(StepConfig):
    """One model to train and score.

    Attributes
    ----------
    name : str
        What results call it.
    model : str
        A registered model, or ``flag:<column>``.
    task : str or list of str
        Several tasks make one multi-label model.
    init_from : str or None
        Another model of this run by name, the folder of a trained model, or a published
        checkpoint, to start from.
    parameters : dict
        The model's own parameters.
    """

    name: str = Field(pattern=r"[A-Za-z0-9_.:-]+")
    model: str
    task: str | tuple[str, ...]
    init_from: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, one or several."""
        names = (self.task,) if isinstance(self.task, str) else self.task
        return tuple(canonical(name) for name in names)


class SweepConfig(StepConfig):
    """What `acsbench sweep` crosses; `acsbench run` does not look at it.

    Attributes
    ----------
    seeds : int or tuple of int
        So many, counted from the run's seed; or the seeds themselves.
    models : tuple of str
        Names of models of the run; by default all. Those they start from are fitted too.
    tasks : tuple of str
        Fit every model for each of these, in the place of its own task; a model that another one
        starts from keeps its own.
    ensemble : bool
        Judge the ensemble of a model's seeds beside them.
    """

    seeds: int | tuple[int, ...] = 3
    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    ensemble: bool = True

    @model_validator(mode="after")
    def _seeds_are_seeds(self) -> Self:
        given = (self.seeds,) if isinstance(self.seeds, int) else self.seeds
        if not given or min(given) < (1 if isinstance(self.seeds, int) else 0):
            raise ValueError("seeds is their number, at least 1, or a list of them, 0 or more each")
        return self

    def seed_list(self, first: int) -> tuple[int, ...]:
        """The seeds, each once."""
        if isinstance(self.seeds, int):
            return tuple(range(first, first + self.seeds))
        return tuple(dict.fromkeys(self.seeds))


class ExternalStep(StepConfig):
    """Other data that the models of a run are judged on; nothing is learnt from them.

    Attributes
    ----------
    source : SourceStep
    cohort : CohortConfig
        Which of its ECGs count; all of them are test, whatever the scheme.
    tasks : dict of str to str
        By the task of a model, the task whose labels are asked for there, where it is another one.
    """

    source: SourceStep
    cohort: CohortConfig = CohortConfig()
    tasks: dict[str, str] = Field(default_factory=dict)

    def model_step(self, step: ModelStep) -> ModelStep:
        """A model's step with the tasks that it is judged by there."""
        asked = {canonical(here): canonical(there) for here, there in self.tasks.items()}
        return step.model_copy(update={"task": tuple(asked.get(one, one) for one in step.tasks)})


class ExperimentConfig(StepConfig):
    """A whole run.

    Attributes
    ----------
    name : str
        Names the output folder, ``runs/<name>``, unless ``--out`` does.
    seed : int
        Seeds every step that does not set its own.
    limit : int or None
        Use at most so many ECGs, to try things out; results are marked as not reportable.
    source, cohort, process, models, sweep, evaluate, report
        One section per step.
    compare_flags : bool
        Judge the source's classical findings beside the models.
    evaluate_on : dict of str to ExternalStep
        Other data to judge the models on, by a name for them: external validation.
    """

    name: str = "run"
    seed: int = Field(default=0, ge=0)
    limit: int | None = Field(default=None, ge=1)
    source: SourceStep
    cohort: CohortConfig = CohortConfig()
    process: ProcessStep = ProcessStep()
    models: tuple[ModelStep, ...] = Field(min_length=1)
    sweep: SweepConfig = SweepConfig()
    compare_flags: bool = True
    evaluate: EvaluateConfig = EvaluateConfig()
    report: ReportConfig = ReportConfig()
    evaluate_on: dict[ExternalName, ExternalStep] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> Self:
        seen: list[str] = []
        for step in self.models:
            if step.name in seen:
                raise ValueError(f"two models are called '{step.name}'; names are unique")
            start = step.init_from or ""
            is_there = start.startswith("hf:") or Path(start).exists()
            if step.init_from is not None and step.init_from not in seen and not is_there:
                raise ValueError(
                    f"init_from = '{step.init_from}' of model '{step.name}' is neither a model "
                    "listed above it nor a folder, a file or hf:OWNER/NAME."
                    f"{did_you_mean(step.init_from, seen)}"
                )
            seen.append(step.name)
        for name in self.sweep.models:
            if name not in seen:
                raise ValueError(
                    f"sweep.models names '{name}', which is no model of the run."
                    f"{did_you_mean(name, seen)} Known: {', '.join(seen)}"
                )
        return self

    def to_toml(self) -> str:
        """Write the resolved config as TOML; reading it gives an equal config."""
        body = self.model_dump(mode="json", exclude_none=True)
        return tomli_w.dumps(body)


def read_experiment(path: Path, changes: Sequence[str] = ()) -> ExperimentConfig:
    """Read a TOML file and apply ``key=value`` changes on top.

    Parameters
    ----------
    path : Path
        The file.
    changes : sequence of str
        ``"source.path=data"``, ``"models.0.parameters.width=4"``: dotted keys, values as in TOML
        (a bare word is text).

    Raises
    ------
    MissingPathError, ConfigError
    """
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        raise MissingPathError(f"There is no file {path}.{did_you_mean(path.name, beside)}")
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    assign(body, changes)
    return parse_config(ExperimentConfig, body, where=str(path))


def assign(body: dict[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """Carry out ``key=value`` changes in a config; dots lead to a place inside.

    >>> assign({}, ["epochs=4", "sizes.width=64"])
    {'epochs': 4, 'sizes': {'width': 64}}

    Raises
    ------
    ConfigError
        When a change has no ``=``, or leads nowhere.
    """
    for change in changes:
        key, value = parse_assignment(change)
        _set(body, key, value, change)
    return body


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split ``key=value`` and read the value as TOML, or as text where it is no TOML.

    >>> parse_assignment("models.0.parameters.width=4"), parse_assignment("source.path=a/b")
    (('models.0.parameters.width', 4), ('source.path', 'a/b'))
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text}: write KEY=VALUE, for example --set source.path=data.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _set(body: dict[str, Any], key: str, value: Any, change: str) -> None:
    *path, last = key.split(".")
    place: Any = body
    try:
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    except (ValueError, IndexError, TypeError, AttributeError):
        raise ConfigError(f"--set {change}: there is no place '{key}' in the config.") from None

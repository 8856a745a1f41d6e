"""ACS-BenchWork as two experiments: by its own rules, and by ours.

Both fit the same networks in the same two stages, MACE in the untested and then ACS in the tested;
what differs is what each rule changes. Settings of the original are facts from its public code and
checkpoints; what its rules cost is told on the page that is made of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from acsbench.errors import did_you_mean
from acsbench.evaluation.config import SECTIONS
from acsbench.experiment.config import ExperimentConfig, SourceStep
from acsbench.provenance import StepConfig
from acsbench.registry import canonical

__all__ = [
    "PAPER_MODELS",
    "PaperConfig",
    "Rules",
    "Scale",
    "experiment_of",
    "reduced_text",
    "table_experiment_of",
]

Rules = Literal["original", "sound"]
Scale = Literal["full", "docs", "small"]
PAPER_MODELS = ("s4", "resnet18", "hubert_ecg", "resnet6", "resnet50", "ecg_omi", "logistic")
"""In the order of the published tables; the four findings are always judged beside them."""

Parameters = dict[str, Any]

_TRAINING: Parameters = {
    "learning_rate": 1e-4,
    "weight_decay": 0.0,
    "schedule": "plateau",
    "epochs": 50,
    "patience": 50,
    "batch_size": 64,
}
_HUBERT: Parameters = {
    "learning_rate": 1e-5,
    "head_kind": "mlp",
    "class_weights": True,
    "layer_drop": 0.0,
    "window_pooling": "max",
    "batch_size": 64,
    "patience": 8,
}
_FULL: dict[str, tuple[Parameters, Parameters]] = {
    # by model: of the first stage, and what the second one has otherwise
    "s4": ({**_TRAINING, "batch_size": 128}, {}),
    "resnet6": (_TRAINING, {}),
    "resnet18": (_TRAINING, {"batch_size": 256}),
    "resnet50": (_TRAINING, {"batch_size": 256}),
    "ecg_omi": (_TRAINING, {}),
    "hubert_ecg": ({**_HUBERT, "epochs": 10}, {"epochs": 160}),
}
_QUICK: Parameters = {"learning_rate": 1e-3, "batch_size": 32, "patience": 3}
_REDUCED: dict[Scale, dict[str, Parameters]] = {
    "docs": {
        "s4": {"width": 32, "epochs": 2},
        "resnet6": {"epochs": 3},
        "resnet18": {"epochs": 2},
        "resnet50": {"width": 8, "hidden": 64, "epochs": 1},
        "ecg_omi": {"epochs": 3},
        "hubert_ecg": {
            "sizes": {
                "hidden_size": 96,
                "num_hidden_layers": 4,
                "num_attention_heads": 4,
                "intermediate_size": 384,
                "conv_dim": [64] * 5,
            },
            "epochs": 3,
        },
    },
    "small": {
        "s4": {"width": 4, "n_layers": 1, "n_states": 4, "epochs": 1},
        "resnet6": {"width": 4, "hidden": 8, "epochs": 1},
        "resnet18": {"width": 2, "hidden": 8, "epochs": 1},
        "resnet50": {"width": 1, "hidden": 4, "epochs": 1},
        "ecg_omi": {"width": 2, "hidden": 4, "epochs": 1},
        "hubert_ecg": {
            "sizes": {
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 16,
                "conv_dim": [8] * 5,
                "num_conv_pos_embeddings": 8,
                "num_conv_pos_embedding_groups": 2,
            },
            "hidden": 8,
            "n_windows": 1,
            "epochs": 1,
        },
    },
}
_ROWS_OF: dict[Rules, Parameters] = {
    "original": {"recipe": "paper_3x4"},
    "sound": {"recipe": "three_by_four", "calibrate": True},
}
_HUBERT_INPUT: dict[Rules, Parameters] = {
    "original": {"recipe": "paper_12x10s", "profile": "acs"},
    "sound": {"recipe": "hubert_100hz", "profile": "clean", "calibrate": True},
}
_RECIPES: dict[Rules, dict[str, Parameters]] = {
    "original": {
        "paper_3x4": {"bandpass": "bandpass", "form": "ba"},
        "paper_12x10s": {"bandpass": "bandpass", "form": "ba", "duration_s": 10},
    },
    "sound": {},
}
_COHORTS: dict[Rules, dict[str, Any]] = {
    # nothing is left out by its waveform, and copies stay
    "original": {"scheme": "paper", "copies": "keep", "excluded_reasons": []},
    "sound": {},
}
_TITLES: dict[Rules, str] = {
    "original": "ACS-BenchWork again, by its own rules",
    "sound": "ACS-BenchWork again, by sound rules",
}


class PaperConfig(StepConfig):
    """What is reproduced, and at what cost.

    Attributes
    ----------
    source : SourceStep
        Data in the Nightingale layout, or a generated hospital.
    models : tuple of str
        Of `PAPER_MODELS`.
    seeds : int
        Fits of every model, each from another seed. The first one is judged in full, the others
        give the spread.
    scale : "full", "docs" or "small"
        ``full`` trains as the original did; ``docs`` narrower networks for at most 3 epochs;
        ``small`` shows that every route runs, and nothing else.
    hubert : str or None
        HuBERT-ECG's published weights: a file, a folder or ``hf:OWNER/NAME``. None: random ones.
    seed : int
        Of the split, and the first of the models.
    limit : int or None
        Use at most so many ECGs.
    """

    source: SourceStep
    models: tuple[str, ...] = PAPER_MODELS
    seeds: int = Field(default=1, ge=1)
    scale: Scale = "full"
    hubert: str | None = None
    seed: int = Field(default=0, ge=0)
    limit: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _models_are_the_papers(self) -> Self:
        if not self.models:
            raise ValueError(f"models names none. Known: {', '.join(PAPER_MODELS)}")
        for name in self.models:
            if canonical(name) not in PAPER_MODELS:
                raise ValueError(
                    f"the paper has no model '{name}'.{did_you_mean(name, PAPER_MODELS)} "
                    f"Known: {', '.join(PAPER_MODELS)}"
                )
        return self

    @property
    def ordered_models(self) -> list[str]:
        """Each model once, in the order of the published tables."""
        asked = {canonical(name) for name in self.models}
        return [name for name in PAPER_MODELS if name in asked]


def experiment_of(config: PaperConfig, rules: Rules) -> ExperimentConfig:
    """Every model in both stages, by one set of rules."""
    # the last model chooses the examples of a report
    names = reversed(config.ordered_models)
    steps = [step for name in names for step in _steps(name, config, rules)]
    return _experiment(config, config.source, rules, steps, {})


def table_experiment_of(config: PaperConfig, source: SourceStep, rules: Rules) -> ExperimentConfig:
    """The findings and the logistic model, which read no waveform, on the tables of a source."""
    steps: list[Parameters] = [{"name": "logistic", "model": "logistic", "task": "acs"}]
    unread = {"check_quality": False}
    return _experiment(config, source, rules, steps, unread)


def reduced_text(config: PaperConfig) -> str:
    """What of the networks is smaller than the original's, and their epochs, in words."""
    return "; ".join(
        f"{name} with {', '.join(f'{key} {_words(value)}' for key, value in reduced.items())}"
        for name, reduced in _REDUCED[config.scale].items()
        if name in config.ordered_models
    )


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return f"({', '.join(f'{key} {_words(one)}' for key, one in value.items())})"
    return str(value)


def _experiment(
    config: PaperConfig,
    source: SourceStep,
    rules: Rules,
    steps: list[Parameters],
    cohort: Mapping[str, Any],
) -> ExperimentConfig:
    # the original reports the records that it chose by, so nothing is chosen beforehand
    sections = [one for one in SECTIONS if rules == "sound" or one in ("features", "original")]
    has_waveforms = cohort.get("check_quality", True)
    return ExperimentConfig.model_validate(
        {
            "name": f"paper-{rules}",
            "seed": config.seed,
            "limit": config.limit,
            "source": source.model_dump(),
            "cohort": {**_COHORTS[rules], **cohort},
            "process": {"recipes": _RECIPES[rules]},
            "models": steps,
            "sweep": {"seeds": config.seeds},
            "evaluate": {
                "sections": sections,
                "n_resamples": 200 if config.scale == "small" else 2000,
            },
            "report": {
                "title": _TITLES[rules],
                "original_examples": has_waveforms,
                "n_examples": 4 if has_waveforms else 0,
            },
        }
    )


def _steps(name: str, config: PaperConfig, rules: Rules) -> list[Parameters]:
    """The two stages of a network; the logistic model has the second one alone."""
    if name == "logistic":
        return [{"name": name, "model": name, "task": "acs"}]
    first, otherwise = _FULL[name]
    of_input = (_HUBERT_INPUT if name == "hubert_ecg" else _ROWS_OF)[rules]
    first, second = ({**stage, **of_input} for stage in (first, {**first, **otherwise}))
    if config.scale != "full":
        reduced = {**_QUICK, **_REDUCED[config.scale][name]}
        first, second = {**first, **reduced}, {**second, **reduced}
    if name == "hubert_ecg":
        first, second = _of_hubert(first, second, config)
    pretrained = f"{name}-mace"
    return [
        {"name": pretrained, "model": name, "task": "mace", "parameters": first},
        {"name": name, "model": name, "task": "acs", "init_from": pretrained, "parameters": second},
    ]


def _of_hubert(
    first: Parameters, second: Parameters, config: PaperConfig
) -> tuple[Parameters, Parameters]:
    """Published weights bring their sizes; the second stage takes over those of the first."""
    if config.hubert:
        first = {key: value for key, value in first.items() if key != "sizes"}
        first |= {"init": config.hubert}
    elif config.scale == "full":
        first = {**first, "size": "large"}
    return first, {key: value for key, value in second.items() if key != "sizes"}

"""The demo: the whole road on a generated hospital, small enough for a laptop."""

from __future__ import annotations

from typing import Any

from acsbench.experiment.config import ExperimentConfig

__all__ = ["demo_config"]


def demo_config(
    *, n_patients: int = 1500, seed: int = 0, hospital: str = "work/hospital", **source: Any
) -> ExperimentConfig:
    """Config of the demo: a narrow ResNet pre-trained on MACE, and three baselines.

    Parameters
    ----------
    n_patients : int
        Size of the generated hospital.
    seed : int
    hospital : str
        Folder that the generated hospital is written to.
    **source
        Further options of the source ``synthetic``: ``effect_mv``, ``rates``.
    """
    # small and quick: little to drown a weak signal in, few records to learn it from
    narrow = {
        "width": 8,
        "hidden": 64,
        "dropout": 0.1,
        "learning_rate": 3e-3,
        "batch_size": 16,
        "epochs": 12,
    }
    return ExperimentConfig.model_validate(
        {
            "name": "demo",
            "seed": seed,
            "source": {
                "name": "synthetic",
                "path": hospital,
                "n_patients": n_patients,
                "seed": seed,
                **source,
            },
            "models": [
                {"name": "logistic", "model": "logistic", "task": "acs"},
                {"name": "boosting", "model": "boosting", "task": "acs"},
                {
                    "name": "resnet18-mace",
                    "model": "resnet18",
                    "task": "mace",
                    "parameters": {**narrow, "epochs": 4},
                },
                {
                    "name": "resnet18",
                    "model": "resnet18",
                    "task": "acs",
                    "init_from": "resnet18-mace",
                    "parameters": narrow,
                },
            ],
            "report": {"title": "Demo: acute coronary syndrome on a generated hospital"},
        }
    )

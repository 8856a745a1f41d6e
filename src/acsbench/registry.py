"""Names of models, sources, recipes, tasks and metrics, and the objects behind them.

Built-ins are strings of the form ``"module:object"``, so that listing them imports nothing.
Other packages add theirs through entry points of the group ``acsbench.<kind>``; a name that
is already taken raises instead of winning silently.
"""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args

from acsbench.errors import (
    InputError,
    MissingDependencyError,
    UnknownNameError,
    did_you_mean,
)

__all__ = ["BUILT_INS", "KINDS", "Kind", "accepts", "canonical", "load", "names"]

Kind = Literal["models", "sources", "recipes", "tasks", "metrics"]
KINDS: tuple[Kind, ...] = get_args(Kind)

BUILT_INS: dict[Kind, dict[str, str]] = {
    "models": {
        "logistic": "acsbench.models.features:LogisticModel",
        "boosting": "acsbench.models.features:BoostingModel",
        "resnet6": "acsbench.models.neural:resnet6",
        "resnet18": "acsbench.models.neural:resnet18",
        "resnet50": "acsbench.models.neural:resnet50",
        "s4": "acsbench.models.neural:s4",
        "ecg_omi": "acsbench.models.neural:ecg_omi",
        "acsbench_s4": "acsbench.models.neural:acsbench_s4",
        "hubert_ecg": "acsbench.models.foundation.classifier:hubert_ecg",
        "ecgfounder": "acsbench.models.foundation.classifier:ecgfounder",
        "ecg_cpc": "acsbench.models.foundation.classifier:ecg_cpc",
        "ensemble": "acsbench.models.ensemble:Ensemble",
    },
    "sources": {
        "synthetic": "acsbench.sources.synthetic:SyntheticSource",
        "nightingale": "acsbench.sources.nightingale:NightingaleSource",
        "holdout": "acsbench.sources.nightingale:HoldoutSource",
        "ptbxl": "acsbench.sources.ptbxl:PtbxlSource",
        "mimic_iv_ecg": "acsbench.sources.mimic_iv_ecg:MimicIvEcgSource",
        "silent_cchs_ecg": "acsbench.sources.silent_cchs_ecg:SilentCchsEcgSource",
        "challenge": "acsbench.sources.challenge:ChallengeSource",
        "folder": "acsbench.sources.folder:FolderSource",
    },
    "recipes": {
        "three_by_four": "acsbench.waveforms.recipes:three_by_four",
        "recorded_12": "acsbench.waveforms.recipes:recorded_12",
        "twelve_lead_10s": "acsbench.waveforms.dense:twelve_lead_10s",
        "hubert_100hz": "acsbench.waveforms.dense:hubert_100hz",
        "paper_3x4": "acsbench.waveforms.paper:paper_3x4",
        "paper_12x10s": "acsbench.waveforms.paper:paper_12x10s",
        "paper_hubert_100hz": "acsbench.waveforms.paper:paper_hubert_100hz",
    },
    "tasks": {
        "acs": "acsbench.tasks:ACS",
        "mace": "acsbench.tasks:MACE",
        "mimic_acs_pci": "acsbench.tasks:MIMIC_ACS_PCI",
        "mimic_i21": "acsbench.tasks:MIMIC_I21",
        "ptbxl_norm": "acsbench.tasks:PTBXL_NORM",
        "ptbxl_mi": "acsbench.tasks:PTBXL_MI",
        "ptbxl_sttc": "acsbench.tasks:PTBXL_STTC",
        "ptbxl_cd": "acsbench.tasks:PTBXL_CD",
        "ptbxl_hyp": "acsbench.tasks:PTBXL_HYP",
    },
    "metrics": {
        "auroc": "acsbench.evaluation.metrics:auroc",
        "auprc": "acsbench.evaluation.metrics:auprc",
        "pauroc_fpr10": "acsbench.evaluation.metrics:pauroc_fpr10",
        "pauroc_tpr90": "acsbench.evaluation.metrics:pauroc_tpr90",
        "brier": "acsbench.evaluation.metrics:brier",
        "scaled_brier": "acsbench.evaluation.metrics:scaled_brier",
        "log_loss": "acsbench.evaluation.metrics:log_loss",
        "oe_ratio": "acsbench.evaluation.metrics:oe_ratio",
        "cal_intercept": "acsbench.evaluation.calibration:cal_intercept",
        "cal_slope": "acsbench.evaluation.calibration:cal_slope",
        "ici": "acsbench.evaluation.calibration:ici",
    },
}


def canonical(name: str) -> str:
    """Names are lower case with underscores; the command line may write dashes."""
    return name.strip().replace("-", "_")


def _plug_ins(kind: Kind) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"acsbench.{kind}"):
        if point.name in BUILT_INS[kind] or point.name in found:
            other = "built in" if point.name in BUILT_INS[kind] else found[point.name].value
            raise InputError(
                f"The name '{point.name}' of {point.value} (group acsbench.{kind}) is already "
                f"taken ({other}). Names are unique; rename or uninstall one of them."
            )
        found[point.name] = point
    return found


def names(kind: Kind) -> list[str]:
    """All names of a kind, built-ins first, without importing anything behind them."""
    return [*BUILT_INS[kind], *sorted(_plug_ins(kind))]


def load(kind: Kind, name: str) -> Any:
    """Import and return the object behind a name.

    Raises
    ------
    UnknownNameError
        With the nearest known name, and all of them.
    MissingDependencyError
        When it needs a library that is not installed.
    """
    name = canonical(name)
    if name in BUILT_INS[kind]:
        module, _, attribute = BUILT_INS[kind][name].partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"The {kind[:-1]} '{name}' needs {error.name}, which is not installed: "
                "pip install 'acsbench[all]'."
            ) from None
    plug_ins = _plug_ins(kind)
    if name in plug_ins:
        return plug_ins[name].load()
    known = names(kind)
    raise UnknownNameError(
        f"No {kind[:-1]} is called '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}."
    )


def accepts(entry: Any, parameter: str) -> bool:
    """Whether a registered class or function takes a keyword of this name."""
    known = inspect.signature(entry).parameters
    return parameter in known or any(p.kind is p.VAR_KEYWORD for p in known.values())

"""acsbench: diagnose acute coronary syndrome from ECG waveforms, and prove how well you do it.

Importing it loads no stage and writes nothing; every public name is loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acsbench.cohort.build import build_cohort as build_cohort
    from acsbench.dataset import WaveformDataset as WaveformDataset
    from acsbench.dataset import load_dataset as load_dataset
    from acsbench.errors import AcsbenchError as AcsbenchError
    from acsbench.evaluation.evaluate import evaluate as evaluate
    from acsbench.experiment.run import run_experiment as run_experiment
    from acsbench.experiment.score_files import score_files as score_files
    from acsbench.experiment.sweep import run_sweep as run_sweep
    from acsbench.models.base import load_model as load_model
    from acsbench.models.base import make_model as make_model
    from acsbench.models.base import predict as predict
    from acsbench.models.pretrained import load_pretrained as load_pretrained
    from acsbench.predictions import Predictions as Predictions
    from acsbench.recording import Recording as Recording
    from acsbench.recording import Waveform as Waveform
    from acsbench.report.page import write_report as write_report
    from acsbench.results import Results as Results
    from acsbench.sources.base import open_source as open_source
    from acsbench.sources.formats import read_file as read_file
    from acsbench.store import WaveformStore as WaveformStore
    from acsbench.tables import Cohort as Cohort
    from acsbench.tables import Split as Split
    from acsbench.tasks import TASKS as TASKS
    from acsbench.tasks import Task as Task
    from acsbench.waveforms.process import process_waveforms as process_waveforms
    from acsbench.waveforms.quality import check_quality as check_quality
    from acsbench.waveforms.recipes import get_recipe as get_recipe

_HOME = {
    "AcsbenchError": "errors",
    "Cohort": "tables",
    "Predictions": "predictions",
    "Recording": "recording",
    "Results": "results",
    "Split": "tables",
    "TASKS": "tasks",
    "Task": "tasks",
    "Waveform": "recording",
    "WaveformDataset": "dataset",
    "WaveformStore": "store",
    "build_cohort": "cohort.build",
    "check_quality": "waveforms.quality",
    "evaluate": "evaluation.evaluate",
    "get_recipe": "waveforms.recipes",
    "load_dataset": "dataset",
    "load_model": "models.base",
    "load_pretrained": "models.pretrained",
    "make_model": "models.base",
    "open_source": "sources.base",
    "predict": "models.base",
    "process_waveforms": "waveforms.process",
    "read_file": "sources.formats",
    "run_experiment": "experiment.run",
    "run_sweep": "experiment.sweep",
    "score_files": "experiment.score_files",
    "write_report": "report.page",
}

__all__ = sorted(_HOME)  # noqa: PLE0605  a list of str, as asked; the names live in one place


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'acsbench' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"acsbench.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOME]

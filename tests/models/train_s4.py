"""Train a small S4, alone or as one of the processes that torchrun started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from planted import cohort

from acsbench.experiment.config import ModelStep
from acsbench.experiment.steps import train_step
from acsbench.store import WaveformStore

if __name__ == "__main__":
    n_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    torch.set_num_threads(1)
    parameters = {
        "width": 8,
        "n_layers": 2,
        "n_states": 4,
        "dropout": 0.0,
        "epochs": 2,
        "batch_size": 8,
        "devices": n_ranks,
        "strategy": "ddp" if n_ranks > 1 else "auto",
    }
    step = ModelStep(name="s4", model="s4", task="acs", parameters=parameters)
    train_step(step, cohort(), WaveformStore.open(sys.argv[1]), Path(sys.argv[2]), seed=0)

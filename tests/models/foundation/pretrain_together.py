"""Pre-train by one method, alone or as one of the processes that torchrun started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from tiny_pretraining import SETTINGS
from twelve_leads import cohort

from acsbench.experiment.pretraining import pretrain_step
from acsbench.store import WaveformStore

if __name__ == "__main__":
    method, store, folder = sys.argv[1:]
    n_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    # a block that is left out has no gradient, for which the ranks would wait
    whole = {"layer_drop": 0.0} if method == "hubert" else {}
    parameters = {
        **SETTINGS[method],
        **whole,
        "devices": n_ranks,
        "strategy": "ddp" if n_ranks > 1 else "auto",
    }
    pretrain_step(
        method,
        parameters,
        WaveformStore.open(store),
        Path(folder),
        cohort=cohort(),
        probe_task="acs",
    )

"""Sixty records of twelve leads over 10 s at 100 Hz with a planted signal, and tiny networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from planted import N, cohort, sets

from acsbench.models.foundation.hubert_ecg import HubertEcgConfig
from acsbench.models.foundation.hubert_files import HubertSizes
from acsbench.recording import Waveform
from acsbench.signal.leads import STANDARD_12
from acsbench.store import WaveformStore, finish_store, write_shard

__all__ = ["COMMON", "TINY", "TINY_SIZES", "N", "cohort", "hub_folder", "make_store", "sets"]

TINY_SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 5,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
COMMON: dict[str, Any] = {"epochs": 2, "batch_size": 8, "threads": 1, "learning_rate": 1e-3}
TINY: dict[str, Any] = {**COMMON, "sizes": TINY_SIZES}


def waveform(label: int, seed: int, n_samples: int, rate: float) -> Waveform:
    """Broad humps for positives, narrow ones for negatives: found through a group norm."""
    rng = np.random.default_rng(seed)
    phase = (np.arange(n_samples) / rate * 1.3 + rng.random()) % 1
    hump = np.exp(-(((phase - 0.5) / (0.16 if label else 0.04)) ** 2))
    signal = rng.normal(0, 0.05, (12, n_samples)) + hump * rng.uniform(0.8, 1.2, (12, 1))
    return Waveform(
        signal=signal.astype(np.float32),
        mask=np.ones((12, n_samples), np.uint8),
        lead_names=STANDARD_12,
        sampling_rate=rate,
        units="mV",
    )


def make_store(
    folder: Path,
    *,
    recipe: str = "hubert_100hz",
    rate: float = 100,
    seconds: float = 10,
    missing: bool = False,
) -> WaveformStore:
    """Write a store; with ``missing``, lead V6 of each third record was not recorded."""
    n_samples = round(rate * seconds)
    made = []
    for i in range(N):
        one = waveform(i % 2, i, n_samples, rate)
        if missing and i % 3 == 0:
            one.mask[11], one.signal[11] = 0, 0
        made.append((f"e{i:02d}", one))
    write_shard(folder, 0, made, shape=(12, n_samples), job="j")
    named = {"name": recipe, "version": 1, "parameters": {}}
    return finish_store(folder, n_shards=1, recipe=named, inputs={}, example=made[0][1])


def hub_folder(folder: Path, *, seed: int = 0) -> Path:
    """A random tiny HuBERT-ECG as it would lie on the model hub, with codebooks of pre-training."""
    import json

    from safetensors.torch import save_file

    torch.manual_seed(seed)
    config = HubertEcgConfig(network="hubert_ecg", sizes=HubertSizes(**TINY_SIZES))
    model = config.adapter().random_init()
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    state["masked_spec_embed"] = torch.zeros(16)
    state["final_proj.0.weight"] = torch.zeros(4, 16)
    state["label_embedding.0.weight"] = torch.zeros(5, 4)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    told = {**model.config.to_dict(), "model_type": "hubert_ecg", "vocab_sizes": [5]}
    (folder / "config.json").write_text(json.dumps(told))
    return folder

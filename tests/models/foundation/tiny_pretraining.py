"""Tiny stores, cohorts and settings for pre-training."""

from __future__ import annotations

from typing import Any

TINY_S4: dict[str, Any] = {
    "sizes": {"width": 8, "n_layers": 1, "n_states": 4, "kernels": (3, 1), "strides": (4, 1)},
    "epochs": 3,
    "batch_size": 8,
    "threads": 1,
}
TINY_HUBERT: dict[str, Any] = {
    "sizes": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "conv_dim": (8,) * 5,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    },
    "clusters": (6, 4),
    "codebook_width": 8,
    "epochs": 2,
    "batch_size": 8,
    "threads": 1,
    "learning_rate": 1e-3,
}
SETTINGS = {
    "cpc": {**TINY_S4, "n_negatives": 8, "n_steps": 3},
    "masked": TINY_S4,
    "hubert": TINY_HUBERT,
}

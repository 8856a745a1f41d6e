"""Published files of HuBERT-ECG: goldens, both layouts, hostile ones. Traps of the specification
are named by number."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from twelve_leads import hub_folder

from acsbench.errors import InputError, MissingPathError, StoreError
from acsbench.models.foundation.hubert_ecg import HubertEcg
from acsbench.models.foundation.hubert_files import SIZES
from acsbench.models.pretrained import load_pretrained

HEADS = ("mlp", "linear", "label_embedding")
TOLERANCE = 2e-5

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch")


def network_of(file: Path) -> nn.Module:
    network = load_pretrained(file).network
    assert network is not None
    return network


@pytest.mark.shared
@pytest.mark.parametrize("kind", HEADS)
def test_a_fine_tuned_file_gives_the_references_logits(
    tiny: Path, outputs: dict[str, np.ndarray], kind: str
) -> None:
    """Trap 20: logits, not the first element of an output; trap 25: sizes from shapes."""
    network = network_of(tiny / f"hubert_ecg_tiny_finetuned_{kind}.pt")
    x, mask = (torch.from_numpy(outputs[name]) for name in ("x", "attention_mask"))
    with torch.no_grad():
        found = {"nomask": network(x), "mask": network(x, attention_mask=mask)}
    for which, logits in found.items():
        assert np.abs(logits.numpy() - outputs[f"{kind}/logits_{which}"]).max() < TOLERANCE


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "hubert_ecg_tiny_pretrained.pt",
        "pretrained.safetensors",
        "pretrained.legacy_weight_norm_names.safetensors",
    ],
)
def test_a_pretrained_file_gives_the_references_features(
    tiny: Path, outputs: dict[str, np.ndarray], name: str
) -> None:
    model = load_pretrained(tiny / name)
    network = model.network
    assert network is not None
    x, mask = (torch.from_numpy(outputs[key]) for key in ("x", "attention_mask"))
    with torch.no_grad():
        found = {"nomask": network(x), "mask": network(x, attention_mask=mask)}
    for which, pooled in found.items():
        assert np.abs(pooled.numpy() - outputs[f"{which}/pooled"]).max() < TOLERANCE
    assert model.shape is not None
    assert model.shape.n_outputs is None


@pytest.mark.shared
def test_the_backbone_is_the_stock_model_at_every_layer(
    tiny: Path, outputs: dict[str, np.ndarray]
) -> None:
    network = network_of(tiny / "hubert_ecg_tiny_pretrained.pt")
    backbone: Any = network.backbone
    x, mask = (torch.from_numpy(outputs[key]) for key in ("x", "attention_mask"))
    with torch.no_grad():
        for which, given in (("nomask", None), ("mask", mask)):
            hidden = backbone(x, attention_mask=given, output_hidden_states=True).hidden_states
            for i, one in enumerate(hidden):
                assert np.abs(one.numpy() - outputs[f"{which}/hidden{i}"]).max() < TOLERANCE
            ours = network.adapter.features(backbone, x, given)
            assert torch.equal(ours.frames, hidden[-1])
        convolved = backbone.feature_extractor(x).mT
        projected = backbone.feature_projection(convolved)
    assert np.abs(convolved.numpy() - outputs["conv_features"]).max() < TOLERANCE
    assert np.abs(projected.numpy() - outputs["feature_projection"]).max() < TOLERANCE


@pytest.mark.shared
def test_masking_leaves_what_it_was_given_alone(tiny: Path, outputs: dict[str, np.ndarray]) -> None:
    """Trap 31: masked writes in place change tensors of the caller."""
    network = network_of(tiny / "hubert_ecg_tiny_finetuned_mlp.pt")
    backbone: Any = network.backbone
    x, mask = (torch.from_numpy(outputs[key]) for key in ("x", "attention_mask"))
    kept: list[torch.Tensor] = []
    backbone.feature_projection.register_forward_hook(lambda *a: kept.append(a[-1]))
    before, with_gaps = x.clone(), x.clone()
    with_gaps[1, 4500:] = torch.nan
    with torch.no_grad():
        network(x, attention_mask=mask)
        network(with_gaps)
        fresh = backbone.feature_projection(backbone.feature_extractor(x).mT)
    assert torch.equal(x, before)
    assert torch.equal(kept[0], fresh)
    assert torch.isnan(with_gaps).sum() == 1500


@pytest.mark.shared
@pytest.mark.parametrize("kind", HEADS)
def test_gradients_are_the_references(
    tiny: Path, outputs: dict[str, np.ndarray], kind: str
) -> None:
    network = network_of(tiny / f"hubert_ecg_tiny_finetuned_{kind}.pt")
    network.requires_grad_(True)
    labels, weight = (torch.from_numpy(outputs[f"loss/{k}"]) for k in ("labels", "pos_weight"))
    loss = nn.functional.binary_cross_entropy_with_logits(
        network(torch.from_numpy(outputs["x"])), labels, pos_weight=weight
    )
    loss.backward()
    assert loss.item() == pytest.approx(float(outputs[f"{kind}/bce_loss"]), rel=1e-5)
    norms = json.loads((tiny / "grad_norms.json").read_text())[kind]
    wanted = {
        k.replace("weight_g", "parametrizations.weight.original0"): v for k, v in norms.items()
    }
    found = {name: p.grad for name, p in network.named_parameters()}
    n_compared = 0
    for name, norm in wanted.items():
        bare = name.replace("weight_v", "parametrizations.weight.original1")
        ours = bare.replace("hubert_ecg.", "backbone.").replace("classifier.", "classifier.net.")
        if bare == "label_embedding.weight":
            ours = "classifier.net.weight"
        if norm is None:
            continue
        assert float(found[ours].norm()) == pytest.approx(norm, rel=1e-3, abs=1e-7), name
        n_compared += 1
    assert n_compared >= 60


@pytest.mark.shared
def test_pretraining_logits_and_losses_follow_from_the_stock_model(
    tiny: Path, outputs: dict[str, np.ndarray]
) -> None:
    """Logits are cosines with the codebook over 0.1; trap 39: the unmasked loss has its frames."""
    import transformers

    state = load_file(tiny / "pretrained.safetensors")
    told = json.loads((tiny / "config.json").read_text())
    adapter = load_pretrained(tiny / "pretrained.safetensors").config.adapter()
    stock = adapter.stock_config().to_dict()
    stock |= {"mask_time_prob": told["mask_time_prob"], "apply_spec_augment": True}
    model = transformers.HubertModel(transformers.HubertConfig(**stock)).eval()
    own = {k: v for k, v in state.items() if not k.startswith(("final_proj", "label_embedding"))}
    model.load_state_dict(own)
    x, masked = (torch.from_numpy(outputs[k]) for k in ("x", "mask_time_indices"))

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        mapped = nn.functional.linear(
            hidden, state["final_proj.0.weight"], state["final_proj.0.bias"]
        )
        codes = state["label_embedding.0.weight"]
        return nn.functional.cosine_similarity(mapped[:, :, None], codes[None, None], dim=-1) / 0.1

    with torch.no_grad():
        plain = logits(model(x).last_hidden_state)
        found = logits(model(x, mask_time_indices=masked).last_hidden_state)
    assert np.abs(plain.numpy() - outputs["nomask/pretrain_logits0"]).max() < 2e-4
    assert np.abs(found.numpy() - outputs["pretrain/masked_logits0"]).max() < 2e-4
    labels = torch.from_numpy(outputs["pretrain/labels0"])
    for which, frames in (("masked", masked), ("unmasked", ~masked)):
        loss = nn.functional.cross_entropy(found[frames], labels[frames])
        assert float(loss) == pytest.approx(float(outputs[f"pretrain/{which}_loss"]), abs=1e-4)


@pytest.mark.shared
def test_half_precision_stays_near(tiny: Path, outputs: dict[str, np.ndarray]) -> None:
    network = network_of(tiny / "hubert_ecg_tiny_finetuned_mlp.pt")
    x = torch.from_numpy(outputs["x"])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        pooled = network.pooled(x).float().numpy()
    assert np.abs(pooled - outputs["nomask/pooled"]).max() < 0.1


def test_published_sizes_have_the_published_number_of_parameters() -> None:
    """Figures of the specification, without weights in memory."""
    from acsbench.models.foundation.hubert_ecg import HubertEcgConfig

    wanted = {"small": 30_209_152, "base": 92_798_080, "large": 187_643_776}
    for size, n in wanted.items():
        with torch.device("meta"):
            model = HubertEcg(HubertEcgConfig(size=size)).random_init()
        # ours has no masked_spec_embed, a vector of pre-training
        assert sum(p.numel() for p in model.parameters()) == n
    assert SIZES["base"].stride == 64
    assert SIZES["base"].reach == 82


def test_a_hub_folder_loads_and_its_licence_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = hub_folder(tmp_path / "hub")
    model = load_pretrained(folder)
    assert "CC BY-NC 4.0" in caplog.text
    assert any("CC BY-NC 4.0" in remark for remark in model.remarks)
    network: Any = model.network
    state = load_file(folder / "model.safetensors")
    for key, value in network.backbone.state_dict().items():
        assert torch.equal(value, state[key])


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.shared
@pytest.mark.parametrize(
    "place", ["model_config", "best_val_loss", "model_state_dict", "attribute"]
)
def test_a_hostile_file_in_the_published_layout_is_refused(
    tiny: Path, tmp_path: Path, place: str
) -> None:
    from acsbench.models.foundation.hubert_files import STAND_INS

    marker, path = tmp_path / "ran", tmp_path / "evil.pt"
    with torch.serialization.safe_globals(STAND_INS):
        body = torch.load(tiny / "hubert_ecg_tiny_finetuned_mlp.pt", weights_only=True)
    settings = vars(body["model_config"])
    body = {k: v for k, v in body.items() if k in ("model_state_dict", "linear")}
    body["model_config"] = settings
    if place == "attribute":
        settings["hidden_act"] = Hostile(marker)
    elif place == "model_state_dict":
        body[place]["classifier.2.bias"] = Hostile(marker)
    else:
        body[place] = Hostile(marker)
    torch.save(body, path)
    with pytest.raises(InputError, match="refused: it asks to run code"):
        load_pretrained(path)
    assert not marker.exists()


class Config:
    """Pickles as an object of the project's own config class, with any state."""

    def __init__(self, state: object) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return _FakeConfig, (), self.state


class _FakeConfig:
    pass


_FakeConfig.__module__, _FakeConfig.__qualname__ = "hubert_ecg", "HuBERTECGConfig"
_FakeConfig.__name__ = "HuBERTECGConfig"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"hidden_size": "os.system"}, "hidden_size"),
        ({"hidden_size": 10**9}, "hidden_size"),
        ({"hidden_size": 16, "num_hidden_layers": 10**6}, "num_hidden_layers"),
        (
            {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 100},
            "num_hidden_layers = 100",
        ),
        ({"hidden_size": 16, "hidden_act": "__import__('os')"}, "hidden_act"),
        ({"hidden_size": 16, "conv_dim": (8, 8)}, "one value a layer"),
        ({"hidden_size": 16, "num_attention_heads": 3}, "does not divide"),
        ([1, 2], "does not say the sizes"),
    ],
)
def test_a_pickled_config_of_nonsense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: object, message: str
) -> None:
    import sys
    import types

    module = types.ModuleType("hubert_ecg")
    module.HuBERTECGConfig = _FakeConfig
    monkeypatch.setitem(sys.modules, "hubert_ecg", module)
    weights = load_file(hub_folder(tmp_path / "hub") / "model.safetensors")
    path = tmp_path / "w.pt"
    torch.save({"model_state_dict": dict(weights), "model_config": Config(state)}, path)
    monkeypatch.delitem(sys.modules, "hubert_ecg")
    with pytest.raises(InputError, match=message):
        load_pretrained(path)


def test_the_projects_own_config_class_is_read_without_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    import types

    folder = hub_folder(tmp_path / "hub")
    told = json.loads((folder / "config.json").read_text())
    module = types.ModuleType("hubert_ecg")
    module.HuBERTECGConfig = _FakeConfig
    monkeypatch.setitem(sys.modules, "hubert_ecg", module)
    body = {
        "model_state_dict": dict(load_file(folder / "model.safetensors")),
        "model_config": Config(told),
        "best_val_loss": np.float64(0.5),
    }
    torch.save(body, tmp_path / "w.pt")
    monkeypatch.delitem(sys.modules, "hubert_ecg")
    model = load_pretrained(tmp_path / "w.pt")
    assert model.config.sizes.hidden_size == 16
    assert "hubert_ecg" not in sys.modules


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"encoder.layers.1.attention.q_proj.weight: missing"),
        ("extra", r"surprise: not part of"),
        ("shape", r"shape \(3, 3\), expected \(16, 16\)"),
        ("nan", "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path: Path, change: str, message: str) -> None:
    """Trap 16: a renamed key never leaves random weights behind."""
    folder = hub_folder(tmp_path / "hub")
    file = folder / "model.safetensors"
    state, key = load_file(file), "encoder.layers.1.attention.q_proj.weight"
    if change == "missing":
        del state[key]
    else:
        other = {"extra": torch.zeros(1), "shape": torch.zeros(3, 3), "nan": state[key] * np.nan}
        state["surprise" if change == "extra" else key] = other[change]
    save_file(state, file)
    with pytest.raises(StoreError, match=message):
        load_pretrained(folder)


def test_folders_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "hub")
    shutil.copy(folder / "model.safetensors", folder / "other.safetensors")
    load_pretrained(folder)  # the hub's name is the one
    (folder / "model.safetensors").rename(folder / "third.safetensors")
    with pytest.raises(InputError, match=r"holds 2 files of weights: other.*Name one"):
        load_pretrained(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match="does not say the sizes"):
        load_pretrained(folder / "third.safetensors")
    (folder / "config.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        load_pretrained(folder / "third.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingPathError, match="no trained network"):
        load_pretrained(tmp_path / "empty")


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    with pytest.raises(InputError, match="refused"):
        load_pretrained(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()

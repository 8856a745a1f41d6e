from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import SMALL, sets
from safetensors.torch import save_file

from acsbench.errors import InputError, MissingPathError, StoreError
from acsbench.models.base import make_model
from acsbench.models.networks.ecg_omi import ECGOMI
from acsbench.models.networks.resnet import ResNet
from acsbench.models.networks.s4 import S4Model
from acsbench.models.neural import NeuralClassifier
from acsbench.models.pretrained import load_pretrained
from acsbench.store import WaveformStore

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch")


def tiny_s4() -> S4Model:
    torch.manual_seed(0)
    return S4Model(width=4, n_layers=2, n_states=4)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "s4.ckpt"
    hyper = {"d_input": 3, "d_output": 1, "prenorm": False, "pooling": True, "dropout": 0.1}
    torch.save({"state_dict": tiny_s4().state_dict(), "hyper_parameters": hyper}, path)
    return path


@pytest.mark.shared
def test_a_checkpoint_saved_after_a_long_input_keeps_its_kernel(shared: Path) -> None:
    folder = shared / "golden" / "models"
    arrays = np.load(folder / "s4_default_tiny.npz")
    x = torch.from_numpy(arrays["x_L5000"])
    file = folder / "s4_default_tiny_after_L5000.ckpt"
    for compat, key in ((None, "correct"), ("reload", "reference_reload_BUG")):
        network = load_pretrained(file, compat).network
        assert network is not None
        error = np.abs(network(x).detach().numpy() - arrays[f"y64_after_L5000_{key}"]).max()
        assert error < 1e-5
    gap = arrays["y64_after_L5000_correct"] - arrays["y64_after_L5000_reference_reload_BUG"]
    assert np.abs(gap).max() > 1e-3


@pytest.mark.shared
def test_a_genuine_file_with_views_onto_one_number_loads(shared: Path) -> None:
    folder = shared / "golden" / "models"
    arrays = np.load(folder / "s4_fresh_strided_views.npz")
    network = load_pretrained(folder / "s4_fresh_strided_views.ckpt").network
    assert network is not None
    assert (
        np.abs(network(torch.from_numpy(arrays["x"])).detach().numpy() - arrays["y32"]).max() < 5e-5
    )


@pytest.mark.shared
def test_every_golden_file_is_recognised_in_both_formats(shared: Path) -> None:
    folder = shared / "golden" / "models"
    for file in sorted(folder.glob("*.ckpt")):
        first = load_pretrained(file)
        twin = file.with_suffix(".safetensors")
        if twin.is_file():
            second = load_pretrained(twin)
            assert second.config == first.config
            assert second.shape == first.shape


@pytest.mark.parametrize("prefix", ["", "model.", "module."])
@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".safetensors"])
@pytest.mark.parametrize(
    "network",
    [
        ResNet(6, width=2, hidden=4, n_samples=1000),
        ResNet(18, width=2, hidden=4, n_channels=12, n_outputs=5),
        ResNet(50, width=2, hidden=4, n_covariates=2),
        ECGOMI(width=4, hidden=8),
        S4Model(n_channels=12, n_outputs=5, width=4, n_states=4, causal=True, length=4096),
    ],
    ids=["resnet6", "resnet18", "resnet50", "ecg_omi", "s4"],
)
def test_architecture_and_sizes_are_found_from_the_weights_alone(
    tmp_path: Path, network: torch.nn.Module, suffix: str, prefix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    state = {f"{prefix}{key}": value for key, value in network.state_dict().items()}
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state} if suffix == ".ckpt" else state, path)
    found = load_pretrained(path).network
    assert found is not None
    theirs = found.state_dict()
    assert all(torch.equal(theirs[key], value) for key, value in network.state_dict().items())


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("wrap", ["state", "hyper_parameters", "bare pickle"])
def test_a_hostile_file_is_refused_and_nothing_of_it_runs(tmp_path: Path, wrap: str) -> None:
    marker, path = tmp_path / "ran", tmp_path / "evil.ckpt"
    bomb = Hostile(marker)
    if wrap == "bare pickle":
        path.write_bytes(pickle.dumps(bomb))
    elif wrap == "state":
        torch.save({"state_dict": {"s4_layers.0.D": bomb}}, path)
    else:
        torch.save({"state_dict": tiny_s4().state_dict(), "hyper_parameters": bomb}, path)
    with pytest.raises(InputError, match="refused: it asks to run code"):
        load_pretrained(path)
    assert not marker.exists()


def spoil(path: Path, change: str) -> None:
    body = torch.load(path, weights_only=True)
    state = body["state_dict"]
    key = "s4_layers.1.output_linear.0.weight"
    if change == "missing":
        del state[key]
    elif change == "shape":
        state[key] = torch.zeros(3, 3)
    elif change == "extra":
        state["surprise"] = torch.zeros(1)
    elif change == "nan":
        state[key] = torch.full_like(state[key], torch.nan)
    torch.save(body, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"s4_layers.1.output_linear.0.weight: missing"),
        ("shape", r"shape \(3, 3\), expected \(8, 4\)"),
        ("extra", r"surprise: not part of the network"),
        ("nan", r"not finite: s4_layers.1.output_linear.0.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(checkpoint: Path, change: str, message: str) -> None:
    spoil(checkpoint, change)
    with pytest.raises(StoreError, match=message):
        load_pretrained(checkpoint)


def test_other_bad_files_are_refused_with_a_reason(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match="There is no file or folder"):
        load_pretrained(tmp_path / "nothing.ckpt")
    (tmp_path / "half.ckpt").write_bytes(checkpoint.read_bytes()[:3000])
    with pytest.raises(StoreError, match="is damaged"):
        load_pretrained(tmp_path / "half.ckpt")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    with pytest.raises(StoreError, match="is damaged"):
        load_pretrained(tmp_path / "empty.safetensors")
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    with pytest.raises(InputError, match=r"is none of \.ckpt"):
        load_pretrained(tmp_path / "a.zip")
    torch.save({"state_dict": {"other.weight": torch.zeros(2)}}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match="of no known network"):
        load_pretrained(tmp_path / "other.ckpt")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(StoreError, match="holds a list"):
        load_pretrained(tmp_path / "list.pt")
    with pytest.raises(InputError, match="is none of reload"):
        load_pretrained(checkpoint, "relaod")
    with pytest.raises(InputError, match="not hf:OWNER/NAME"):
        load_pretrained("hf:onlyowner")


def test_a_resnet6_of_an_impossible_length_is_compared_not_guessed(tmp_path: Path) -> None:
    state = ResNet(6, width=2, hidden=4, n_samples=1000).state_dict()
    state["fc.0.weight"] = torch.zeros(4, 4 * 5000)
    torch.save(state, tmp_path / "odd.pt")
    with pytest.raises(StoreError, match=r"fc.0.weight: shape \(4, 20000\), expected"):
        load_pretrained(tmp_path / "odd.pt")


@pytest.mark.parametrize("told", [{"dropout": "much"}, {"dropout": None}])
def test_hyper_parameters_that_make_no_sense_are_named(
    tmp_path: Path, told: dict[str, Any]
) -> None:
    torch.save(
        {"state_dict": tiny_s4().state_dict(), "hyper_parameters": told}, tmp_path / "x.ckpt"
    )
    with pytest.raises(StoreError, match="hyper-parameters that make no sense"):
        load_pretrained(tmp_path / "x.ckpt")


def test_a_folder_of_another_kind_of_model_is_no_network(
    store: WaveformStore, tmp_path: Path
) -> None:
    train, val, _ = sets(store)
    make_model("logistic", features=("age",)).fit(train, val).save(tmp_path)
    with pytest.raises(InputError, match="A model 'logistic' is no network"):
        load_pretrained(tmp_path)


def test_compat_is_for_s4_alone(tmp_path: Path) -> None:
    torch.save(ECGOMI().state_dict(), tmp_path / "o.pt")
    with pytest.raises(InputError, match="is for S4"):
        load_pretrained(tmp_path / "o.pt", "reload")


def test_a_published_network_scores_and_starts_a_training(
    store: WaveformStore, checkpoint: Path
) -> None:
    train, val, test = sets(store)
    published = load_pretrained(checkpoint)
    assert published.predict_proba(test).shape == (len(test), 2)
    small = {"epochs": 1, "threads": 1, "width": 4, "n_layers": 2, "n_states": 4}
    model = make_model("s4", **small, init_from=checkpoint, head="fresh").fit(train, val)
    assert "nothing is known" in model.remarks[0]
    assert published.remarks[0].startswith("Weights of")


def test_a_folder_of_ours_loads_by_the_same_function(store: WaveformStore, tmp_path: Path) -> None:
    train, val, test = sets(store)
    model = NeuralClassifier("resnet18", **SMALL).fit(train, val)
    model.save(tmp_path / "m")
    again = load_pretrained(tmp_path / "m")
    np.testing.assert_array_equal(again.predict_proba(test), model.predict_proba(test))
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    card = (tmp_path / "m" / "README.md").read_text()
    assert "recipe three_by_four, 3 rows (a, b, c) x 1000 samples at 100 Hz in mV" in card
    (tmp_path / "m" / "model.safetensors").write_bytes(b"half")
    with pytest.raises(StoreError, match="is damaged"):
        load_pretrained(tmp_path / "m")


def test_the_hub_is_asked_for_the_one_checkpoint_or_the_named_file(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    files = ["README.md", "a.ckpt"]
    monkeypatch.setattr(hub, "list_repo_files", lambda name: files)
    monkeypatch.setattr(hub, "hf_hub_download", lambda name, file: str(checkpoint))
    assert load_pretrained("hf:owner/name").name == "s4"
    assert load_pretrained("hf:owner/name/a.ckpt").name == "s4"
    files.append("b.ckpt")
    with pytest.raises(InputError, match=r"holds 2 checkpoints \(a.ckpt, b.ckpt\)"):
        load_pretrained("hf:owner/name")


def test_a_model_is_uploaded_as_its_folder(
    store: WaveformStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    sent: list[list[str]] = []
    monkeypatch.setattr(hub, "create_repo", lambda *a, **k: None)
    monkeypatch.setattr(
        hub,
        "upload_folder",
        lambda repo_id, folder_path: sent.append(
            sorted(p.name for p in Path(folder_path).iterdir())
        ),
    )
    train, val, _ = sets(store)
    NeuralClassifier("resnet18", **{**SMALL, "epochs": 1}).fit(train, val).push_to_hub("o/n")
    assert sent == [["README.md", "config.json", "model.safetensors"]]

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from planted import SMALL, sets
from torch import nn

from acsbench.errors import InputError, MissingDependencyError, StoreError
from acsbench.models import inference
from acsbench.models.base import load_model
from acsbench.models.inference import export_onnx, fold_batch_norm
from acsbench.models.networks.ecg_omi import ECGOMI
from acsbench.models.networks.resnet import ResNet
from acsbench.models.networks.s4 import S4Model
from acsbench.models.neural import NeuralClassifier
from acsbench.store import WaveformStore

NETWORKS = {
    "resnet6": (lambda: ResNet(6, width=4, hidden=8, n_samples=1000, n_covariates=2), 1000),
    "resnet18": (lambda: ResNet(18, width=4, hidden=8), 400),
    "ecg_omi": (lambda: ECGOMI(width=4, hidden=8), 5000),
    "s4": (lambda: S4Model(width=4, n_layers=2, n_states=4), 130),
}


def used(name: str) -> tuple[nn.Module, list[torch.Tensor]]:
    """A network whose BatchNorm has seen something."""
    torch.manual_seed(0)
    make, n_samples = NETWORKS[name]
    network = make()
    inputs = [torch.randn(4, 3, n_samples)]
    if hasattr(network, "covars_cond"):
        inputs.append(torch.randn(4, 2))
    network.train()(*inputs)
    return network.eval(), inputs


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_batch_norm_changes_no_logit_and_leaves_none(name: str) -> None:
    network, inputs = used(name)
    folded = fold_batch_norm(network)
    assert not any(isinstance(module, nn.BatchNorm1d) for module in folded.modules())
    with torch.inference_mode():
        torch.testing.assert_close(folded(*inputs), network(*inputs), atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_an_exported_network_gives_torchs_logits_at_any_batch_size(
    name: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript")
    network, inputs = used(name)
    n_covariates = 2 if len(inputs) == 2 else 0
    path = tmp_path / "model.onnx"
    export_onnx(
        fold_batch_norm(network), path, shape=inputs[0].shape[1:], n_covariates=n_covariates
    )
    onnx = inference.OnnxNetwork(path)
    with torch.inference_mode():
        wanted = network(*inputs)
        torch.testing.assert_close(onnx(*inputs), wanted, atol=1e-4, rtol=1e-4)
        single = onnx(*(one[:1] for one in inputs))
        torch.testing.assert_close(single, wanted[:1], atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_an_exported_model_is_a_model_in_one_file(store: WaveformStore, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    train, val, test = sets(store)
    small = {**SMALL, "epochs": 1, "calibrate": True, "covariates": ("age",)}
    model = NeuralClassifier("resnet18", **small).fit(train, val)
    model.save_onnx(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").rename(tmp_path / "alone.onnx")
    again = load_model(tmp_path / "alone.onnx")
    np.testing.assert_allclose(again.predict_proba(test), model.predict_proba(test), atol=1e-5)
    assert again.signature == model.signature
    assert again.recipe == "three_by_four"
    with pytest.raises(InputError, match="copy the ONNX file"):
        again.save(tmp_path / "folder")
    with pytest.raises(InputError, match="ONNX file already"):
        again.save_onnx(tmp_path / "twice.onnx")


@pytest.mark.slow
def test_an_onnx_file_that_is_damaged_or_of_somebody_else_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    (tmp_path / "half.onnx").write_bytes(b"no network")
    with pytest.raises(StoreError, match="is damaged or no ONNX file"):
        load_model(tmp_path / "half.onnx")
    network, inputs = used("resnet18")
    export_onnx(network, tmp_path / "bare.onnx", shape=inputs[0].shape[1:])
    with pytest.raises(StoreError, match="was not exported by acsbench"):
        load_model(tmp_path / "bare.onnx")


@pytest.mark.slow
def test_an_export_that_is_wrong_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    network, inputs = used("resnet18")
    monkeypatch.setattr(inference.OnnxNetwork, "forward", lambda self, x: torch.zeros(len(x), 1))
    with pytest.raises(InputError, match="differs from torch"):
        export_onnx(network, tmp_path / "m.onnx", shape=inputs[0].shape[1:])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_onnxruntime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"acsbench\[export\]"):
        inference.OnnxNetwork(tmp_path / "m.onnx")


def test_scoring_in_bf16_moves_scores_little(store: WaveformStore) -> None:
    train, val, test = sets(store)
    model = NeuralClassifier("s4", epochs=1, width=8, n_layers=2, n_states=4, threads=1)
    model.fit(train, val)
    single = model.predict_proba(test)
    model.config = model.config.model_copy(update={"predict_in": "bf16"})
    assert 0 < np.abs(model.predict_proba(test) - single).max() < 0.02

"""Every adapter keeps the contract, trains, and reads its own files in each format."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from twelve_leads import COMMON, TINY_SIZES, cohort, make_store, sets

from acsbench import registry
from acsbench.dataset import load_dataset
from acsbench.errors import StoreError, UnknownNameError
from acsbench.models.base import load_model, make_model
from acsbench.models.foundation.base import ADAPTERS, Features, Published, Spec, adapter_of
from acsbench.models.foundation.classifier import FoundationClassifier
from acsbench.models.foundation.ecg_cpc import EcgCpc
from acsbench.models.foundation.ecgfounder import EcgFounderConfig, FounderSizes
from acsbench.models.pretrained import load_pretrained
from acsbench.store import WaveformStore
from acsbench.tasks import TASKS
from acsbench.testing import check_adapter

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch")

FOUNDER = {"stem": 8, "widths": (8, 16), "depths": (1, 2), "kernel": 6, "group_width": 4}
CPC = {"width": 8, "n_layers": 2, "n_states": 4}
SMALL: dict[str, dict[str, Any]] = {
    "hubert_ecg": {"sizes": TINY_SIZES},
    "ecgfounder": {"sizes": FOUNDER, "recipe": "hubert_100hz"},
    "ecg_cpc": {"sizes": CPC, "recipe": "hubert_100hz"},
}


def config_of(name: str, **parameters: Any) -> Any:
    return FoundationClassifier(name, **{**SMALL[name], **parameters}).config


@pytest.mark.parametrize("rate", [100.0, 250.0, 500.0])
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_keeps_the_contract(name: str, rate: float) -> None:
    check_adapter(config_of(name), sampling_rate=rate)


@pytest.mark.parametrize("profile", ["clean", "upstream", "acs"])
def test_every_profile_keeps_the_contract(profile: str) -> None:
    config = config_of("hubert_ecg", profile=profile, recipe="paper_12x10s")
    check_adapter(config, sampling_rate=500.0)


def test_a_careless_adapter_is_found_out() -> None:
    class Careless(EcgCpc):
        def windows(self, n_samples: int, *, sampling_rate: float) -> tuple[int, ...]:
            return (0, 50)

        def stages(self, backbone: Any) -> dict[str, tuple[Any, ...]]:
            return {"all": (backbone.encoder,)}

        def features(self, backbone: Any, x: Any, attention_mask: Any = None) -> Features:
            frames = super().features(backbone, x).frames
            return Features(frames - frames.mean(0))

    class Settings(type(config_of("ecg_cpc"))):
        def adapter(self) -> Careless:
            return Careless(self)

    with pytest.raises(AssertionError) as caught:
        check_adapter(Settings(sizes=CPC))
    for finding in ("last window ends", "shorter than", "exactly once", "rest of its batch"):
        assert finding in str(caught.value)


@pytest.mark.parametrize("mode", ["frozen", "full"])
@pytest.mark.parametrize("name", ["ecgfounder", "ecg_cpc"])
def test_the_control_trains_and_scores_as_before(
    store: WaveformStore, tmp_path: Path, name: str, mode: str
) -> None:
    train, val, test = sets(store)
    model = make_model(name, **{**COMMON, "epochs": 1}, **SMALL[name], mode=mode).fit(train, val)
    assert "control" in model.remarks[0]
    model.save(tmp_path)
    scores = model.predict_proba(test)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(load_model(tmp_path).predict_proba(test), scores)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", ["ecgfounder", "ecg_cpc"])
def test_published_weights_are_recognised_with_their_sizes(
    store: WaveformStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    suffix: str,
) -> None:
    torch.manual_seed(0)
    backbone = config_of(name).adapter().random_init()
    state = {key: value.contiguous() for key, value in backbone.state_dict().items()}
    if name == "ecgfounder":
        state |= {"dense.weight": torch.randn(3, 16), "dense.bias": torch.zeros(3)}
        state |= {"first_bn.weight": torch.ones(8)}
        state |= {"stage_list.0.block_list.0.bn1.running_mean": torch.zeros(8)}
    else:
        state = {f"ts_encoder.{key}": value for key, value in state.items()}
        state["head_ssl.weight"] = torch.zeros(2)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": state, "step": 3, "val_auroc": np.float64(0.9)}, path)
    else:
        save_file(state, path)
    model = load_pretrained(path)
    assert model.name == name
    assert "Weights of" in caplog.text
    network: Any = model.network
    ours = network.backbone.state_dict()
    assert all(torch.equal(ours[key], value) for key, value in backbone.state_dict().items())
    _, _, test = sets(store)
    if name == "ecgfounder":
        chosen = load_pretrained(path, positive_label=1)
        chosen.recipe = "hubert_100hz"
        assert chosen.predict_proba(test).shape == (len(test), 2)
    train, val, _ = sets(store)
    common = {**COMMON, "epochs": 1, "recipe": "hubert_100hz", "mode": "frozen"}
    tuned = make_model(name, **common, init=str(path)).fit(train, val)
    assert tuned.config.sizes == model.config.sizes
    tuned.predict_proba(test)


@pytest.mark.parametrize("name", ["ecgfounder", "ecg_cpc"])
def test_weights_that_do_not_fit_together_are_refused(tmp_path: Path, name: str) -> None:
    state = config_of(name).adapter().random_init().state_dict()
    gone = {
        "ecgfounder": "stage_list.1.block_list.0.conv2.conv.weight",
        "ecg_cpc": "predictor.s4_layers.0.kernel.kernel.C",
    }[name]
    del state[gone]
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    with pytest.raises(StoreError, match="fits together"):
        load_pretrained(tmp_path / "w.pt")


def test_ecgfounder_has_the_published_size_and_shape() -> None:
    with torch.device("meta"):
        model = EcgFounderConfig().adapter().random_init()
        frames = model(torch.zeros(1, 12, 5000))
    # 30.75 million with the 150 labels of its published head
    assert sum(p.numel() for p in model.parameters()) == 30_598_896
    assert frames.shape == (1, 1024, 20)


def test_ecg_cpc_looks_back_alone_behind_its_encoder() -> None:
    """Causal: what comes later changes nothing earlier than one encoder kernel reaches."""
    torch.manual_seed(0)
    adapter = config_of("ecg_cpc").adapter()
    backbone = adapter.random_init().eval()
    x = torch.randn(1, *adapter.input_shape)
    y = x.clone()
    y[..., 300:] += 1
    with torch.inference_mode():
        one, two = (adapter.features(backbone, z).frames[0] for z in (x, y))
    assert one.shape == (300, 8)
    torch.testing.assert_close(one[:149], two[:149])
    assert not torch.allclose(one[150:], two[150:])


def test_gaps_are_zero_for_adapters_that_know_no_mask() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(0.5, 0.3, (12, 1000)).astype(np.float32)
    mask = np.ones(signal.shape, np.uint8)
    mask[3] = 0
    for name in ("ecgfounder", "ecg_cpc"):
        made = config_of(name).adapter().prepare(signal, mask, sampling_rate=100, starts=(0,))
        assert not made[0, 3].any()
        assert made[0, 4].any()
    founder = (
        config_of("ecgfounder").adapter().prepare(signal, mask, sampling_rate=100, starts=(0,))
    )
    # one mean and deviation for all leads; resampling smooths white noise
    others = np.delete(founder[0], 3, axis=0)
    assert abs(others.mean()) < 0.02


def test_sizes_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="one value a stage"):
        FounderSizes(widths=(16,), depths=(1, 2))
    with pytest.raises(ValueError, match="does not divide"):
        FounderSizes(widths=(17,), depths=(1,))


class Mean(EcgCpc):
    """The smallest plug-in: the mean of each lead's samples."""

    spec: ClassVar[Spec] = Spec(name="Mean", window_s=2, licence="free", reference="here")

    @property
    def input_shape(self) -> tuple[int, int]:
        return 12, 200

    @property
    def n_features(self) -> int:
        return 12

    def prepare(self, signal: Any, mask: Any, *, sampling_rate: float, starts: Any) -> Any:
        return np.stack([signal[:, s : s + 200] for s in starts])

    def random_init(self) -> Any:
        return torch.nn.Conv1d(12, 12, 1, groups=12)

    def features(self, backbone: Any, x: Any, attention_mask: Any = None) -> Features:
        return Features(backbone(x).mT)

    def stages(self, backbone: Any) -> dict[str, tuple[Any, ...]]:
        return {"all": (backbone,)}

    @classmethod
    def load(cls, place: Path) -> Published:
        raise NotImplementedError


class MeanConfig(type(config_of("ecg_cpc"))):
    def adapter(self) -> Mean:
        return Mean(self)


Mean.settings = MeanConfig


def test_a_plug_in_trains_and_is_found_again_by_its_name(
    store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functools import partial

    train, val, test = sets(store)
    mine = partial(FoundationClassifier, network="mean", adapter=Mean)
    model = mine(**{**COMMON, "epochs": 1}, recipe="hubert_100hz").fit(train, val)
    model.save(tmp_path)
    with pytest.raises(UnknownNameError):
        load_pretrained(tmp_path)
    real_names, real_load = registry.names, registry.load
    monkeypatch.setattr(registry, "names", lambda kind: [*real_names(kind), "mean"])
    monkeypatch.setattr(
        registry, "load", lambda kind, name: mine if name == "mean" else real_load(kind, name)
    )
    for load in (load_model, load_pretrained):
        np.testing.assert_array_equal(load(tmp_path).predict_proba(test), model.predict_proba(test))


def test_a_misspelt_adapter_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'ecgfounder'"):
        adapter_of("ecg_founder")


def test_several_tasks_give_a_column_each(tmp_path: Path) -> None:
    tasks = [TASKS["acs"], TASKS["mace"]]
    data = [
        load_dataset(cohort(), make_store(tmp_path), tasks, s) for s in ("train", "val", "test")
    ]
    model = make_model("ecg_cpc", **{**COMMON, "epochs": 1}, **SMALL["ecg_cpc"]).fit(*data[:2])
    assert model.predict_proba(data[2]).shape == (len(data[2]), 2)

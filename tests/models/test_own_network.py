"""A plain nn.Module of another package as a model."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import cohort, sets
from torch import Tensor, nn

from acsbench import registry
from acsbench.dataset import load_dataset
from acsbench.errors import ConfigError, InputError
from acsbench.models.base import load_model, make_model
from acsbench.store import WaveformStore
from acsbench.tasks import TASKS
from acsbench.testing import check_model

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "bring-your-own-network.md"
SMALL: dict[str, Any] = {"epochs": 2, "batch_size": 8, "threads": 1}


class Mean(nn.Module):
    """A linear layer on the mean of each channel, and of the covariates."""

    def __init__(self, n_channels: int, n_outputs: int, n_covariates: int = 0, depth: int = 1):
        super().__init__()
        self.tail = nn.ModuleList(nn.Linear(n_channels, n_channels) for _ in range(depth))
        self.head = nn.Linear(n_channels + n_covariates, n_outputs)

    def forward(self, x: Tensor, covariates: Tensor | None = None) -> Tensor:
        z = x.mean(-1)
        for layer in self.tail:
            z = layer(z)
        return self.head(z if covariates is None else torch.cat([z, covariates], dim=1))


class NormFirst(nn.Module):
    """``conv1`` and ``bn1`` by name, and the norm stands before the convolution."""

    def __init__(self, n_channels: int, n_outputs: int):
        super().__init__()
        self.bn1 = nn.BatchNorm1d(n_channels)
        self.conv1 = nn.Conv1d(n_channels, n_channels, 3)
        self.fc = nn.Linear(n_channels, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu(self.conv1(self.bn1(x))).mean(-1))


class Tied(nn.Module):
    """Two names for one weight."""

    def __init__(self, n_channels: int, n_outputs: int):
        super().__init__()
        self.one = nn.Linear(n_channels, n_channels)
        self.two = nn.Linear(n_channels, n_channels)
        self.two.weight = self.one.weight
        self.fc = nn.Linear(n_channels, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.two(self.one(x.mean(-1))))


class TwoLogits(nn.Module):
    def __init__(self, n_channels: int):
        super().__init__()
        self.fc = nn.Linear(n_channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean(-1))


class Takes(nn.Module):
    def __init__(self, n_channels: int, epochs: int = 3):
        super().__init__()


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in (Mean, NormFirst, Tied, TwoLogits, Takes):
        line = f"{__name__}:{entry.__name__}"
        monkeypatch.setitem(registry.BUILT_INS["models"], entry.__name__.lower(), line)


@pytest.mark.parametrize("name", ["mean", "normfirst", "tied"])
def test_a_registered_module_is_a_whole_model(name: str) -> None:
    check_model(name, **SMALL)


def test_its_arguments_are_parameters_with_types_and_the_data_give_the_rest(
    store: WaveformStore, tmp_path: Path
) -> None:
    train, val, test = sets(store)
    model = make_model("mean", depth=3, covariates=("age",), use_mask=True, **SMALL)
    model.fit(train, val)
    assert model.network.head.in_features == 7
    assert len(model.network.tail) == 3
    model.save(tmp_path)
    again = load_model(tmp_path)
    assert again.config == model.config
    np.testing.assert_array_equal(again.predict_proba(test), model.predict_proba(test))
    with pytest.raises(ConfigError, match="depth = 'deep'"):
        make_model("mean", depth="deep")
    with pytest.raises(ConfigError, match="Did you mean 'depth'"):
        make_model("mean", dept=2)
    with pytest.raises(ConfigError, match="takes no n_covariates"):
        make_model("tied", covariates=("age",))
    with pytest.raises(ConfigError, match="an argument 'epochs'"):
        make_model("takes")


def test_a_network_of_another_output_is_refused_before_it_trains(store: WaveformStore) -> None:
    train, val, _ = sets(store)
    with pytest.raises(ConfigError, match=r"gives \(1, 2\) for an input of \(1, 3, 1000\)"):
        make_model("twologits", **SMALL).fit(train, val)
    tasks = [TASKS["acs"], TASKS["mace"]]
    both = [load_dataset(cohort(), store, tasks, split) for split in ("train", "val")]
    make_model("twologits", **SMALL).fit(*both)


def test_a_layer_called_head_can_start_anew(store: WaveformStore, tmp_path: Path) -> None:
    train, val, _ = sets(store)
    make_model("mean", **SMALL).fit(train, val).save(tmp_path / "mean")
    second: Any = make_model("mean", init_from=tmp_path / "mean", head="fresh", seed=5)
    second._prepare(train)
    network, _ = second._fresh_network(train)
    theirs = load_model(tmp_path / "mean").network.state_dict()
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, theirs[k])}
    assert changed == {"head.weight", "head.bias"}
    make_model("tied", **SMALL).fit(train, val).save(tmp_path / "tied")
    with pytest.raises(InputError, match="does not say what its head is"):
        make_model("tied", init_from=tmp_path / "tied", head="fresh").fit(train, val)


@pytest.mark.slow
def test_the_pages_network_works_as_the_plug_in_that_the_page_says(tmp_path: Path) -> None:
    network, check = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    group, line = re.search(r'points\."(.*?)"\]\n(.*?)\n', PAGE.read_text()).groups()
    (tmp_path / "my_networks.py").write_text(network)
    about = tmp_path / "my_networks-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-networks\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{check}\n"
    code += "from acsbench.registry import names; print(names('models')[-1])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "tiny_cnn"

"""Published checkpoints in: read safely, recognised by their keys, checked before use."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from acsbench import registry
from acsbench.errors import (
    InputError,
    MissingDependencyError,
    MissingPathError,
    StoreError,
    first_few,
)
from acsbench.models.base import CONFIG_NAME, is_network
from acsbench.models.config import NETWORKS, Shape
from acsbench.models.folder import WEIGHTS_NAME, read_folder
from acsbench.models.foundation.hubert_files import STAND_INS
from acsbench.models.networks.resnet import DEPTHS, samples_left

if TYPE_CHECKING:
    from acsbench.models.neural import NeuralClassifier

__all__ = ["Compat", "fetch", "fill", "find_weights", "load_pretrained", "read_checkpoint"]

Compat = Literal["reload", "norm_of_branch"]
_PREFIXES = ("model.", "network.", "net.", "module.")
_DEFAULT_SAMPLES = 5000
"""Length of the published inputs, where a file does not say."""


@dataclass(frozen=True)
class _Recognised:
    """A network by name, with the parameters and the shape that fit a file."""

    network: str
    shape: Shape
    parameters: dict[str, Any] = field(default_factory=dict)


def load_pretrained(
    path: Path | str, compat: Compat | None = None, *, positive_label: int | str | None = None
) -> NeuralClassifier:
    """Load a model of ours or a published checkpoint; ``.network`` of the result is the module.

    Parameters
    ----------
    path : Path or str
        A Lightning ``.ckpt``, a ``.pt``, a ``.safetensors``, a folder that ``save`` wrote or one
        of a foundation model, or ``hf:OWNER/NAME[/file]`` on the Hugging Face hub. Architecture
        and sizes are found from the file. Nothing in a file is ever executed.
    compat : "reload" or "norm_of_branch", optional
        Reproduce a bug of the published code: the kernel that it alters whenever it reloads an S4
        checkpoint, or the lost residual sum of S4 with batch norm.
    positive_label : int or str, optional
        The output, by number or name, that is the score of a foundation model whose head has more
        outputs than there are tasks.

    Raises
    ------
    MissingPathError, StoreError, InputError
        For a file that is not there, damaged, refused, or of no known network.
    """
    from acsbench.models.foundation import published  # noqa: PLC0415  avoids a circle
    from acsbench.models.neural import NeuralClassifier  # noqa: PLC0415  avoids a circle

    if compat is not None and compat not in get_args(Compat):
        raise InputError(f"compat = '{compat}' is none of {', '.join(get_args(Compat))}.")
    place = fetch(path)
    if place.is_dir() and compat is not None:
        raise InputError(f"compat = '{compat}' is for published files; {place} is a folder.")
    if place.is_dir():
        body = read_folder(place) if (place / CONFIG_NAME).is_file() else {}
        if "model" in body:
            return _load_saved(place, body, positive_label=positive_label)
        place = find_weights(place)
    state, told = read_checkpoint(place)
    foundation = published.network_of(state)
    if foundation is not None:
        if compat is not None:
            raise InputError(f"compat = '{compat}' is for S4; {place} holds {foundation}.")
        return published.load_file(foundation, place, source=path, positive_label=positive_label)
    _refuse_label(positive_label, place)
    found = _recognise(state, told, where=str(place))
    if compat is not None and found.network != "s4":
        raise InputError(f"compat = '{compat}' is for S4; {place} holds {found.network}.")
    parameters = dict(found.parameters)
    if compat == "norm_of_branch":
        parameters["norm_of_branch"] = True
    recipe = "three_by_four" if found.shape.n_channels == 3 else "recorded_12"
    model = NeuralClassifier(found.network, recipe=recipe, **parameters)
    network = model.config.build(found.shape)
    fill(network, state, where=str(place))
    if compat == "reload":
        _forget_length(network, int(told.get("l_max", 1024)))
    model.adopt(network, found.shape, source=str(path))
    return model


def _load_saved(
    folder: Path, body: dict[str, Any], *, positive_label: int | str | None
) -> NeuralClassifier:
    """Load what ``save`` wrote."""
    from acsbench.models.foundation import published  # noqa: PLC0415  avoids a circle
    from acsbench.models.neural import NeuralClassifier  # noqa: PLC0415  avoids a circle

    parameters = body.get("parameters")
    network = parameters.get("network") if isinstance(parameters, dict) else None
    if network is not None and network not in NETWORKS and not _is_own(str(network)):
        return published.load_saved(folder, positive_label=positive_label)
    _refuse_label(positive_label, folder)
    return NeuralClassifier.load(folder)


def _is_own(network: str) -> bool:
    """Whether it is a plain network of a plug-in, and no foundation model."""
    known = network in registry.names("models")
    return known and is_network(registry.load("models", network))


def _refuse_label(positive_label: int | str | None, place: Path) -> None:
    if positive_label is not None:
        raise InputError(f"positive_label is for foundation models; {place} is none.")


def find_weights(place: Path) -> Path:
    """Find the only file of weights in a folder; any other path is returned as it is.

    Raises
    ------
    MissingPathError, InputError
    """
    if not place.is_dir():
        return place
    files = sorted(file for file in place.iterdir() if file.suffix in _READERS)
    named = [file for file in files if file.name == WEIGHTS_NAME]
    if not files:
        raise MissingPathError(
            f"There is no trained network in {place}: neither {CONFIG_NAME} nor weights "
            f"({', '.join(_READERS)})."
        )
    if len(files) > 1 and not named:
        raise InputError(
            f"{place} holds {len(files)} files of weights: "
            f"{first_few([file.name for file in files])}. Name one."
        )
    return (named or files)[0]


def fetch(path: Path | str) -> Path:
    """Download ``hf:OWNER/NAME[/file]``: a file, a folder of a model, or its one checkpoint.

    Any other path is returned as it is.

    Raises
    ------
    MissingDependencyError, InputError
    """
    name = str(path)
    if not name.startswith("hf:"):
        return Path(path)
    try:
        import huggingface_hub as hub  # noqa: PLC0415  optional
    except ImportError:
        raise MissingDependencyError(
            "Loading from the hub needs huggingface_hub: pip install 'acsbench[hub]'."
        ) from None
    parts = name.removeprefix("hf:").split("/", 2)
    if len(parts) < 2 or not all(parts):
        raise InputError(f"'{name}' is not hf:OWNER/NAME or hf:OWNER/NAME/file.")
    repository = "/".join(parts[:2])
    if len(parts) == 3:
        return Path(hub.hf_hub_download(repository, parts[2]))
    files = hub.list_repo_files(repository)
    if CONFIG_NAME in files:
        return Path(hub.snapshot_download(repository, allow_patterns=["*.json", "*.safetensors"]))
    checkpoints = [f for f in files if Path(f).suffix in _READERS]
    if len(checkpoints) != 1:
        raise InputError(
            f"{repository} holds {len(checkpoints)} checkpoints ({first_few(checkpoints)}). "
            f"Name one: hf:{repository}/FILE."
        )
    return Path(hub.hf_hub_download(repository, checkpoints[0]))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return a file's weights, bare of a wrapper's prefix, and what it says of them.

    Raises
    ------
    MissingPathError, InputError, StoreError
    """
    if not path.is_file():
        raise MissingPathError(f"There is no file or folder {path}.")
    if path.suffix not in _READERS:
        raise InputError(f"{path} is none of {', '.join(_READERS)}.")
    state, told = _READERS[path.suffix](path)
    weights = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    if not weights:
        raise StoreError(f"{path} holds no weights.")
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in weights):
            weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    broken = [
        key
        for key, value in weights.items()
        if value.is_floating_point() and not torch.isfinite(value).all() and not key.endswith(".z")
    ]
    if broken:
        raise StoreError(f"{path} holds weights that are not finite: {first_few(broken)}.")
    return weights, told


def _read_pickle(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with torch.serialization.safe_globals(STAND_INS):
            body = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{path} is refused: it asks to run code when it is read ({reason}). Ask its author "
            "for a .safetensors file, or for the state dict alone."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        raise StoreError(f"{path} is damaged or no checkpoint: {error}") from None
    if not isinstance(body, Mapping):
        raise StoreError(f"{path} holds a {type(body).__name__}, not a checkpoint.")
    state = body.get("state_dict", body.get("model_state_dict", body))
    told = body.get("hyper_parameters", body if "model_state_dict" in body else {})
    if not isinstance(state, Mapping):
        raise StoreError(f"{path}: its state_dict is a {type(state).__name__}.")
    return dict(state), dict(told) if isinstance(told, Mapping) else {}


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            told = json.loads((file.metadata() or {}).get("hparams", "{}"))
            return {key: file.get_tensor(key) for key in file.keys()}, told  # noqa: SIM118  no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(f"{path} is damaged: {error}") from None


_READERS: dict[str, Callable[[Path], tuple[dict[str, Any], dict[str, Any]]]] = {
    ".ckpt": _read_pickle,
    ".pt": _read_pickle,
    ".pth": _read_pickle,
    ".safetensors": _read_safetensors,
}


def _recognise(state: dict[str, Tensor], told: dict[str, Any], *, where: str) -> _Recognised:
    """Find network, parameters and shape from the keys and sizes of the weights."""
    known: tuple[tuple[str, Callable[..., _Recognised]], ...] = (
        ("s4_layers.0.D", _recognise_s4),
        ("res_block1.0.conv1.weight", _recognise_resnet),
        ("res_blocks_24.0.conv1.weight", _recognise_omi),
    )
    for key, recognise in known:
        if key in state:
            try:
                return recognise(state, told)
            except (KeyError, IndexError) as error:
                raise StoreError(f"{where} lacks the weights {error} of its network.") from None
            except (TypeError, ValueError) as error:
                raise StoreError(
                    f"{where} has hyper-parameters that make no sense: {error}."
                ) from None
    raise InputError(
        f"{where} is of no known network: it has none of {', '.join(key for key, _ in known)}. "
        f"It holds {first_few(list(state))}."
    )


def _count(state: dict[str, Tensor], pattern: str) -> int:
    n = 0
    while pattern.format(n) in state:
        n += 1
    return n


def _recognise_s4(state: dict[str, Tensor], told: dict[str, Any]) -> _Recognised:
    stored = state["s4_layers.0.kernel.kernel.C"]
    encoder, decoder = state.get("encoder.weight"), state.get("decoder.weight")
    parameters = {
        "width": stored.shape[1],
        "n_states": 2 * stored.shape[2],
        "n_layers": _count(state, "s4_layers.{}.D"),
        "causal": stored.shape[0] == 1,
        "norm": "batch" if "norms.0.running_mean" in state else "layer",
        # what the weights do not show
        "prenorm": bool(told.get("prenorm", False)),
        "pooling": bool(told.get("pooling", True)),
        "dropout": float(told.get("dropout", 0.2)),
        "channels_first": encoder.ndim == 3 if encoder is not None else True,
    }
    shape = Shape(
        n_channels=None if encoder is None else encoder.shape[1],
        n_samples=_DEFAULT_SAMPLES,
        n_outputs=None if decoder is None else decoder.shape[0],
    )
    return _Recognised("s4", shape, parameters)


def _recognise_resnet(state: dict[str, Tensor], told: dict[str, Any]) -> _Recognised:
    depth = (
        6
        if "conv2.weight" in state
        else (18 if _count(state, "res_block1.{}.bn1.weight") == 4 else 50)
    )
    kernel = state["res_block1.0.conv1.weight"].shape[-1]
    width = state["initial_conv.weight"].shape[0]
    n_outputs = state["fc.4.weight"].shape[0]
    n_samples = int(told.get("input_length", _DEFAULT_SAMPLES))
    if depth == 6:
        left = state["fc.0.weight"].shape[1] // (DEPTHS[6].stages[-1].multiple * width)
        lengths = [n_samples, *range(50, 100_000, 50)]
        fitting = (n for n in lengths if samples_left(6, n, kernel=kernel) == left)
        n_samples = next(fitting, n_samples)  # none fits: the shapes are compared later
    joined = state.get("covars_cond.3.weight")
    n_covariates = 0 if joined is None else joined.shape[1] - n_outputs
    parameters: dict[str, Any] = {
        "width": width,
        "hidden": state["fc.0.weight"].shape[0],
        "kernel": kernel,
    }
    if n_covariates:
        names = tuple(str(name) for name in told.get("covars", ()))
        parameters["covariates"] = names or tuple(f"covariate_{i}" for i in range(n_covariates))
    shape = Shape(
        n_channels=state["initial_conv.weight"].shape[1],
        n_samples=n_samples,
        n_outputs=n_outputs,
        n_covariates=n_covariates,
    )
    return _Recognised(f"resnet{depth}", shape, parameters)


def _recognise_omi(state: dict[str, Tensor], told: dict[str, Any]) -> _Recognised:  # noqa: ARG001  as its siblings take it
    width, n_channels, _ = state["conv1.weight"].shape
    shape = Shape(
        n_channels=n_channels, n_samples=_DEFAULT_SAMPLES, n_outputs=state["fc2.weight"].shape[0]
    )
    return _Recognised("ecg_omi", shape, {"width": width, "hidden": state["fc1.weight"].shape[0]})


def fill(network: nn.Module, state: Mapping[str, Tensor], *, where: str) -> None:
    """Copy the weights, after checking that every one is there and has the right shape."""
    wanted = network.state_dict()
    findings = [f"  {key}: missing" for key in wanted if key not in state]
    findings += [f"  {key}: not part of the network" for key in state if key not in wanted]
    for key, value in state.items():
        any_length = key.endswith(("kernel.omega", "kernel.z"))
        if key in wanted and not any_length and value.shape != wanted[key].shape:
            findings.append(
                f"  {key}: shape {tuple(value.shape)}, expected {tuple(wanted[key].shape)}"
            )
    if findings:
        shown = findings[:10] + ([f"  and {len(findings) - 10} more"] if len(findings) > 10 else [])
        raise StoreError("\n".join([f"{where} does not fit {type(network).__name__}:", *shown]))
    # some published tensors are views onto one number
    network.load_state_dict({key: value.contiguous() for key, value in state.items()})


def _forget_length(network: nn.Module, length: int) -> None:
    """Take C for one of the constructor's length, as the published code does after a reload."""
    from acsbench.models.networks.s4 import S4Model  # noqa: PLC0415  only for its names

    assert isinstance(network, S4Model)
    network.set_length(length)

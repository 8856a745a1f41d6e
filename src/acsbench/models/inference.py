"""Scoring with a network: BatchNorm folded away, batches that fit the processor's cache, ONNX."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from acsbench.dataset import WaveformDataset
from acsbench.errors import InputError, MissingDependencyError, StoreError
from acsbench.models.batches import Read
from acsbench.models.covariates import Covariates
from acsbench.provenance import atomic_path

__all__ = [
    "OnnxNetwork",
    "batch_logits",
    "export_onnx",
    "fold_batch_norm",
    "records_at_once",
    "to_int8",
    "torch_threads",
]

_CACHED_VALUES = 5_200_000
"""Activations of this many numbers, 21 MB, mostly stay in a processor's cache.

They are two ECGs of the full S4, whose matrices are then read half as often as for one.
"""
_TOLD = "acsbench"
_CLOSE = 1e-3
"""Of a logit: exported networks differ by rounding."""
_PAIRS = (("initial_conv", "bn1"), ("conv1", "bn1"), ("conv2", "bn2"))


@contextlib.contextmanager
def torch_threads(n: int | None) -> Iterator[None]:
    """Let torch use ``n`` threads within the block; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def records_at_once(*, width: int, n_samples: int) -> int:
    """Size of a batch whose activations, ``width`` channels of them, stay in the cache."""
    return min(max(_CACHED_VALUES // (width * n_samples), 1), 128)


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Copy a network in eval mode with each BatchNorm folded into the layer before it."""
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        for first, norm in _pairs(module):
            layer, batch_norm = getattr(module, first), getattr(module, norm)
            fuse: Any = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
            setattr(module, first, fuse(layer, batch_norm))
            setattr(module, norm, nn.Identity())
    return folded


def _pairs(module: nn.Module) -> list[tuple[str, str]]:
    """Names of the layers of a module that a BatchNorm follows."""
    if isinstance(module, nn.Sequential):
        candidates = [(str(i), str(i + 1)) for i in range(len(module) - 1)]
    else:
        candidates = [pair for pair in _PAIRS if all(hasattr(module, name) for name in pair)]
    return [
        (first, norm)
        for first, norm in candidates
        if isinstance(getattr(module, norm), nn.BatchNorm1d)
        and isinstance(getattr(module, first), nn.Conv1d | nn.Linear)
    ]


def batch_logits(
    network: nn.Module,
    data: WaveformDataset,
    read: Read,
    *,
    covariates: Covariates,
    at_once: int,
    in_bf16: bool = False,
) -> NDArray[np.float64]:
    """Logits of every record, (n, tasks).

    Parameters
    ----------
    network : nn.Module
        In eval mode.
    data : WaveformDataset
    read : callable
        Of a `Feed`.
    covariates : Covariates
    at_once : int
        Records in a batch.
    in_bf16 : bool
        Matrix products in bfloat16.
    """
    values = torch.from_numpy(covariates.of(data))
    parts = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
        for start in range(0, len(data), at_once):
            rows = range(start, min(start + at_once, len(data)))
            x = read(rows)
            logits = network(x, values[rows]) if covariates.names else network(x)
            parts.append(logits.double().numpy())
    return np.concatenate(parts)


class OnnxNetwork(nn.Module):
    """A network that onnxruntime runs.

    Parameters
    ----------
    path : Path
        Of the ``.onnx`` file.

    Raises
    ------
    MissingDependencyError
    StoreError
        When the file is damaged.

    Notes
    -----
    An exported file holds what ``config.json`` says of a folder, so that it is a whole model.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            import onnxruntime  # noqa: PLC0415  optional
        except ImportError:
            raise _missing("onnxruntime") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.path = path
        try:
            self.session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no common base
            raise StoreError(f"{path} is damaged or no ONNX file: {error}") from None

    @property
    def body(self) -> dict[str, Any]:
        """What ``config.json`` says of a folder.

        Raises
        ------
        StoreError
            For a file of somebody else.
        """
        told = self.session.get_modelmeta().custom_metadata_map.get(_TOLD)
        try:
            body = json.loads(told or "")
        except ValueError:
            body = None
        if not isinstance(body, dict) or "model" not in body:
            raise StoreError(
                f"{self.path} was not exported by acsbench: it does not say its input."
            )
        return body

    def forward(self, x: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Logits of a batch."""
        inputs = [x] if covariates is None else [x, covariates]
        named = {
            given.name: one.numpy()
            for given, one in zip(self.session.get_inputs(), inputs, strict=True)
        }
        return torch.from_numpy(self.session.run(None, named)[0])


def export_onnx(
    network: nn.Module,
    path: Path,
    *,
    shape: Sequence[int],
    n_covariates: int = 0,
    body: Mapping[str, Any] | None = None,
) -> None:
    """Write a network as ONNX for any batch size, and check it against torch.

    Parameters
    ----------
    network : nn.Module
        In eval mode, BatchNorm folded.
    path : Path
    shape : (int, int)
        Channels and samples.
    n_covariates : int
    body : mapping, optional
        What ``config.json`` says of a folder; the file keeps it.

    Raises
    ------
    MissingDependencyError
    InputError
        When the exported network does not give torch's logits.
    """
    inputs = [torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))]
    if n_covariates:
        inputs.append(torch.randn(3, n_covariates, generator=torch.Generator().manual_seed(1)))
    batch = torch.export.Dim("batch", min=1)
    with _without_advice(), torch.no_grad():
        try:
            program = torch.onnx.export(
                network,
                tuple(inputs),
                dynamo=True,
                dynamic_shapes=tuple({0: batch} for _ in inputs),
                input_names=["waveform", "covariates"][: len(inputs)],
                verbose=False,
            )
        except ImportError:
            raise _missing("onnxscript") from None
        wanted = network(*inputs)
    assert program is not None
    program.model.metadata_props[_TOLD] = json.dumps(body or {})
    with atomic_path(path) as temporary:
        program.save(temporary)
        difference = float((OnnxNetwork(temporary)(*inputs) - wanted).abs().max())
        if not difference < _CLOSE:
            raise InputError(
                f"The exported network differs from torch by {difference:.1e} in a logit; the "
                f"limit is {_CLOSE:g}. Nothing was written."
            )


def to_int8(path: Path) -> None:
    """Store an exported network's matrices as 8-bit integers; activations follow as they come.

    Scores change: compare them on val before you use them.

    Raises
    ------
    MissingDependencyError
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  optional
    except ImportError:
        raise _missing("onnxruntime") from None
    with atomic_path(path) as temporary, _without_advice():
        quantize_dynamic(
            path, temporary, op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8
        )


def _missing(package: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"ONNX needs {package}, which is not installed: pip install 'acsbench[export]'."
    )


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    quiet = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(quiet)

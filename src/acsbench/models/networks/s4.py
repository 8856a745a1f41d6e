"""S4Model: structured state-space layers over an ECG (specification, section 1).

Gu, Goel, Re, "Efficiently modeling long sequences with structured state spaces", ICLR 2022; for
ECGs Strodthoff et al. (2024) and ACS-BenchWork. Keys of the state dict are those of the published
checkpoints. The kernel is exact: its matrices are made in float64 (see `state_space`), and the
internal length, which the published code forgets at every reload, is read off the checkpoint.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from acsbench.models.networks.state_space import (
    Chunks,
    best_chunk,
    chunked_convolution,
    discretise,
    legs,
)

__all__ = ["S4Model"]


def _as_real(values: Tensor) -> Tensor:
    return torch.view_as_real(values.resolve_conj()).float().contiguous()


def _nodes(length: int) -> tuple[Tensor, Tensor]:
    """Roots of unity and their bilinear images, as the published files hold them."""
    angle = -2 * math.pi / length * torch.arange(length // 2 + 1, dtype=torch.float64)
    omega = torch.polar(torch.ones_like(angle), angle)
    return _as_real(omega), _as_real(2 * (1 - omega) / (1 + omega))


class _Kernel(nn.Module):
    """Parameters of H state-space systems; only ``C`` is trained.

    The matrices that follow from the frozen ones are made when first needed, and again after a
    load or a move.
    """

    C: nn.Parameter
    log_dt: Tensor
    B: Tensor
    P: Tensor
    Q: Tensor
    w: Tensor
    omega: Tensor
    z: Tensor

    def __init__(self, width: int, n_states: int, *, n_directions: int, length: int) -> None:
        super().__init__()
        w, p, b = (one.repeat(width, 1) for one in legs(n_states))
        log_dt = math.log(1e-3) + torch.rand(width) * math.log(1e-1 / 1e-3)
        # C is drawn, and stored as C (I - a^length)
        normal = torch.randn(n_directions, width, n_states // 2, 2, dtype=torch.float64)
        row = torch.cat([2 * normal[..., 0], 2 * normal[..., 1]], dim=-1)
        system = discretise(w, p, p.conj(), b, log_dt.exp(), length=length)
        stored = torch.linalg.solve(system.from_stored, row[..., None, :], left=False)[..., 0, :]
        real, imaginary = (stored / 2).chunk(2, dim=-1)
        self.C = nn.Parameter(torch.stack([real, -imaginary], dim=-1).float())
        omega, z = _nodes(length)
        self.register_buffer("omega", omega)
        self.register_buffer("z", z)
        self.register_buffer("log_dt", log_dt)
        for name, values in (("B", b), ("P", p), ("Q", p.conj())):
            self.register_buffer(name, _as_real(values)[None])
        self.register_buffer("w", _as_real(w))
        self.length = length
        self._made: dict[tuple[int, float], Chunks] = {}
        self._weights: tuple[Any, Tensor] | None = None

    def _apply(self, *arguments: Any, **options: Any) -> Any:
        self._forget()
        return super()._apply(*arguments, **options)  # type: ignore[no-untyped-call]  # torch's

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take omega and z of any length: their rows say which length C belongs to."""
        self._forget()
        omega = state.get(f"{prefix}omega")
        if omega is not None:
            self.set_length(max(2 * (len(omega) - 1), 1))
            state = {**state, f"{prefix}omega": self.omega, f"{prefix}z": self.z}
        super()._load_from_state_dict(state, prefix, *rest)

    def set_length(self, length: int) -> None:
        """Take the stored C for one of this internal length."""
        self._forget()
        self.length = length
        self.omega, self.z = (
            one.to(self.log_dt.device, self.log_dt.dtype) for one in _nodes(length)
        )

    def _forget(self) -> None:
        self._made, self._weights = {}, None

    def _complex(self, name: str) -> Tensor:
        values: Tensor = torch.view_as_complex(getattr(self, name).double().contiguous())
        return values.reshape(-1, values.shape[-1]).expand(len(self.log_dt), -1)

    def chunks(self, m: int, *, rate: float = 1.0) -> Chunks:
        """Matrices for chunks of ``m`` samples, with all steps ``rate`` times as long."""
        if (m, rate) not in self._made:
            w, p, q, b = (self._complex(name) for name in ("w", "P", "Q", "B"))
            step = self.log_dt.double().exp() * rate
            # an inference tensor could not be used in a later training
            with torch.inference_mode(mode=False), torch.no_grad():
                system = discretise(w, p, q, b, step, length=self.length)
                self._made[m, rate] = Chunks.of(system, m, self.C.dtype)
        return self._made[m, rate]

    def weights(self, chunks: Chunks, skip: Tensor) -> Tensor:
        """`Chunks.weights` of the present C, remembered while nothing is trained."""
        if torch.is_grad_enabled():
            return chunks.weights(torch.view_as_complex(self.C), skip)
        key = (chunks, self.C._version, skip._version)
        if self._weights is None or self._weights[0] != key:
            self._weights = (key, chunks.weights(torch.view_as_complex(self.C), skip))
        return self._weights[1]

    def forward(self, n_samples: int, *, rate: float = 1.0) -> Tensor:
        """The kernel itself, (directions, H, n_samples)."""
        chunks = self.chunks(n_samples, rate=rate)
        states = chunks.jump.shape[-1]
        reached = chunks.inputs[..., states:]  # (H, m, 2N)
        return torch.einsum("dhk,hmk->dhm", chunks.rows(torch.view_as_complex(self.C)), reached)


class _Holder(nn.Module):
    """Gives the kernel the place that the published keys name: ``kernel.kernel``."""

    def __init__(self, kernel: _Kernel) -> None:
        super().__init__()
        self.kernel = kernel


class _PositionWise(nn.Module):
    """Linear map at each time, H to 2H; the bias is a column in the published files."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2 * width, width))
        self.bias = nn.Parameter(torch.empty(2 * width, 1))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        nn.init.uniform_(self.bias, -1 / math.sqrt(width), 1 / math.sqrt(width))

    def forward(self, x: Tensor) -> Tensor:
        """From (H, time) to (time, 2H)."""
        return nn.functional.linear(x.t(), self.weight, self.bias[:, 0])


class _Dropout(nn.Module):
    """Drops whole channels for all time, as the published model does, or single values.

    Parameters
    ----------
    p : float
    elementwise : bool
    """

    def __init__(self, p: float, *, elementwise: bool) -> None:
        super().__init__()
        self.p = p
        self.elementwise = elementwise

    def forward(self, x: Tensor, *, over: tuple[int, int]) -> Tensor:
        """Drop; ``over`` are the two dimensions of time, which one draw covers."""
        if not self.training or self.p == 0:
            return x
        if self.elementwise:
            return nn.functional.dropout(x, self.p)
        kept = [1 if d in over else size for d, size in enumerate(x.shape)]
        return x * nn.functional.dropout(x.new_ones(kept), self.p)


class _Layer(nn.Module):
    """Convolution, GELU, dropout, linear, GLU."""

    def __init__(self, width: int, n_states: int, *, n_directions: int, length: int) -> None:
        super().__init__()
        self.D = nn.Parameter(torch.randn(1, width))
        self.kernel = _Holder(_Kernel(width, n_states, n_directions=n_directions, length=length))
        self.output_linear = nn.Sequential(_PositionWise(width))

    def forward(self, x: Tensor, dropout: _Dropout, *, real: Tensor | None, rate: float) -> Tensor:
        """From (chunks, batch, samples, H) to the same shape.

        ``real`` is 1 for samples and 0 for what pads the last chunk, (chunks, 1, samples).
        """
        kernel = self.kernel.kernel
        with torch.autocast(x.device.type, enabled=False):
            chunks = kernel.chunks(x.shape[2], rate=rate)
            u = x.to(kernel.C.dtype).permute(3, 0, 1, 2)  # (H, n, B, m)
            if real is not None:
                u = u * real
            y = chunked_convolution(u, kernel.weights(chunks, self.D[0]), chunks)
            y = dropout(nn.functional.gelu(y), over=(1, 3))
        z = nn.functional.glu(self.output_linear(y.flatten(1)), dim=-1)
        dropped: Tensor = dropout(z.view(x.shape), over=(0, 2))
        return dropped


class S4Model(nn.Module):
    """Encoder, S4 layers with residual sums and norms, mean over time, decoder.

    Parameters
    ----------
    n_channels : int or None
        Rows of the input; None for no encoder, the input then has ``width`` rows.
    n_outputs : int or None
        Logits; None for no decoder.
    width : int
        Channels inside (H).
    n_layers : int
    n_states : int
        Real states of a channel; even.
    dropout : float
    elementwise : bool
        Drop single values; by default whole channels for all time, as published.
    prenorm : bool
        Norm before a layer rather than after the sum.
    norm : "layer" or "batch"
    causal : bool
        Convolve forward in time alone.
    pooling : bool
        Average over time; otherwise the decoder is applied at each sample.
    channels_first : bool
        Input (batch, channels, samples); otherwise (batch, samples, channels).
    length : int
        Internal length that a fresh C is stored for; even, or 1. No limit on the input's.
    norm_of_branch : bool
        Reproduce a bug of the published code with ``norm="batch"``: the norm of the layer's
        output replaces the sum.
    """

    head = ("decoder.",)
    """Where the keys of the last layer begin."""

    def __init__(  # noqa: PLR0913  a network's sizes are its arguments
        self,
        *,
        n_channels: int | None = 3,
        n_outputs: int | None = 1,
        width: int = 512,
        n_layers: int = 4,
        n_states: int = 64,
        dropout: float = 0.2,
        elementwise: bool = False,
        prenorm: bool = False,
        norm: Literal["layer", "batch"] = "layer",
        causal: bool = False,
        pooling: bool = True,
        channels_first: bool = True,
        length: int = 1024,
        norm_of_branch: bool = False,
    ) -> None:
        super().__init__()
        self.prenorm = prenorm
        self.pooling = pooling
        self.channels_first = channels_first
        self.norm_of_branch = norm_of_branch
        self.n_states = n_states
        self.encoder: nn.Conv1d | nn.Linear | None = None
        if n_channels is not None:
            self.encoder = (
                nn.Conv1d(n_channels, width, 1) if channels_first else nn.Linear(n_channels, width)
            )
        self.s4_layers = nn.ModuleList(
            _Layer(width, n_states, n_directions=1 if causal else 2, length=length)
            for _ in range(n_layers)
        )
        make_norm = nn.LayerNorm if norm == "layer" else nn.BatchNorm1d
        self.norms = nn.ModuleList(make_norm(width) for _ in range(n_layers))
        self.dropout = _Dropout(dropout, elementwise=elementwise)
        self.decoder = nn.Linear(width, n_outputs) if n_outputs is not None else None

    def forward(self, x: Tensor, covariates: Tensor | None = None, *, rate: float = 1.0) -> Tensor:
        """Logits of a batch.

        Parameters
        ----------
        x : Tensor, shape (batch, channels, samples)
        covariates : None
            S4 has no place for them.
        rate : float
            Factor of every step size.

        Returns
        -------
        Tensor, shape (batch, n_outputs); (batch, n_outputs, samples) without pooling
        """
        if covariates is not None:
            raise ValueError("S4Model takes no covariates")
        if not self.channels_first:
            x = x.mT
        n_samples = x.shape[-1]
        m = best_chunk(n_samples, self.n_states)
        x = self._encode(_to_chunks(x, m))
        real = None
        if n_samples % m:
            position = torch.arange(x.shape[0] * m, device=x.device)
            real = (position < n_samples).to(x.dtype).view(-1, 1, m)
        for layer, norm in zip(self.s4_layers, self.norms, strict=True):
            z = self._norm(norm, x, n_samples) if self.prenorm else x
            z = layer(z, self.dropout, real=real, rate=rate)
            x = z if self.norm_of_branch and not self.prenorm else x + z
            if not self.prenorm:
                x = self._norm(norm, x, n_samples)
        return self._decode(x, real, n_samples)

    def set_length(self, length: int) -> None:
        """Take every stored C for one of this internal length; the kernels change with it."""
        for module in self.modules():
            if isinstance(module, _Kernel):
                module.set_length(length)

    def _encode(self, x: Tensor) -> Tensor:
        if self.encoder is None:
            return x
        return nn.functional.linear(x, self.encoder.weight.flatten(1), self.encoder.bias)

    @staticmethod
    def _norm(norm: nn.Module, x: Tensor, n_samples: int) -> Tensor:
        if isinstance(norm, nn.LayerNorm):
            normed: Tensor = norm(x)
            return normed
        # the padding of the last chunk must not enter the statistics of a batch
        return _to_chunks(norm(_to_time(x, n_samples)), x.shape[2])

    def _decode(self, x: Tensor, real: Tensor | None, n_samples: int) -> Tensor:
        if self.pooling:
            x = x if real is None else x * real[..., None]
            x = x.float() if x.dtype == torch.bfloat16 else x
            x = x.sum(dim=(0, 2)) / n_samples  # (batch, H)
        else:
            x = _to_time(x, n_samples).mT
        if self.decoder is not None:
            x = self.decoder(x)
        return x.mT if not self.pooling and self.channels_first else x


def _to_chunks(x: Tensor, m: int) -> Tensor:
    """From (batch, channels, samples) to (chunks, batch, m, channels), padded with zeros."""
    x = nn.functional.pad(x, (0, -x.shape[-1] % m))
    return x.reshape(*x.shape[:2], -1, m).permute(2, 0, 3, 1)


def _to_time(x: Tensor, n_samples: int) -> Tensor:
    """From (chunks, batch, m, channels) to (batch, channels, samples)."""
    return x.permute(1, 3, 0, 2).flatten(2)[..., :n_samples]

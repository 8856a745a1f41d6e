"""Diagonal-plus-low-rank state-space convolution: HiPPO-LegS set-up, float64 matrices, fast chunks.

A channel is the system x' = A x + B u, y = C x with A = diag(w) - P Q^T, made discrete by the
bilinear rule with step ``exp(log_dt)``. Everything but C is frozen, so each channel is turned once,
in float64, into a real system of 2N states and run over chunks of samples by plain matrix products:
no FFT, no complex numbers. The sources are the S4 paper (Gu, Goel, Re, ICLR 2022,
arXiv:2111.00396) for the parametrisation and the chunked form of a linear recurrence.

Letters: H channels, N stored poles (one of each conjugate pair), B batch, L samples, m samples of a
chunk, n chunks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Chunks", "Discrete", "best_chunk", "chunked_convolution", "discretise", "legs"]


def legs(n_states: int) -> tuple[Tensor, Tensor, Tensor]:
    """Poles w, low-rank term P and input B of HiPPO-LegS, each (n_states / 2,) complex128.

    A[n, k] is -sqrt((2n+1)(2k+1)) below the diagonal and -(n+1) on it; A + P P^T is normal, so its
    eigenvectors are orthonormal. One of each conjugate pair is kept.
    """
    n = np.arange(n_states, dtype=np.float64)
    root = np.sqrt(2 * n + 1)
    a = -np.tril(np.outer(root, root), -1) - np.diag(n + 1)
    p = np.sqrt(n + 0.5)
    # A + P P^T = -1/2 + a skew matrix; i times the skew one is Hermitian
    skew = a + np.outer(p, p) + 0.5 * np.eye(n_states)
    frequencies, vectors = np.linalg.eigh(-1j * skew)
    kept = frequencies > 0
    basis = vectors[:, kept].conj().T
    w = -0.5 + 1j * frequencies[kept]
    return torch.from_numpy(w), torch.from_numpy(basis @ p), torch.from_numpy(basis @ root)


@dataclass(frozen=True)
class Discrete:
    """The discrete real systems of all channels.

    Attributes
    ----------
    a : Tensor, shape (H, 2N, 2N)
        One step, for column vectors.
    b : Tensor, shape (H, 2N)
        What one input adds.
    from_stored : Tensor, shape (H, 2N, 2N)
        Takes the stored C, as a row [2 Re, -2 Im], to the output row C: the stored one is
        C (I - a^length).
    """

    a: Tensor
    b: Tensor
    from_stored: Tensor


def discretise(
    w: Tensor, p: Tensor, q: Tensor, b: Tensor, step: Tensor, *, length: int
) -> Discrete:
    """Make the systems discrete, in float64.

    Parameters
    ----------
    w, p, q, b : Tensor, shape (H, N), complex
    step : Tensor, shape (H,)
    length : int
        The internal length that the stored C belongs to.
    """
    w, p, q, b = (one.to(torch.complex128) for one in (w, p, q, b))
    step = step.double()[:, None, None]
    diagonal = torch.cat(
        [
            torch.cat([torch.diag_embed(w.real), torch.diag_embed(-w.imag)], dim=-1),
            torch.cat([torch.diag_embed(w.imag), torch.diag_embed(w.real)], dim=-1),
        ],
        dim=-2,
    )
    column = torch.cat([p.real, p.imag], dim=-1)  # (H, 2N)
    row = 2 * torch.cat([q.real, -q.imag], dim=-1)
    half = step / 2 * (diagonal - column[:, :, None] * row[:, None, :])
    one = torch.eye(half.shape[-1], dtype=torch.float64, device=half.device)
    inputs = step * torch.cat([b.real, b.imag], dim=-1)[:, :, None]
    solved = torch.linalg.solve(one - half, torch.cat([one + half, inputs], dim=-1))
    a = solved[..., :-1]
    return Discrete(a, solved[..., -1], torch.linalg.inv(one - torch.matrix_power(a, length)))


def best_chunk(n_samples: int, n_states: int) -> int:
    """Samples of a chunk that cost the fewest multiplications, padding and scan included."""

    def cost(m: int) -> float:
        padded = math.ceil(n_samples / m) * m
        return padded * (m + 4 * n_states + 4 * n_states**2 / m)

    return min(range(1, min(n_samples, 256) + 1), key=cost)


@dataclass(frozen=True)
class Chunks:
    """What the chunked convolution needs of the frozen part, cast to the network's precision.

    Attributes
    ----------
    inputs : Tensor, shape (H, m, 4N)
        From a chunk's samples to the states at its two ends: forward, then backward in time.
    jump : Tensor, shape (H, 2N, 2N)
        ``a^m`` for row vectors.
    powers : tuple of Tensor, each (H, 2N, 2N)
        ``a``, ``a^2``, ``a^4``, ...
    from_stored : Tensor, shape (H, 2N, 2N)
    """

    inputs: Tensor
    jump: Tensor
    powers: tuple[Tensor, ...]
    from_stored: Tensor

    @classmethod
    def of(cls, system: Discrete, m: int, dtype: torch.dtype) -> Chunks:
        """Compute them in float64 for chunks of ``m`` samples."""
        powers = [system.a]
        while 2 ** len(powers) < max(m, 2):
            powers.append(powers[-1] @ powers[-1])
        reached = system.b[:, :, None]  # (H, 2N, k): a^i b
        for power in powers:
            reached = torch.cat([reached, power @ reached], dim=-1)
        reached = reached[..., :m].mT  # (H, m, 2N)
        return cls(
            torch.cat([reached.flip(1), reached], dim=-1).to(dtype),
            torch.matrix_power(system.a, m).mT.contiguous().to(dtype),
            tuple(power.to(dtype) for power in powers),
            system.from_stored.to(dtype),
        )

    @property
    def m(self) -> int:
        """Samples of a chunk."""
        return self.inputs.shape[1]

    def rows(self, stored: Tensor) -> Tensor:
        """Output rows C of the stored complex parameter (directions, H, N): (directions, H, 2N)."""
        row = torch.cat([2 * stored.real, -2 * stored.imag], dim=-1)
        return torch.einsum("dhn,hnk->dhk", row, self.from_stored)

    def weights(self, stored: Tensor, skip: Tensor) -> Tensor:
        """One matrix from [samples | forward state | backward state] to a chunk's outputs.

        Parameters
        ----------
        stored : Tensor, shape (1 or 2, H, N), complex
        skip : Tensor, shape (H,)
            Weight of the present sample, D.

        Returns
        -------
        Tensor, shape (H, m + 4N, m); without the backward state, m + 2N, for one direction
        """
        rows = self.rows(stored)
        ahead = self._steps(rows)  # (directions, H, m, 2N): C a^i
        taps = ahead @ self.inputs[:, 0, -rows.shape[-1] :, None]  # (directions, H, m, 1): C a^i b
        taps = taps.squeeze(-1)
        later = taps[1].flip(-1)[:, 1:] if len(taps) == 2 else torch.zeros_like(taps[0][:, 1:])
        line = torch.cat([later, taps[0][:, :1] + skip[:, None], taps[0][:, 1:]], dim=-1)
        toeplitz = line.unfold(-1, self.m, 1).flip(1)  # (H, from, to)
        blocks = [toeplitz, (ahead[0] @ self.powers[0]).mT]
        if len(rows) == 2:
            blocks.append(ahead[1].flip(1).mT)
        return torch.cat(blocks, dim=1)

    def _steps(self, rows: Tensor) -> Tensor:
        """C a^i for i below m, by doubling."""
        ahead = rows[:, :, None]  # (directions, H, k, 2N)
        for power in self.powers:
            ahead = torch.cat([ahead, ahead @ power], dim=2)
        return ahead[:, :, : self.m]


def _scan(system: Tensor, chunks: Tensor, *, adjoint: bool = False) -> None:
    """Turn what each chunk adds into the state before it, and the state after it, in place.

    ``chunks`` is (H, n, B, 2N), or (H, n, B, 4N) with a second set of states that runs backward in
    time; ``system`` takes a row vector over one chunk. Both directions share it, and go through it
    together: reading it is what a scan of few records costs. The adjoint of a scan is the scan the
    other way.
    """
    h, n, batch, columns = chunks.shape
    states = system.shape[-1]
    starts = range(0, columns, states)
    state = chunks.new_zeros(h, len(starts) * batch, states)
    for c in range(n):
        places = [
            chunks[:, c if (start == 0) != adjoint else n - 1 - c, :, start : start + states]
            for start in starts
        ]
        following = torch.baddbmm(torch.cat(places, dim=1), state, system)
        # a view, since a split would bind an exported network to one size of batch
        for place, one in zip(places, state.view(h, -1, batch, states).unbind(1), strict=True):
            place.copy_(one)
        state = following


def _gather(u: Tensor, inputs: Tensor, jump: Tensor, n_columns: int) -> Tensor:
    """[samples | forward state | backward state] of every chunk, (H, n, B, n_columns)."""
    h, n, batch, m = u.shape
    joined = u.new_empty(h, n, batch, n_columns)
    joined[..., :m] = u
    flat = joined.view(h, n * batch, n_columns)
    torch.bmm(flat[..., :m], inputs[..., : n_columns - m], out=flat[..., m:])
    _scan(jump, joined[..., m:])
    return flat


class _Convolution(torch.autograd.Function):
    """Keeps only its input for the way back and makes the states again there."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, weights: Tensor, inputs: Tensor, jump: Tensor) -> Tensor:
        ctx.save_for_backward(u, weights, inputs, jump)
        joined = _gather(u, inputs, jump, weights.shape[1])
        return torch.bmm(joined, weights).view(u.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        u, weights, inputs, jump = ctx.saved_tensors
        h, n, batch, m = u.shape
        n_columns = weights.shape[1]
        gradient = gradients[0].reshape(h, n * batch, m)
        on_weights = torch.bmm(_gather(u, inputs, jump, n_columns).mT, gradient)
        flat = torch.bmm(gradient, weights.mT)
        joined = flat.view(h, n, batch, n_columns)
        _scan(jump.mT, joined[..., m:], adjoint=True)
        on_u = torch.baddbmm(flat[..., :m], flat[..., m:], inputs[..., : n_columns - m].mT)
        return on_u.view(u.shape), on_weights, None, None


def chunked_convolution(u: Tensor, weights: Tensor, chunks: Chunks) -> Tensor:
    """Convolve every channel with its kernel, forward and backward in time.

    Parameters
    ----------
    u : Tensor, shape (H, n, B, m)
        Samples by chunk.
    weights : Tensor
        Of `Chunks.weights`.
    chunks : Chunks

    Returns
    -------
    Tensor, shape (H, n, B, m)
    """
    if torch.is_grad_enabled():
        convolved: Tensor = _Convolution.apply(u, weights, chunks.inputs, chunks.jump)  # type: ignore[no-untyped-call]  # torch's
        return convolved
    joined = _gather(u, chunks.inputs, chunks.jump, weights.shape[1])
    return torch.bmm(joined, weights).view(u.shape)

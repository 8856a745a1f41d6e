"""Attacks on hidden labels through what a board answers. Each sees the answers and nothing else.

``submit`` takes scores (n,) and returns the number shown, or None where the board keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

Submit = Callable[[np.ndarray], float | None]


def read_out_by_brier(submit: Submit, n: int, *, uploads: int, rows_each: int) -> np.ndarray:
    """Guess labels from Brier scores: rows of an upload are bits of one number.

    A row at 1/2 - 2^-(j+2) adds 2^-(j+1) to n times the score when its label is 1.
    """
    guesses = np.zeros(n, dtype=int)
    for start in range(0, min(n, uploads * rows_each), rows_each):
        rows = np.arange(start, min(start + rows_each, n))
        weights = 2.0 ** -np.arange(1, len(rows) + 1)
        scores = np.full(n, 0.5)
        scores[rows] = 0.5 - weights / 2
        shown = submit(scores)
        if shown is None:
            continue
        rest = n * shown - np.sum(scores**2)
        for row, weight in zip(rows, weights, strict=True):
            guesses[row] = rest > weight * (1 - 1e-6)
            rest -= weight * guesses[row]
    return guesses


def count_by_brier(submit: Submit, n: int, *, uploads: int, rows_each: int) -> np.ndarray:
    """Guess a block by how many of it are positive: rounding hides less of a count than of bits."""
    guesses = np.zeros(n, dtype=int)
    base = submit(np.zeros(n))  # the prevalence
    for rows in _blocks(n, uploads - 1, rows_each):
        scores = np.zeros(n)
        scores[rows] = 1
        shown = submit(scores)
        if shown is not None and base is not None:
            # each positive of the block is no longer wrong, each negative now is
            positives = (len(rows) - n * (shown - base)) / 2
            guesses[rows] = positives > len(rows) / 2
    return guesses


def count_by_auroc(
    submit: Submit, n: int, *, uploads: int, rows_each: int, n_positive: int
) -> np.ndarray:
    """Raise a block above a flat background, and keep raised what a better answer confirms."""
    guesses = np.zeros(n, dtype=int)
    raised = np.zeros(n)
    known = submit(np.full(n, 0.5))
    n_negative = n - n_positive
    for rows in _blocks(n, uploads - 1, rows_each):
        attempt = raised.copy()
        attempt[rows] = 1
        shown = submit(0.5 + attempt / 4)
        if shown is None or known is None:
            continue  # not better: the block stays with the commoner class
        gain = 2 * (shown - known)  # = k / n_positive - (m - k) / n_negative, for the new block
        k = (gain + len(rows) / n_negative) / (1 / n_positive + 1 / n_negative)
        guesses[rows] = k > len(rows) / 2
        if gain > 0:
            raised, known = attempt, shown
    return guesses


def _blocks(n: int, uploads: int, rows_each: int) -> Iterator[np.ndarray]:
    order = np.random.default_rng(0).permutation(n)
    for upload in range(min(uploads, n // rows_each)):
        yield order[upload * rows_each : (upload + 1) * rows_each]


def climb(submit: Submit, start: np.ndarray, *, uploads: int, step: float, seed: int) -> float:
    """Best number shown after random changes of the best file, each kept when it shows more."""
    rng = np.random.default_rng(seed)
    log_odds = np.log(start / (1 - start))
    best = submit(start)
    for _ in range(uploads - 1):
        attempt = log_odds + step * rng.normal(size=len(start))
        shown = submit(1 / (1 + np.exp(-attempt)))
        if shown is not None and shown > best:
            best, log_odds = shown, attempt
    return best


def advantage(guesses: np.ndarray, labels: np.ndarray) -> float:
    """Share of right guesses beyond that of always guessing the commoner class."""
    common = max(labels.mean(), 1 - labels.mean())
    return float((guesses == labels).mean() - common)

"""Every error of acsbench, in one tree.

A message says what happened, where (file, row, column, id), the rule, and the way out.
Each class is also the builtin that a caller would expect to catch, and carries the exit code
that the command line ends with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "AcsbenchError",
    "AllFailedError",
    "AuditError",
    "BoardError",
    "ConfigError",
    "HoldoutError",
    "InputError",
    "MissingDependencyError",
    "MissingPathError",
    "NetworkError",
    "PredictionsError",
    "QuotaError",
    "RecordingError",
    "StepError",
    "StoreError",
    "TableError",
    "UnknownNameError",
    "VaultError",
    "did_you_mean",
    "first_few",
]


class AcsbenchError(Exception):
    """Root of the tree. Catch this to catch everything acsbench raises on purpose."""

    exit_code = 1


class StepError(AcsbenchError, RuntimeError):
    """A step could not finish: too many broken records, no room on the disk, a killed worker."""


class AllFailedError(StepError):
    """Not one record could be processed.

    Parameters
    ----------
    message : str
    failures : mapping
        ``reason`` and ``detail`` of each record, by id.
    """

    def __init__(self, message: str, failures: Mapping[str, dict[str, str]]) -> None:
        super().__init__(message)
        self.failures = dict(failures)


class MissingDependencyError(AcsbenchError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


class InputError(AcsbenchError, ValueError):
    """Something a user gave is not usable: a file, a table, a value, a name."""

    exit_code = 2


class ConfigError(InputError):
    """A key or value of a configuration is not allowed."""


class MissingPathError(InputError, FileNotFoundError):
    """A file or folder is not where it should be; the message names where we looked."""

    # OSError would format a lone message as `[Errno ...]`
    __str__ = Exception.__str__


class UnknownNameError(InputError, KeyError):
    """No model, source, recipe, task or metric has this name."""

    # KeyError would print the message in quotes
    __str__ = Exception.__str__


class TableError(InputError):
    """A table breaks its schema. All findings are in the message, one a line."""


class StoreError(InputError):
    """A waveform store is missing, damaged, or not the one that was asked for."""


class PredictionsError(InputError):
    """A predictions file does not fit its contract or its labels."""


class HoldoutError(InputError):
    """Labels or patients were asked of a holdout, which has neither."""


class BoardError(InputError):
    """A board's definition, receipt or key is not what it has to be."""


class VaultError(InputError):
    """Hidden labels cannot be loaded or opened. The message holds no label."""


class AuditError(AcsbenchError):
    """A chain of audit entries was changed.

    Parameters
    ----------
    seq : int
        The first entry that does not fit.
    detail : str
    """

    def __init__(self, seq: int, detail: str) -> None:
        super().__init__(f"Audit entry {seq}: {detail}")
        self.seq = seq


class NetworkError(AcsbenchError, ConnectionError):
    """A server cannot be reached, or does not answer as a board does."""

    exit_code = 3


class QuotaError(AcsbenchError):
    """A team has no place left; the message says when there is one."""

    exit_code = 4


class RecordingError(InputError):
    """One ECG cannot be used. Counted with its reason; it does not stop a run by itself.

    Parameters
    ----------
    ecg_id : str
        The record.
    reason : str
        A short code, the same in every table: ``"missing_file"``, ``"truncated"``, ``"empty"``,
        ``"wrong_shape"``, ``"too_short"``, ``"wrong_units"``, ``"out_of_range"``, ...
    detail : str
        The values seen and the rule, for a person.
    """

    def __init__(self, ecg_id: str, reason: str, detail: str) -> None:
        super().__init__(ecg_id, reason, detail)
        self.ecg_id = ecg_id
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"ECG {self.ecg_id}: {self.reason}: {self.detail}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known word, or an empty string.

    >>> did_you_mean("resnet81", ["resnet18", "logistic"])
    " Did you mean 'resnet18'?"
    """
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{nearest[0]}'?" if nearest else ""


def first_few(items: Sequence[object], *, n: int = 5) -> str:
    """Join the first ``n`` items, and say how many follow.

    >>> first_few(["a", "b", "c"], n=2)
    'a, b, and 1 more'
    """
    shown = ", ".join(str(item) for item in items[:n])
    return shown if len(items) <= n else f"{shown}, and {len(items) - n:,} more"

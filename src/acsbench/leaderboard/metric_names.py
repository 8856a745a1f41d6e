"""What readers call the metrics of a board."""

from __future__ import annotations

import re

__all__ = ["metric_title"]

_METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier score"}
_READ_OFF = (
    (re.compile(r"sens_at_spec_(\d+)_roc"), "Sensitivity at {} % specificity"),
    (re.compile(r"spec_at_sens_(\d+)_roc"), "Specificity at {} % sensitivity"),
    (re.compile(r"ppv_at_budget_(\d+)"), "PPV when {} % are flagged"),
)


def metric_title(name: str) -> str:
    """Return a metric as readers know it.

    >>> metric_title("auroc"), metric_title("ppv_at_budget_05")
    ('AUROC', 'PPV when 5 % are flagged')
    """
    for pattern, title in _READ_OFF:
        if (found := pattern.fullmatch(name)) is not None:
            return title.format(int(found[1]))
    return _METRICS.get(name, name)

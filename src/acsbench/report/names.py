"""What readers call models, findings, outcomes and subgroups."""

from __future__ import annotations

import re
from collections.abc import Sequence

from acsbench.tasks import TASKS

__all__ = [
    "FINDINGS",
    "group_title",
    "in_order",
    "is_finding",
    "model_title",
    "outcome_title",
    "question",
    "task_title",
    "value_title",
]

FINDINGS = {
    "has_st_eleva": "ST elevation",
    "has_depress": "ST depression",
    "has_twave_inver": "T-wave inversion",
    "has_twave_abnormal": "T-wave abnormality",
}
_OUTCOMES = {
    "stent_or_cabg_010_day": "Stent or bypass within 10 days",
    "macetrop_pos_or_death_030": "Major cardiac event, raised troponin or death within 30 days",
}


def is_finding(model: str) -> bool:
    """Whether a model is a classical finding, such as ``flag:has_st_eleva``."""
    return model.startswith("flag:")


def model_title(name: str) -> str:
    """Return a model's name as readers know it; a maker's own name stays as it is.

    >>> model_title("flag:has_depress"), model_title("flag:has_lbbb"), model_title("resnet18")
    ('ST depression', 'lbbb', 'resnet18')
    """
    if not is_finding(name):
        return name
    column = name.removeprefix("flag:")
    return FINDINGS.get(column, column.removeprefix("has_").replace("_", " "))


def outcome_title(column: str) -> str:
    """Return an outcome in words.

    >>> outcome_title("stent_or_cabg_010_day"), outcome_title("ptbxl_mi")
    ('Stent or bypass within 10 days', 'Ptbxl mi')
    """
    return _OUTCOMES.get(column, column.replace("_", " ").capitalize())


def value_title(column: str, value: str) -> str:
    """Return a value of a subgroup column as a row heading.

    >>> value_title("race", "black"), value_title("age_band", "50 to 64")
    ('Race: Black', 'Age: 50 to 64')
    """
    name = {"age_band": "age"}.get(column, column).replace("_", " ")
    shown = value.capitalize() if value.islower() and column in ("race", "sex") else value
    return f"{name.capitalize()}: {shown}"


def group_title(subgroup: str) -> str:
    """Return a subgroup of the results, ``column=value``, as a row heading.

    >>> group_title("sex=Female")
    'Sex: Female'
    """
    column, _, value = subgroup.partition("=")
    return value_title(column, value)


def in_order(subgroups: Sequence[str]) -> list[str]:
    """Put the values of each column in order, ranges of numbers by their numbers.

    >>> in_order(["sex=Male", "age_band=50 to 64", "age_band=under 50", "sex=Female"])
    ['sex=Female', 'sex=Male', 'age_band=under 50', 'age_band=50 to 64']
    """
    columns = list(dict.fromkeys(group.partition("=")[0] for group in subgroups))

    def place(group: str) -> tuple[int, float, str]:
        column, _, value = group.partition("=")
        number = re.search(r"\d+", value)
        below = 0.5 if value.startswith(("under", "<")) else 0
        return columns.index(column), float(number[0]) - below if number else -1, value

    return sorted(subgroups, key=place)


def question(task: str) -> str:
    """Say what a positive record has; a reading of the ECG is never called an outcome."""
    if task not in TASKS:
        return "the outcome"
    known = TASKS[task]
    if known.horizon_days is None:
        return "this reading of the ECG (a reading by cardiologists, not an outcome)"
    return f"the outcome within {known.horizon_days} days"


def task_title(task: str) -> str:
    """Name a task and what it asks.

    >>> task_title("mine")
    'Task mine'
    """
    known = TASKS.get(task)
    if known is None or known.horizon_days is None:
        return f"Task {task}"
    outcome = outcome_title(known.outcome)
    return f"Task {task}: {outcome[:1].lower()}{outcome[1:]}"

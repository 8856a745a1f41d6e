"""TRIPOD+AI and STARD-AI, as far as a machine can fill them.

Items are named in our own few words, by their numbers in Collins et al. 2024 (TRIPOD+AI) and
Bossuyt et al. 2015 (STARD); the additions of STARD-AI (Sounderajah et al. 2025) have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from acsbench.report.parts import Section, Table

__all__ = ["checklist_section"]

AUTHORS = "for the authors"


class Item(NamedTuple):
    """An item, and the sections (by the end of their key) that answer it; none: the authors do."""

    number: str
    subject: str
    answered_by: tuple[str, ...] = ()
    words: str = ""


_FACTS, _METHODS, _PEOPLE = ("facts",), ("methods",), ("people",)

TRIPOD_AI: Sequence[Item] = (
    Item("1", "Title names model, population and outcome"),
    Item("2", "Structured abstract"),
    Item("3a", "Clinical background and existing models"),
    Item("3b", "Who it is for, where in the pathway"),
    Item("3c", "Known inequalities of care"),
    Item("4", "Objectives: development or evaluation"),
    Item("5a", "Source of data", _FACTS),
    Item("5b", "Dates of the data", (), "dates are not printed; state the period"),
    Item("6a", "Setting and centres"),
    Item("6b", "Who was eligible", _PEOPLE),
    Item("6c", "Treatments received"),
    Item("7", "Preparation of data", _METHODS),
    Item("8a", "Outcome and its time horizon", _METHODS),
    Item("8b", "Who read a subjective outcome"),
    Item("8c", "Blinding of the outcome's readers"),
    Item("9a", "Choice of predictors", (), "the waveform; state the features of baselines"),
    Item("9b", "Definition and timing of predictors"),
    Item("9c", "Who read subjective predictors"),
    Item("10", "Size of the sample", ("pairs",)),
    Item("11", "Missing data", _PEOPLE),
    Item("12a", "Split of the data", _METHODS),
    Item("12b", "Handling of predictors", _METHODS),
    Item("12c", "Kind of model, how it was built", (), "architecture and training"),
    Item("12d", "Differences between centres", (), "one source: state its centres"),
    Item("12e", "Measures and plots", _METHODS),
    Item("12f", "Updating, such as recalibration", ("calibration",)),
    Item("12g", "How predictions were made", _FACTS),
    Item("13", "Class imbalance", (), "state resampling or weights, if any"),
    Item("14", "Fairness", ("subgroups",)),
    Item("15", "Output of the model", _METHODS),
    Item("16", "Differences of training and test data", _PEOPLE),
    Item("17", "Ethical approval"),
    Item("18a-b", "Funding, conflicts of interest"),
    Item("18c-d", "Protocol, registration"),
    Item("18e", "Sharing of data"),
    Item("18f", "Sharing of code", _FACTS),
    Item("19", "Patients and public involved"),
    Item("20a", "Flow of participants", _PEOPLE),
    Item("20b", "Characteristics, missing values", _PEOPLE),
    Item("20c", "Comparison of training and test data", _PEOPLE),
    Item("21", "Participants and events in each analysis", ("verdict",)),
    Item("22", "The model in full", (), "publish weights or code"),
    Item("23a", "Performance with intervals, in subgroups", ("verdict", "subgroups")),
    Item("23b", "Differences between clusters", ("robustness",)),
    Item("24", "Results of updating", ("calibration",)),
    Item("25", "Interpretation"),
    Item("26", "Limitations", ("testing",), "and the authors' own"),
    Item("27a", "Poor or missing input", _PEOPLE, "and at the point of use"),
    Item("27b", "What users must do and know"),
    Item("27c", "Next steps"),
)
STARD_AI: Sequence[Item] = (
    Item("1", "Named as a study of accuracy"),
    Item("2", "Structured abstract"),
    Item("3", "Intended use and role of the test"),
    Item("4", "Aims and hypotheses"),
    Item("5", "Prospective or retrospective"),
    Item("6", "Eligibility", _PEOPLE),
    Item("7", "How participants were found"),
    Item("8", "Where and when"),
    Item("9", "Consecutive, random or convenience series", _PEOPLE),
    Item("10a", "Index test, to be repeated", _FACTS),
    Item("10b", "Reference standard", _METHODS),
    Item("11", "Why this reference standard"),
    Item("12a", "Cuts of the index test, chosen before or after", ("operating",)),
    Item("12b", "Cuts of the reference standard"),
    Item("13a", "What readers of the index test knew", (), "models see no outcome of test records"),
    Item("13b", "What readers of the reference knew"),
    Item("14", "Methods of estimation and comparison", _METHODS),
    Item("15", "Indeterminate results", _PEOPLE),
    Item("16", "Missing results", _PEOPLE),
    Item("17", "Variation of accuracy", ("subgroups",)),
    Item("18", "Size of the sample", ("pairs",)),
    Item("19", "Flow", _PEOPLE),
    Item("20", "Characteristics at baseline", _PEOPLE),
    Item("21a", "Severity in those with the condition"),
    Item("21b", "Other diagnoses in those without"),
    Item("22", "Time between test and reference", _METHODS),
    Item("23", "Table of test against reference", ("operating",)),
    Item("24", "Accuracy with its precision", ("verdict", "operating")),
    Item("25", "Adverse events"),
    Item("26", "Limitations: bias, uncertainty", ("testing", "robustness")),
    Item("27", "Implications for practice"),
    Item("28-30", "Registration, protocol, funding"),
    Item("AI", "Origin, annotation and preparation of data", (*_FACTS, *_METHODS)),
    Item("AI", "Split into training, validation and test", _METHODS),
    Item("AI", "Version of the index test", _FACTS),
    Item("AI", "Bias and fairness", ("subgroups",)),
    Item("AI", "Access to data and code"),
)


def checklist_section(sections: Iterable[Section], *, has_facts: bool) -> Section:
    """Map each item to the sections that answer it."""
    shown = [(section.key, section.title.split(":")[0]) for section in sections]
    known = [*shown, ("methods", "Methods, ready to paste")]
    if has_facts:
        known.append(("facts", "How this was made"))
    return Section(
        key="checklist",
        title="Reporting checklists",
        lead="Where this page answers an item of TRIPOD+AI or STARD-AI, it says where. What only "
        "people know is left to the authors.",
        parts=(
            _table("tripod-ai", "TRIPOD+AI (2024)", TRIPOD_AI, known),
            _table("stard-ai", "STARD 2015 with the additions of STARD-AI (2025)", STARD_AI, known),
        ),
    )


def _table(
    name: str, caption: str, items: Sequence[Item], known: Sequence[tuple[str, str]]
) -> Table:
    rows = []
    for item in items:
        titles = dict.fromkeys(
            title for wanted in item.answered_by for key, title in known if _ends(key, wanted)
        )
        where = ", ".join(titles) if titles else AUTHORS
        rows.append([item.number, item.subject, f"{where}; {item.words}" if item.words else where])
    return Table(
        name=name,
        caption=caption,
        header=["Item", "Subject", "Where"],
        rows=rows,
        is_figures=False,
    )


def _ends(key: str, wanted: str) -> bool:
    return key == wanted or key.endswith(f"-{wanted}")

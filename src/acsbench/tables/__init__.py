"""Columns, types and keys of every table that passes between stages, and one check for them all.

Upstream names end in `sources`; from here on a thing has one name. A check reports all findings
of a table at once, each with the column, the first rows, the values and the rule.
"""

from acsbench.tables.cohort import Cohort, Tables
from acsbench.tables.columns import (
    COHORT,
    ECGS,
    ENCOUNTERS,
    FLOW,
    LABELS,
    PATIENTS,
    QUALITY,
    RACES,
    SEXES,
    Split,
)
from acsbench.tables.files import read_labels, read_table, with_natural_types
from acsbench.tables.schema import Column, Schema, check

__all__ = [
    "COHORT",
    "ECGS",
    "ENCOUNTERS",
    "FLOW",
    "LABELS",
    "PATIENTS",
    "QUALITY",
    "RACES",
    "SEXES",
    "Cohort",
    "Column",
    "Schema",
    "Split",
    "Tables",
    "check",
    "read_labels",
    "read_table",
    "with_natural_types",
]

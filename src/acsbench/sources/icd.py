"""ICD codes of infarction and of coronary procedures, in both versions that hospitals billed by.

Codes are written without their dot. Sources: ICD-9-CM volumes 1 to 3, ICD-10-CM chapter IX, and the
tables 021, 027, 02C, 4A0 and B21 of ICD-10-PCS.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

__all__ = [
    "BYPASS",
    "CATHETERIZATION",
    "INFARCTION",
    "INTERVENTION",
    "NSTEMI",
    "STEMI",
    "CodeSet",
]


@dataclass(frozen=True)
class CodeSet:
    """What a term means in each version of ICD.

    Attributes
    ----------
    name : str
    icd9, icd10 : str
        Regular expressions that a whole code must match.
    """

    name: str
    icd9: str
    icd10: str

    def holds(self) -> pl.Expr:
        """Whether a row's ``icd_code`` of ``icd_version`` 9 or 10 is one of these, dots or not."""
        code = (
            pl.col("icd_code")
            .str.strip_chars()
            .str.to_uppercase()
            .str.replace_all(".", "", literal=True)
        )
        return (
            pl.when(pl.col("icd_version") == 9)
            .then(code.str.contains(f"^(?:{self.icd9})$"))
            .when(pl.col("icd_version") == 10)
            .then(code.str.contains(f"^(?:{self.icd10})$"))
            .fill_null(value=False)
        )


# the fifth digit 2 is a later episode of care for an infarction that is over
INFARCTION = CodeSet("acute myocardial infarction", "410.[01]", "I21.*")
STEMI = CodeSet("ST-elevation infarction", "410[0-68][01]", "I21[0-3].*")
NSTEMI = CodeSet("non-ST-elevation infarction", "4107[01]", "I214.*")

CATHETERIZATION = CodeSet(
    "coronary angiography or left heart catheterization",
    "372[23]|885[567]",
    "4A023N[78].*|B21[0-3].*",
)
INTERVENTION = CodeSet(
    "percutaneous coronary intervention",
    "0066|360[125679]",
    "027[0-3][34].*|02C[0-3][34].*",
)
BYPASS = CodeSet("coronary bypass", "361\\d", "021[0-3].*")

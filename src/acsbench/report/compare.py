"""Two runs side by side: what changed in the settings, and what in the estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from acsbench.errors import InputError, MissingPathError
from acsbench.provenance import MANIFEST_NAME, Manifest, read_manifest
from acsbench.report.names import group_title, model_title
from acsbench.report.numbers import MISSING, estimate
from acsbench.results import Results

__all__ = ["Comparison", "compare_runs"]

_KEY = ("task", "split", "model", "subgroup", "metric", "method")


@dataclass(frozen=True)
class Comparison:
    """What two runs have in common, and where they differ.

    Attributes
    ----------
    estimates : DataFrame
        ``task, split, model, subgroup, metric, method``, then ``first, first_low, first_high,
        n_first`` and the same of the second, ``difference`` (second minus first) and ``overlap``
        (whether the intervals do; null without intervals). An estimate of one run alone has
        nulls for the other.
    settings : DataFrame
        ``setting, first, second``: keys of the configs, input fingerprints and versions that
        differ.
    remarks : tuple of str
        What a reader has to know before the figures are compared.
    """

    estimates: pl.DataFrame
    settings: pl.DataFrame
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        """Remarks, settings that differ, and the overall estimates that both runs have."""
        lines = [*self.remarks, ""] if self.remarks else []
        lines += [f"{name}: {one} -> {two}" for name, one, two in self.settings.iter_rows()]
        lines += [""] if lines and lines[-1] else []
        both = self.estimates.filter(
            (pl.col("subgroup") == "")
            & pl.col("first").is_not_null()
            & pl.col("second").is_not_null()
        )
        lines += [_line(row) for row in both.iter_rows(named=True)]
        return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    where = f" {group_title(row['subgroup'])}" if row["subgroup"] else ""
    apart = "  intervals apart" if row["overlap"] is False else ""
    first = estimate(row, "first", "first_low", "first_high")
    second = estimate(row, "second", "second_low", "second_high")
    return (
        f"{row['task']:<10} {model_title(row['model']):<24}{where} {row['metric']:<18} "
        f"{first:<22} -> {second:<22} {row['difference']:+.3f}{apart}"
    )


def compare_runs(first: Path, second: Path) -> Comparison:
    """Compare the results of two runs, or of two evaluations.

    Parameters
    ----------
    first, second : Path
        Folders with the results of `Results.save`; with a manifest, their settings are compared,
        too.

    Raises
    ------
    InputError
        When a folder holds no results, or the two have no estimate in common.

    Notes
    -----
    Two intervals that overlap do not show that two models are equal, and two that do not are a
    weaker test than a paired one. For that, judge the predictions of both runs together.
    """
    results = [_results(folder) for folder in (first, second)]
    manifests = [_manifest(folder) for folder in (first, second)]
    estimates = _estimates(results[0].frame, results[1].frame)
    if not _common(estimates):
        raise InputError(
            f"{first} and {second} have no estimate in common: no task, model and metric of one is "
            "in the other."
        )
    settings = _settings(
        *(_described(result, manifest) for result, manifest in zip(results, manifests, strict=True))
    )
    return Comparison(estimates, settings, tuple(_remarks(results, manifests, estimates)))


def _results(folder: Path) -> Results:
    try:
        return Results.load(folder)
    except MissingPathError as error:
        raise InputError(f"{error} Give the folder of a run, or of 'acsbench evaluate'.") from None


def _manifest(folder: Path) -> Manifest | None:
    return read_manifest(folder) if (folder / MANIFEST_NAME).is_file() else None


def _described(results: Results, manifest: Manifest | None) -> dict[str, str]:
    """Everything that was set, as flat text."""
    found = {"interval level": f"{results.level:g}"}
    if manifest is not None:
        found |= _flat(manifest.config, "")
        found |= {f"input {key}": str(value) for key, value in manifest.inputs.items()}
        found |= {f"version of {key}": str(value) for key, value in manifest.versions.items()}
    return found


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{name}.")
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            for number, one in enumerate(value):
                found |= _flat(one, f"{name}.{number}.")
        else:
            found[name] = str(value)
    return found


def _settings(first: Mapping[str, str], second: Mapping[str, str]) -> pl.DataFrame:
    keys = [*first, *(key for key in second if key not in first)]
    rows = [(key, first.get(key, MISSING), second.get(key, MISSING)) for key in keys]
    differ = [row for row in rows if row[1] != row[2]]
    return pl.DataFrame(differ, schema=["setting", "first", "second"], orient="row").cast(pl.String)


def _estimates(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    def side(frame: pl.DataFrame, name: str) -> pl.DataFrame:
        alone = frame.filter(pl.col("compared_with") == "")
        return alone.select(
            *(pl.col(key).fill_null("") for key in _KEY),
            pl.col("value").alias(name),
            pl.col("low").alias(f"{name}_low"),
            pl.col("high").alias(f"{name}_high"),
            pl.col("n_records").alias(f"n_{name}"),
        )

    joined = side(first, "first").join(
        side(second, "second"),
        on=list(_KEY),
        how="full",
        coalesce=True,
        maintain_order="left_right",
    )
    return joined.with_columns(
        (pl.col("second") - pl.col("first")).alias("difference"),
        (
            (pl.col("first_low") <= pl.col("second_high"))
            & (pl.col("second_low") <= pl.col("first_high"))
        ).alias("overlap"),
    )


def _remarks(
    results: list[Results], manifests: list[Manifest | None], estimates: pl.DataFrame
) -> list[str]:
    found = []
    alone = {
        "first": estimates.filter(pl.col("n_second").is_null())["model"].unique(),
        "second": estimates.filter(pl.col("n_first").is_null())["model"].unique(),
    }
    for name, models in alone.items():
        only = sorted(set(models) - set(_common(estimates)))
        if only:
            found.append(f"Only in the {name}: {', '.join(model_title(m) for m in only)}.")
    known = [m.inputs for m in manifests if m is not None]
    if len(known) == 2:
        for key, what in (("split", "splits"), ("tables", "source tables")):
            if known[0].get(key) != known[1].get(key):
                found.append(f"The {what} differ: the two were not judged on the same records.")
    if results[0].level != results[1].level:
        found.append("The intervals are of different levels.")
    sizes = estimates.filter(pl.col("n_first") != pl.col("n_second"))
    if not sizes.is_empty():
        found.append("Some estimates rest on different numbers of records.")
    found.append(
        "This sets two runs side by side; for a test, judge the predictions of both together."
    )
    return found


def _common(estimates: pl.DataFrame) -> list[str]:
    both = estimates.filter(pl.col("n_first").is_not_null() & pl.col("n_second").is_not_null())
    return both["model"].unique().to_list()

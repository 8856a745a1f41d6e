"""Commands from raw data to waveforms, and the looks one takes at them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acsbench.cli.help import names_of
from acsbench.cli.options import (
    CohortFolder,
    Debug,
    DryRun,
    Engine,
    Jobs,
    Json,
    Limit,
    Out,
    Scheduler,
    Seed,
    Set,
    SourceName,
    SourcePath,
    assignments,
    emit,
    pairs,
    workers,
)
from acsbench.errors import ConfigError, InputError, UnknownNameError, did_you_mean, first_few

if TYPE_CHECKING:
    from acsbench.experiment.config import SourceStep
    from acsbench.tables import Cohort

__all__ = ["audit", "cohort", "convert", "download", "process", "quality", "show"]


def _source_step(source: str, path: Path | None, options: dict[str, Any]) -> SourceStep:
    """Name a source as a run's config would; ``--path`` is the option that nearly all have."""
    from acsbench.experiment.config import SourceStep

    where = {} if path is None else {"path": str(path)}
    return SourceStep.model_validate({"name": source, **options, **where})


def cohort(
    source: SourceName,
    out: Out,
    path: SourcePath = None,
    scheme: Annotated[str | None, typer.Option(help="patient, folds, file or paper.")] = None,
    write_split: Annotated[
        Path | None,
        typer.Option(help="CSV to write the split to, ids only; others use it by the scheme file."),
    ] = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    jobs: Jobs = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    debug: Debug = False,
) -> None:
    """Build the cohort of a source. Checks every ECG first, and counts every exclusion."""
    from acsbench.cohort.build import CohortConfig, build_cohort
    from acsbench.cohort.split import write_split_file
    from acsbench.experiment.steps import cohort_step, open_step
    from acsbench.provenance import parse_config

    if write_split is not None and write_split.exists():
        raise InputError(f"{write_split} exists and is not overwritten. Name another file.")
    options = assignments(set_)
    of_cohort = {k: options.pop(k) for k in list(options) if k in CohortConfig.model_fields}
    if scheme is not None:
        of_cohort["scheme"] = scheme
    config = parse_config(CohortConfig, of_cohort, where="--set")
    opened = open_step(_source_step(source, path, options), seed=seed or 0, limit=limit)
    if dry_run:
        built = build_cohort(opened.tables, seed=seed or 0, config=config)
    else:
        built = cohort_step(
            opened, out, config=config, seed=seed or 0, workers=workers(jobs, engine, scheduler)
        )
        if write_split is not None:
            write_split_file(built.frame, write_split)
    emit(_describe(built), _flow_text(built), as_json=json)


def _describe(built: Cohort) -> dict[str, Any]:
    return {
        "flow": built.flow.to_dicts(),
        "info": dict(built.info),
        "split_fingerprint": built.split_fingerprint,
    }


def _flow_text(built: Cohort) -> str:
    lines = [f"{'':2}{'step':<46}{'visits':>9}{'patients':>10}{'ECGs':>9}"]
    for row in built.flow.iter_rows(named=True):
        sign = {"dropped": "- ", "branch": "  . "}.get(row["kind"], "  ")
        counts = f"{row['n_encounters']:>9,}{row['n_patients']:>10,}{row['n_records']:>9,}"
        lines.append(f"{sign + row['step']:<48}{counts}")
    lines.append(f"Patients shared between splits: {built.info['shared_patients']}")
    return "\n".join(lines)


def quality(
    source: SourceName,
    out: Out,
    path: SourcePath = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    jobs: Jobs = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    debug: Debug = False,
) -> None:
    """Check every ECG of a source. Prints what was found, with a picture by lead."""
    from acsbench.experiment.steps import open_step, quality_step
    from acsbench.waveforms.quality_summary import summarise_quality

    step = _source_step(source, path, assignments(set_))
    opened = open_step(step, seed=seed or 0, limit=limit)
    if dry_run:
        plan = {"ECGs": len(opened.tables.ecgs), "out": str(out)}
        return emit(plan, pairs(plan), as_json=json)
    found = summarise_quality(quality_step(opened, out, workers=workers(jobs, engine, scheduler)))
    lines = [
        f"{row['reason']:<18}{row['n_ecgs']:>8,} ECGs {100 * row['share_of_ecgs']:>6.2f} %"
        f"{row['n_leads']:>9,} leads  {row['meaning']}"
        for row in found.iter_rows(named=True)
    ]
    return emit({"quality": found.to_dicts(), "out": str(out)}, "\n".join(lines), as_json=json)


def audit(
    cohort: CohortFolder,
    stage: Annotated[
        list[Path] | None,
        typer.Option(help="Cohort folder of an earlier training stage; repeatable."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Prove that no patient and no waveform crosses splits. Counts anew; believes nothing."""
    from acsbench.cohort.audit import audit_split
    from acsbench.tables import Cohort, read_table

    rows = audit_split(
        Cohort.load(cohort),
        quality=read_table(cohort / "quality.parquet"),
        other_stages={str(folder): Cohort.load(folder) for folder in stage or ()},
    )
    lines = [
        f"{row['verdict']:<12}{row['check']}, {row['scope']}: {row['n_found']:,} of "
        f"{row['n_checked']:,}{'  ' + row['examples'] if row['examples'] else ''}"
        for row in rows.iter_rows(named=True)
    ]
    emit({"audit": rows.to_dicts()}, "\n".join(lines), as_json=json)
    if (rows["verdict"] == "fail").any():
        raise InputError("The audit failed. Build the cohort with the scheme 'patient'.")


def process(
    cohort: CohortFolder,
    out: Out,
    recipe: Annotated[
        str,
        typer.Option(help="See `acsbench list recipes`.", autocompletion=names_of("recipes")),
    ] = "three_by_four",
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    jobs: Jobs = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    debug: Debug = False,
) -> None:
    """Make the waveform store of a cohort. A killed run goes on where it was."""
    from acsbench.experiment.limit import load_cohort
    from acsbench.experiment.plan import plan_store
    from acsbench.experiment.steps import reopen_source, store_step
    from acsbench.registry import canonical

    built = load_cohort(cohort, limit=limit)
    opened = reopen_source(cohort)
    parameters = assignments(set_)
    if dry_run:
        plan = plan_store(opened, built, recipe=canonical(recipe), parameters=parameters)
        return emit(plan, pairs(plan), as_json=json)
    store = store_step(
        opened,
        built,
        out,
        recipe=canonical(recipe),
        parameters=parameters,
        workers=workers(jobs, engine, scheduler),
    )
    result = {"store": str(out), **store.manifest.config, **store.manifest.info}
    return emit(result, pairs(result), as_json=json)


def show(
    ecg_id: Annotated[str, typer.Argument(help="Id of the ECG.")],
    source: SourceName,
    out: Annotated[Path, typer.Option(help="PNG or SVG file to write, or a folder for it.")],
    path: SourcePath = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    seed: Seed = None,
    debug: Debug = False,
) -> None:
    """Draw one ECG on paper grid, as PNG or SVG."""
    from acsbench.experiment.steps import open_step
    from acsbench.report.ecg_paper import save_ecg

    opened = open_step(_source_step(source, path, assignments(set_)), seed=seed or 0)
    known = opened.tables.ecgs["ecg_id"]
    if ecg_id not in known:
        raise UnknownNameError(
            f"Source '{source}' holds no ECG '{ecg_id}'.{did_you_mean(ecg_id, known)} "
            f"It holds {first_few(known.to_list(), n=3)}."
        )
    recording = next(iter(opened.source.recordings([ecg_id])))
    if isinstance(recording, Exception):
        raise recording
    file = out if out.suffix in (".png", ".svg") else out / f"{ecg_id}.png"
    if not dry_run:
        save_ecg(recording, path=file)
    emit({"file": str(file)}, str(file), as_json=json)


def convert(
    files: Annotated[list[Path], typer.Argument(help="Files of ECG devices, or WFDB headers.")],
    out: Out,
    to: Annotated[str, typer.Option(help="wfdb, csv or npz.")] = "wfdb",
    drop_calibration: Annotated[
        bool, typer.Option("--drop-calibration", help="Cut a calibration pulse off the end.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    json: Json = False,
    dry_run: DryRun = False,
    debug: Debug = False,
) -> None:
    """Convert single ECGs of any known format. Reads SCP-ECG, DICOM, aECG, Philips, MUSE, WFDB."""
    from typing import get_args

    from acsbench.experiment.convert import FileFormat, convert_files

    if to not in get_args(FileFormat):
        raise ConfigError(f"--to {to} is none of {', '.join(get_args(FileFormat))}.")
    if dry_run:
        plan = {"files": len(files), "to": to, "out": str(out)}
        return emit(plan, pairs(plan), as_json=json)
    done = convert_files(
        files,
        out,
        to=to,  # type: ignore[arg-type]  # one of the three, as just checked
        drop_calibration=drop_calibration,
        overwrite=overwrite,
    )
    lines = [
        f"{one.file}  {one.reason}"
        if one.written is None
        else f"{one.written}  {one.duration_s:g} s, {one.sampling_rate:g} Hz, {one.lead_names}"
        for one in done
    ]
    emit({"files": [one._asdict() for one in done]}, "\n".join(lines), as_json=json)
    failed = sum(one.written is None for one in done)
    if failed:
        raise InputError(f"{failed:,} of {len(done):,} files could not be converted.")
    return None


def download(
    name: Annotated[str, typer.Argument(help="ptbxl or ludb.")],
    out: Out,
    only: Annotated[
        list[str] | None, typer.Option(help="Pattern of paths, as 'records100/*'; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licence without asking.")] = False,
    json: Json = False,
    dry_run: DryRun = False,
    debug: Debug = False,
) -> None:
    """Download an open data set. Shows the licence first; goes on where it was stopped."""
    from acsbench.sources.download import dataset
    from acsbench.sources.download import download as fetch

    print(dataset(name).notice, file=sys.stderr)
    if dry_run:
        return emit({"name": name, "out": str(out)}, f"would go to {out}", as_json=json)
    if not yes:
        typer.confirm("Download under this licence?", abort=True, err=True)
    folder = fetch(name, out, only=only or ())
    return emit({"folder": str(folder)}, str(folder), as_json=json)

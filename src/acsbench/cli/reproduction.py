"""`acsbench reproduce`: a published benchmark again, from raw tables to one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acsbench.cli.options import (
    Debug,
    DryRun,
    Engine,
    Jobs,
    Json,
    Limit,
    Out,
    Scheduler,
    Seed,
    emit,
    pairs,
    workers,
)

__all__ = ["group", "paper"]

group = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Reproduce a published benchmark."
)


@group.callback()
def _keep_the_name() -> None:
    """Reproduce a published benchmark."""


@group.command()
def paper(
    data: Annotated[
        Path | None,
        typer.Argument(help="Folder in the Nightingale layout; without, a generated hospital."),
    ] = None,
    out: Out = Path("runs/paper"),
    models: Annotated[
        str | None, typer.Option(help="Names with commas between; by default all of the paper's.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Fits of every model.")] = 1,
    scale: Annotated[
        str | None,
        typer.Option(
            help="full, as published; docs, narrower networks and few epochs; small, to see that "
            "it runs. By default full with DATA, docs without."
        ),
    ] = None,
    hubert: Annotated[
        str | None, typer.Option(help="HuBERT-ECG's weights: a file, a folder or hf:OWNER/NAME.")
    ] = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    jobs: Jobs = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    debug: Debug = False,
) -> None:
    """Reproduce ACS-BenchWork by its rules and by sound ones. Started again, it goes on."""
    from acsbench.experiment.paper import PAPER_MODELS, PaperConfig, experiment_of
    from acsbench.experiment.reproduce import generated_config, reproduce_paper
    from acsbench.provenance import parse_config

    body = {
        "source": {"name": "nightingale", "path": str(data)},
        "models": PAPER_MODELS if models is None else [m.strip() for m in models.split(",")],
        "seeds": seeds,
        "scale": scale or ("docs" if data is None else "full"),
        "hubert": hubert,
        "seed": seed or 0,
        "limit": limit,
    }
    config, tables = parse_config(PaperConfig, body, where="reproduce paper"), None
    if data is None:
        config, tables = generated_config(config, out)
    if dry_run:
        from acsbench.experiment.sweep import plan_sweep

        plan = {
            f"{rules}, {name}": n
            for rules in ("original", "sound")
            for name, n in plan_sweep(experiment_of(config, rules)).items()
        }
        return emit(plan, pairs(plan), as_json=json)
    who = workers(jobs or 1, engine, scheduler)
    done = reproduce_paper(config, out=out, tables=tables, workers=who)
    failures = done.failures.to_dicts()
    lost = "".join(
        f"Not fitted: {one['model']} ({one['rules']}): {one['reason']}\n" for one in failures
    )
    result = {"page": str(done.page), "failures": failures}
    emit(result, f"{lost}Page: {done.page}", as_json=json)
    if failures:
        raise typer.Exit(1)
    return None

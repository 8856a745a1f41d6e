"""What a label-efficiency study crosses."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import Field, model_validator

from acsbench.errors import ConfigError
from acsbench.experiment.label_fits import LabelFit, Method, Mode
from acsbench.models.base import CONFIG_NAME
from acsbench.provenance import StepConfig, parse_config
from acsbench.registry import canonical

__all__ = ["LabelEfficiencyConfig", "counted_fits", "plan_fits", "study_of"]

BASELINE = "scratch"


class LabelEfficiencyConfig(StepConfig):
    """What a study crosses.

    Attributes
    ----------
    task : str
    methods : tuple of Method
    baseline : str
        The method that the others are compared with.
    shares : tuple of float
        Of the training patients whose labels are used, rising.
    epochs : tuple of int
        Of a full training at each share; few labels take more of them. The last one kept, since
        few labels leave none to choose an epoch by.
    draws : int
        Sets of labelled patients at each share below 1; a smaller share's is part of a larger
        one's.
    seeds : tuple of int
        Of the pre-trained models and the fits: draw d takes one after the other. With all labels
        there is one fit a seed.
    """

    task: str
    methods: tuple[Method, ...] = Field(min_length=1)
    baseline: str = BASELINE
    shares: tuple[float, ...] = (0.05, 0.2, 1.0)
    epochs: tuple[int, ...] = (40, 16, 10)
    draws: int = Field(default=10, ge=1)
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.epochs) != len(self.shares):
            raise ValueError("epochs needs one number for each of shares")
        if list(self.shares) != sorted(set(self.shares)) or not self.shares[0] > 0:
            raise ValueError("shares are above 0 and rise")
        if self.shares[-1] > 1:
            raise ValueError("shares are at most 1")
        names = [one.name for one in self.methods]
        if len(set(names)) < len(names):
            raise ValueError("two methods have one name; names are unique")
        if self.baseline not in names:
            raise ValueError(f"baseline = '{self.baseline}' is none of {', '.join(names)}")
        return self

    def fits_of(self, share: float) -> list[tuple[int, int]]:
        """Draw and seed of each fit at a share, the same for every method."""
        n = self.draws if share < 1 else len(self.seeds)
        return [(draw, self.seeds[draw % len(self.seeds)]) for draw in range(n)]


def plan_fits(config: LabelEfficiencyConfig, rounds: Sequence[str]) -> list[LabelFit]:
    """Every fit of a study, frozen ones first because they are cheap."""
    methods = sorted(config.methods, key=lambda one: one.mode)
    return [
        LabelFit(method=method, round_name=name, share=share, draw=draw, seed=seed, epochs=epochs)
        for method, (share, epochs) in itertools.product(
            methods, zip(config.shares, config.epochs, strict=True)
        )
        for name, (draw, seed) in itertools.product(rounds, config.fits_of(share))
    ]


def counted_fits(config: LabelEfficiencyConfig, *, n_rounds: int = 1) -> dict[str, int]:
    """Number of fits of each method."""
    each = n_rounds * sum(len(config.fits_of(share)) for share in config.shares)
    fits = {f"{one.name} ({one.mode})": each for one in config.methods}
    return {**fits, "fits in all": sum(fits.values())}


def study_of(  # noqa: PLR0913  what a study crosses are its arguments
    task: str,
    pretrained: Sequence[str],
    *,
    model: str | None = None,
    modes: Sequence[str] = get_args(Mode),
    parameters: Mapping[str, Any],
    shares: Sequence[float] | None = None,
    epochs: Sequence[int] | None = None,
    draws: int = 10,
    seeds: Sequence[int] = (0, 1, 2),
) -> LabelEfficiencyConfig:
    """Cross pre-trained models and their controls: from scratch, and random but frozen.

    Parameters
    ----------
    task : str
    pretrained : sequence of str
        ``NAME=DIR``; each becomes a method a mode, ``NAME-frozen`` say.
    model : str, optional
        Registered network of all of them; by default that of the first pre-trained folder, whose
        sizes the controls get.
    modes : sequence of str
        Of the pre-trained: ``frozen``, ``full``.
    parameters : mapping
        Of every fit.
    shares, epochs, draws, seeds
        See `LabelEfficiencyConfig`. The default number of epochs grows as labels get few.

    Raises
    ------
    ConfigError
    """
    unknown = [one for one in modes if one not in get_args(Mode)]
    if unknown:
        raise ConfigError(f"--mode {unknown[0]} is none of {', '.join(get_args(Mode))}.")
    network, sizes = _network_of(pretrained, model, seeds)
    common = {"model": network, "parameters": {**sizes, **parameters}}
    methods = [{**common, "name": BASELINE, "mode": "full"}]
    for one in pretrained:
        name, equals, folder = one.partition("=")
        if not equals or not folder:
            raise ConfigError(f"--pretrained {one}: write NAME=DIR.")
        methods += [
            {**common, "name": f"{name}-{mode}", "mode": mode, "init_from": folder}
            for mode in modes
        ]
    methods.append({**common, "name": "random-frozen", "mode": "frozen"})
    told: dict[str, Any] = {"draws": draws, "seeds": tuple(seeds)}
    if shares is not None:
        told["shares"] = tuple(shares)
        told["epochs"] = tuple(max(10, min(40, round(8 / share**0.5))) for share in shares)
    if epochs is not None:
        told["epochs"] = tuple(epochs)
    body = {"task": canonical(task), "methods": methods, **told}
    return parse_config(LabelEfficiencyConfig, body, where="label-efficiency")


def _network_of(
    pretrained: Sequence[str], model: str | None, seeds: Sequence[int]
) -> tuple[str, dict[str, Any]]:
    """Name of the network, and the sizes of the first pre-trained one."""
    from acsbench.models.foundation.classifier import backbone_settings  # noqa: PLC0415  torch

    first = next(iter(pretrained), "").partition("=")[2].replace("{seed}", str(seeds[0]))
    if not first or not (Path(first) / CONFIG_NAME).is_file():
        return canonical(model or "ecg_cpc"), {}
    network, sizes = backbone_settings(Path(first))
    if model is not None and canonical(model) != network:
        raise ConfigError(f"--model {model}: {first} is a {network}.")
    return network, sizes

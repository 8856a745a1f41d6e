"""Whether a recipe keeps its contract."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from acsbench.errors import RecordingError
from acsbench.recording import NOT_RECORDED, RECORDED, Recording, Waveform
from acsbench.store import encode
from acsbench.testing.findings import require
from acsbench.testing.recordings import generated_page, generated_recording
from acsbench.waveforms.recipes import NamedRecipe, get_recipe

__all__ = ["check_recipe"]

Make = Callable[..., Recording]

_SYNTHETIC = 2


def check_recipe(name: str, **parameters: Any) -> None:
    """Check that a registered recipe keeps its contract, on a few generated ECGs.

    They have twelve leads; a recipe that refuses those gets printed pages.

    Parameters
    ----------
    name : str
        Registered, by a built-in line or an entry point of the group ``acsbench.recipes``.
    **parameters
        Of the recipe.

    Raises
    ------
    AssertionError
        With every finding, one a line.
    """
    recipe = get_recipe(name, **parameters)
    make = _layout(recipe)
    checks = (_of_one, _of_two, _of_gaps, _of_short, _of_its_name)
    require(f"Recipe '{name}'", [partial(check, recipe, make) for check in checks])


def _layout(recipe: NamedRecipe) -> Make:
    """Twelve leads, or a page where those are refused."""
    try:
        recipe(generated_recording("one", seed=0))
    except RecordingError:
        return generated_page
    except Exception:  # noqa: S110  the checks meet it again, and tell
        pass
    return generated_recording


def _of_one(recipe: NamedRecipe, make: Make) -> Iterator[str]:
    recording = make("one", seed=0)
    before = recording.signal.copy()
    made: Any = recipe(recording)  # a plug-in may return anything
    if not np.array_equal(recording.signal, before, equal_nan=True):
        yield "it changes the recording that it is given."
    if not isinstance(made, Waveform):
        yield f"it returns a {type(made).__name__}; expected a Waveform."
        return
    yield from _of_waveform(made)
    again = recipe(recording)
    if not np.array_equal(again.signal, made.signal) or not np.array_equal(again.mask, made.mask):
        yield "a second call gives another waveform."


def _of_waveform(made: Waveform) -> Iterator[str]:
    if made.signal.dtype != np.float32 or made.mask.dtype != np.uint8:
        yield f"signal and mask are {made.signal.dtype} and {made.mask.dtype}; "
        yield "expected float32 and uint8."
    try:
        encode("one", made)
    except RecordingError as error:
        yield f"a store cannot hold its signal: {error}"
    if not np.isin(made.mask, (NOT_RECORDED, RECORDED, _SYNTHETIC)).all():
        yield "the mask holds other values than 0, 1 and 2."
    elif made.signal[made.mask == NOT_RECORDED].any():
        yield "the signal is not zero where the mask says that nothing was recorded."
    if not (made.mask == RECORDED).any():
        yield "the mask says that nothing of a complete recording was recorded."


def _of_two(recipe: NamedRecipe, make: Make) -> Iterator[str]:
    """A store holds one shape, one rate and one order of leads; longer input is cut."""
    one, other = (recipe(make(f"ecg {n}", seed=n)) for n in range(2))
    longer = recipe(make("longer", seed=0, duration_s=12.0))
    for what, made in (("another recording", other), ("one of 12 s", longer)):
        if (made.signal.shape, made.lead_names, made.sampling_rate, made.units) != (
            one.signal.shape,
            one.lead_names,
            one.sampling_rate,
            one.units,
        ):
            yield f"{what} gives another shape, other leads, another rate or other units."


def _of_gaps(recipe: NamedRecipe, make: Make) -> Iterator[str]:
    """A lead that is missing is marked, filled and marked, or the recording is refused."""
    recording = make("gap", seed=0)
    signal = recording.signal.copy()
    signal[7] = np.nan  # V2: no rule gives it from other leads
    whole = recipe(recording)
    made = _made_or_refused(recipe, replace(recording, signal=signal))
    if made is None:
        return
    yield from _of_waveform(made)
    if np.array_equal(made.mask, whole.mask):
        yield "a lead that was not recorded leaves no trace in the mask."


def _of_short(recipe: NamedRecipe, make: Make) -> Iterator[str]:
    short = make("short", seed=0, duration_s=1.0)
    if _made_or_refused(recipe, short) is not None:
        yield "it takes a recording of 1 s; expected a RecordingError that tells its length."


def _of_its_name(recipe: NamedRecipe, make: Make) -> Iterator[str]:
    """Manifests keep the description; workers get the recipe by pickle."""
    json.dumps(recipe.describe())
    recording = make("sent", seed=0)
    sent: Callable[[Recording], Waveform] = pickle.loads(pickle.dumps(recipe))  # noqa: S301  made here
    if not np.array_equal(sent(recording).signal, recipe(recording).signal):
        yield "what a worker gets by pickle is another recipe."


def _made_or_refused(recipe: NamedRecipe, recording: Recording) -> Waveform | None:
    """The waveform; None where the recipe refuses as it should."""
    try:
        return recipe(recording)
    except RecordingError:
        return None

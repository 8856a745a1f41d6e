"""Tables of a reproduction: E1, E2 and E5 to E9, published, by the original's rules, and sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from acsbench.report.names import FINDINGS, group_title, is_finding, model_title
from acsbench.report.numbers import MISSING, count, estimate, fixed, percent
from acsbench.report.parts import Section, Table
from acsbench.results import format_estimate

if TYPE_CHECKING:
    from acsbench.report.reproduction import Side
    from acsbench.report.view import Row

__all__ = ["further_sections", "is_whole", "models_of", "opening_sections", "predictor_title"]

Published = Mapping[str, Any]
_TITLES = {
    "s4": "S4",
    "resnet18": "ResNet-18",
    "hubert_ecg": "HuBERT-ECG",
    "resnet6": "ResNet-6",
    "resnet50": "ResNet-50",
    "ecg_omi": "ECG-OMI",
    "logistic": "Logistic regression",
}
_ORDER = [*_TITLES, *(f"flag:{name}" for name in FINDINGS)]
_VALUE = ("value", "low", "high")
_SOUND = ("sound_value", "sound_low", "sound_high")


def opening_sections(
    original: Side, sound: Side, published: Published, *, is_generated: bool
) -> list[Section]:
    """E1 and E2.

    Of a generated hospital no figure is held against a published one.
    """
    return [
        _table_one(original, sound, published),
        _auroc(original, sound, published, is_generated=is_generated),
    ]


def further_sections(original: Side, sound: Side, published: Published) -> list[Section]:
    """E5 to E9."""
    return [
        _binary(original, sound, published),
        _subgroups(original, sound, published),
        _yield(original, sound, published),
        _venn(original, sound, published),
        _logistic(original, sound, published),
    ]


def predictor_title(model: str) -> str:
    """Name a predictor as its publication does."""
    return _TITLES.get(model, model_title(model))


def models_of(*sides: Side) -> list[str]:
    """Models of all sides in the order of the published tables, whatever their figures."""
    found = {name for side in sides for view in side.views for name in view.ordered}
    return sorted(found, key=lambda name: (_ORDER.index(name) if name in _ORDER else 99, name))


def is_whole(row: Row) -> bool:
    """Whether there is an estimate with both of its intervals."""
    return bool(row) and all(row[name] is not None for name in (*_VALUE, *_SOUND))


def _printed(numbers: Sequence[float] | None) -> str:
    return MISSING if numbers is None else format_estimate(*numbers)


def _shown(row: Row, names: tuple[str, str, str]) -> str:
    return estimate(row, *names) if row else MISSING


def _columns(original: Side, sound: Side) -> list[str]:
    return ["Published", original.title, sound.title]


_MEASURES = {
    "n_encounters": "Visits",
    "n_patients": "Patients",
    "n_records": "ECGs",
    "age": "Age, mean",
    "female": "Female",
    "black": "Black",
    "hispanic": "Hispanic",
    "white": "White",
    "other": "Other",
    "positive_test": "Positive test",
}
_GROUPS = ("total", "tested", "untested")


def _table_one(original: Side, sound: Side, published: Published) -> Section:
    rows = [
        [f"{group.capitalize()}: {title}", *cells]
        for group in _GROUPS
        for name, title in _MEASURES.items()
        if (cells := list(_characteristic(original, sound, published, group, name)))
    ]
    table = Table(
        name="e1",
        caption="E1: Table 1, mean over ECGs (error of the mean)",
        header=["Group and row", *_columns(original, sound)],
        rows=rows,
        note="Errors: the original's take every ECG as independent; the sound ones know whose each "
        "is. The outcome of the untested is not observed, and is no zero.",
    )
    return Section(
        key="e1",
        title="E1: who was studied",
        lead="An error of a mean says nothing of the spread of people; Table 1 of the sound side's "
        "report describes visits and patients, with spreads and what is missing.",
        parts=(table,),
    )


def _characteristic(
    original: Side, sound: Side, published: Published, group: str, name: str
) -> Iterator[str]:
    place, printed = _GROUPS.index(group), published["table_one"][name]
    is_count = name.startswith("n_")
    yield f"{printed[place]:,}" if is_count else _with_error(*printed[place])
    for side, error in ((original, "sem"), (sound, "clustered_se")):
        wanted = {"group": group} if is_count else {"group": group, "measure": name}
        row = side.row("original_table_one", **wanted)
        if not row:
            yield MISSING
        elif is_count:
            yield count(row[name], min_count=side.min_count)
        elif side is sound and name == "positive_test" and group != "tested":
            yield "not observed"
        else:
            yield _with_error(row["mean"], row[error])


def _with_error(mean: float | None, error: float | None) -> str:
    if mean is None:
        return MISSING
    return f"{mean:.2f} ({fixed(error)})" if mean > 1 else f"{fixed(mean)} ({fixed(error)})"


def _auroc(original: Side, sound: Side, published: Published, *, is_generated: bool) -> Section:
    against = {} if is_generated else published["auroc"]
    rows = []
    for model in models_of(original, sound):
        theirs = original.row("original_auroc", model=model)
        ours = sound.row("original_auroc", model=model)
        rows.append(
            [
                predictor_title(model),
                _printed(published["auroc"].get(model)),
                _shown(theirs, _VALUE),
                _shown(theirs, _SOUND),
                _shown(ours, _SOUND),
                _auroc_sentence(theirs, ours, against.get(model)),
            ]
        )
    table = Table(
        name="e2",
        caption="E2: AUROC (95 % interval)",
        header=[
            *("Predictor", "Published", original.title),
            *("Same scores, patients as the unit", sound.title, "Why they differ"),
        ],
        rows=rows,
        is_figures=False,
    )
    return Section(
        key="e2",
        title="E2: how well each predictor ranks",
        lead="From left to right one thing changes at a time: the data and the training, then the "
        "interval, then split, waveforms and the records reported.",
        parts=(table,),
    )


def _auroc_sentence(theirs: Row, ours: Row, printed: Sequence[float] | None) -> str:
    parts = []
    if printed is not None and theirs and theirs["value"] is not None:
        outside = not printed[1] <= theirs["value"] <= printed[2]
        parts.append(
            f"reproduced {theirs['value'] - printed[0]:+.3f}, "
            f"{'outside' if outside else 'within'} the published interval"
        )
    if is_whole(theirs) and theirs["high"] > theirs["low"]:
        ratio = (theirs["sound_high"] - theirs["sound_low"]) / (theirs["high"] - theirs["low"])
        parts.append(f"interval {ratio:.2f} times as wide over patients")
    if theirs and ours and theirs["value"] is not None and ours["sound_value"] is not None:
        change = ours["sound_value"] - theirs["value"]
        parts.append(f"{change:+.3f} by split, waveforms and other records")
    return f"{'; '.join(parts).capitalize()}." if parts else MISSING


def _binary(original: Side, sound: Side, published: Published) -> Section:
    right, flagged = [], []
    for model in models_of(original, sound):
        theirs = original.row("original_binary", model=model)
        ours = sound.row("original_binary", model=model)
        printed = published["binary"].get(model, {})
        title = predictor_title(model)
        right.append(
            [
                title,
                _printed(printed.get("accuracy")),
                _shown(theirs, ("accuracy", "accuracy_low", "accuracy_high")),
            ]
        )
        flagged.append(
            [
                title,
                _printed(printed.get("ppv")),
                _shown(theirs, ("ppv", "ppv_low", "ppv_high")),
                _shown(ours, ("sound_ppv", "sound_low", "sound_high")),
                _binary_sentence(theirs),
            ]
        )
    accuracy = Table(
        name="e5-accuracy",
        caption="E5: accuracy where as many are flagged as are positive",
        header=["Predictor", "Published", original.title],
        rows=right,
        note="Beside the event rate it says little: who flags nobody is right in all negatives. No "
        "sound figure is made of it.",
    )
    ppv = Table(
        name="e5",
        caption="E5: PPV at the same cut",
        header=["Predictor", *_columns(original, sound), "Why they differ"],
        rows=flagged,
        is_figures=False,
        note="The sound PPV has an interval where no tie lies at the cut; cuts chosen on val stand "
        "in that side's report.",
    )
    return Section(key="e5", title="E5: flagged by the highest scores", parts=(accuracy, ppv))


def _binary_sentence(theirs: Row) -> str:
    if not theirs or theirs["ppv"] is None:
        return MISSING
    if is_finding(theirs["model"]):
        return "A finding has its own budget, so its PPV does not compare with a model's."
    worst, best = theirs["ppv_worst"], theirs["ppv_best"]
    if worst is not None and best is not None and best - worst > 5e-4:
        return f"Ties at the cut: anything from {fixed(worst)} to {fixed(best)}."
    return "PPV and sensitivity are equal by construction; the sound interval is over patients."


def _subgroups(original: Side, sound: Side, published: Published) -> Section:
    rows = []
    for model in (one for one in models_of(original, sound) if not is_finding(one)):
        printed = published["subgroups"].get(model, {})
        found = [
            r["subgroup"]
            for s in (original, sound)
            for r in s.rows("original_subgroups", model=model)
        ]
        for group in dict.fromkeys((*printed, *found)):
            wanted = {"model": model, "subgroup": group}
            ours = sound.row("original_subgroups", **wanted)
            rows.append(
                [
                    f"{predictor_title(model)}: {group_title(group)}",
                    _printed(printed.get(group)),
                    _shown(original.row("original_subgroups", **wanted), _VALUE),
                    _shown(ours, _SOUND),
                    count(ours.get("n_positive"), min_count=sound.min_count),
                ]
            )
    table = Table(
        name="e6",
        caption="E6: AUROC by sex and race (95 % interval)",
        header=["Predictor and group", *_columns(original, sound), "Positives, sound side"],
        rows=rows,
        note="What differs: intervals over patients, no figure below ten of a class, and no gap is "
        "claimed without a test; gaps with Holm's correction stand in the sound side's report.",
    )
    return Section(key="e6", title="E6: by sex and race", parts=(table,))


def _yield(original: Side, sound: Side, published: Published) -> Section:
    rows = []
    for model in models_of(original, sound):
        theirs = original.row("original_yield", model=model)
        ours = sound.row("original_yield", model=model)
        printed = published["yield"].get(model, {})
        rows.append(
            [
                predictor_title(model),
                percent(printed.get("pred_pos_without_feature")),
                percent(theirs.get("pred_pos_without_feature")),
                percent(theirs.get("base_share_without_feature")),
                percent(ours.get("pred_pos_without_feature")),
                percent(ours.get("base_share_without_feature")),
                fixed(ours.get("lift"), 2),
            ]
        )
    table = Table(
        name="e7",
        caption="E7: share of the flagged without any of the four findings, and what chance gives",
        header=[
            *("Predictor", "Published", original.title, "All of them without"),
            *(sound.title, "All of them without", "Lift"),
        ],
        rows=rows,
        note="What differs: the original prints the share of the flagged alone, and calls half a "
        "find; where half of everybody has no finding, that is what a coin gives. Lift 1 is "
        "chance.",
    )
    return Section(key="e7", title="E7: what is flagged without a finding", parts=(table,))


def _venn(original: Side, sound: Side, published: Published) -> Section:
    rows = []
    for region, n in published["venn"].items():
        wanted = {"model": "s4", "region": region}
        rows.append(
            [
                region.replace("model", "flagged").replace("+", " and "),
                f"{n:,} ({100 * n / published['n_records']:.1f} %)",
                *(
                    _region(side.row("original_venn", **wanted), side.min_count)
                    for side in (original, sound)
                ),
            ]
        )
    table = Table(
        name="e8",
        caption="E8: S4's flagged, T-wave findings and ST findings, by region",
        header=["Region", *_columns(original, sound)],
        rows=rows,
        note="What differs: the original labels the T set depression, though it holds T-wave "
        "abnormality, and three circles cannot have these areas; event rates with intervals stand "
        "beside the findings in the sound side's report.",
    )
    return Section(key="e8", title="E8: overlap with the findings", parts=(table,))


def _region(row: Row, min_count: int) -> str:
    if not row:
        return MISSING
    shown = count(row["n_records"], min_count=min_count)
    return shown if row["percent"] is None else f"{shown} ({row['percent']:.1f} %)"


def _logistic(original: Side, sound: Side, published: Published) -> Section:
    theirs, ours = original.row("original_logistic"), sound.row("original_logistic")
    printed = published["logistic"]
    accuracy = ("accuracy", "accuracy_low", "accuracy_high")
    table = Table(
        name="e9",
        caption="E9: logistic regression on the four findings (95 % interval)",
        header=["Figure", *_columns(original, sound), "Why they differ"],
        rows=[
            [
                "AUROC",
                _printed(printed["auroc"]),
                _shown(theirs, ("auroc", "low", "high")),
                _shown(ours, _SOUND),
                "Other rows in each; the sound interval is over patients.",
            ],
            [
                "Accuracy",
                _printed(printed["accuracy"]),
                _shown(theirs, accuracy),
                MISSING,
                (
                    "Taken at Youden's cut of the very rows it is given for; no sound figure is "
                    "made of that."
                ),
            ],
        ],
        is_figures=False,
    )
    return Section(key="e9", title="E9: the logistic baseline", parts=(table,))

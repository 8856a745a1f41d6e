"""What ``--help`` shows beside a command's docstring: plain names of values, and an example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from acsbench.registry import Kind

__all__ = ["EXAMPLES", "Command", "kinds_of_lists", "names_of"]

EXAMPLES = {
    "demo": "acsbench demo --out runs/demo",
    "run": "acsbench run experiment.toml --set models.0.parameters.epochs=5",
    "quality": "acsbench quality --source nightingale --path data --out work/quality",
    "cohort": "acsbench cohort --source nightingale --path data --out work/cohort",
    "audit": "acsbench audit --cohort work/cohort",
    "process": "acsbench process --cohort work/cohort --out work/store",
    "pretrain": """\
acsbench pretrain cpc --store work/store --cohort work/cohort \\
    --out work/cpc""",
    "train": """\
acsbench train resnet18 --task acs --cohort work/cohort \\
    --store work/store --out work/resnet18""",
    "sweep": "acsbench sweep experiment.toml --seeds 5",
    "label-efficiency": """\
acsbench label-efficiency --cohort work/cohort --store work/store \\
    --task acs --pretrained cpc=work/cpc --out work/labels""",
    "predict": """\
acsbench predict work/resnet18 --cohort work/cohort \\
    --store work/store --out work/predictions""",
    "export-onnx": "acsbench export-onnx work/resnet18 resnet18.onnx",
    "evaluate": """\
acsbench evaluate work/predictions/resnet18--acs--test.csv \\
    --labels labels.csv --out work/results""",
    "compare": "acsbench compare runs/first runs/second",
    "report": "acsbench report runs/first",
    "reproduce paper": """\
acsbench reproduce paper path/to/ed-bwh-ecg/v1 \\
    --hubert hubert_ecg_large.pt --out runs/paper""",
    "show": """\
acsbench show ecg0123456789 --source nightingale --path data \\
    --out ecg.svg""",
    "convert": "acsbench convert recording.dcm --out work/converted --to csv",
    "download": "acsbench download ptbxl --out data/ptbxl",
    "check": "acsbench check scores.csv --task https://board.example.org/tasks/acs",
    "submit": "acsbench submit scores.csv --task acs --card card.toml --wait",
    "verify": "acsbench verify receipt.json --keys https://board.example.org",
    "serve": "acsbench serve --demo",
    "list": "acsbench list models",
    "new": "acsbench new model my_network",
    "doctor": "acsbench doctor --export runs/first",
    "store verify": "acsbench store verify work/store",
    "store export": "acsbench store export work/store --to wfdb --out work/wfdb",
    "board make-task": "acsbench board make-task --cohort work/cohort --out work/task",
    "board show": "acsbench board acs --server https://board.example.org",
    "server init": "acsbench server init --data board-data",
    "server load": "acsbench server load work/task/acs --labels work/task/labels/acs.csv",
    "server account": 'acsbench server account ada@example.org --name "Ada Byron"',
    "server sign-in": "acsbench server sign-in ada@example.org",
    "server team": "acsbench server team analysts --task acs --member ada@example.org",
    "server member": "acsbench server member analysts bob@example.org --task acs",
    "server role": "acsbench server role ada@example.org host --task acs",
    "server token": "acsbench server token ada@example.org --scope submit",
    "server doctor": "acsbench server doctor --data board-data",
    "server backup": "acsbench server backup backup",
    "server restore": "acsbench server restore backup --keys keys --data board-new",
    "server audit": "acsbench server audit",
    "server freeze": "acsbench server freeze acs site",
    "server migrate-store": "acsbench server migrate-store --to s3://bucket/board",
    "server rescore": "acsbench server rescore --check",
}
"""By the command as it is typed."""

_WHOLE = 1000
# typer brings its own copy of click from some version on; this is UsageError in either
_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
_VALUES = {"Path": "PATH", "int": "N", "float": "X", "str": "TEXT"}


class Command(TyperCommand):
    """A command whose help names values as people do, and ends with an example."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for param in self.params:
            of_typer: Any = getattr(param, "bare_type", None)  # older versions do this themselves
            if of_typer is None:
                continue
            if param.param_type_name == "argument":
                _name_argument(param)
            elif param.metavar is None:
                kind = str(of_typer()).removeprefix("list[").removesuffix("]")
                param.metavar = _VALUES.get(kind)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Tell of all that is missing at once."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if type(error).__name__ != "MissingParameter":
                raise
            found, _, _ = self.make_parser(ctx).parse_args(given)
            missing = [
                param for param in self.params if param.required and not found.get(param.name)
            ]
            if len(missing) < 2:
                raise
            names = (
                p.opts[0] if p.param_type_name == "option" else str(p.metavar or p.name)
                for p in missing
            )
            raise _USAGE_ERROR(f"Missing: {', '.join(names)}.", ctx=ctx) from None

    def get_short_help_str(self, limit: int = 0) -> str:
        """First sentence, whole: a narrow terminal breaks the line and loses nothing."""
        return super().get_short_help_str(limit=max(limit, _WHOLE))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the example, as it can be pasted, however narrow the terminal."""
        names: list[str] = []
        while ctx.parent is not None:
            names.insert(0, ctx.info_name)
            ctx = ctx.parent
        example = EXAMPLES.get(" ".join(names))
        if example is not None:
            lines = "\n".join(f"  {line}" for line in example.splitlines())
            formatter.write(f"\nExample:\n{lines}\n")


def _name_argument(param: Any) -> None:
    """``MODEL``, ``[PATHS]...``: no braces, no Python type."""
    param.metavar = param.metavar or param.name.upper()
    dots = "" if param.nargs == 1 else "..."
    usage = f"{param.metavar}{dots}" if param.required else f"[{param.metavar}]{dots}"
    param.get_usage_pieces = lambda _: [usage]
    param.display_type_rich = lambda _=None, **__: None


def kinds_of_lists(incomplete: str) -> list[str]:
    """Complete what can be listed."""
    from acsbench.registry import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]


def names_of(kind: Kind) -> Callable[[str], Sequence[str]]:
    """Complete the registered names of a kind in a shell."""

    def complete(incomplete: str) -> list[str]:
        from acsbench.registry import names

        return [name for name in names(kind) if name.startswith(incomplete)]

    return complete

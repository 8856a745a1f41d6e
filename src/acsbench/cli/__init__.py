"""The command line: parse, call one function, print its result.

Nothing heavy is imported before a command runs, so that ``--help`` is quick. Results go to
stdout, everything else to stderr. The commands stand in `runs`, `data`, `stores`, `models`,
`pretraining`, `judge`, `reproduction`, `board` and `server`.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from acsbench.cli import (
    board,
    data,
    entrant,
    judge,
    models,
    pretraining,
    reproduction,
    runs,
    server,
    stores,
)
from acsbench.cli.help import Command
from acsbench.cli.options import debugging
from acsbench.errors import AcsbenchError, UnknownNameError, did_you_mean

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """Commands that accept underscores for dashes and suggest the nearest name."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0].replace("_", "-")
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            raise UnknownNameError(
                f"There is no command '{name}'.{did_you_mean(name, known)} "
                f"Known: {', '.join(known)}."
            )
        return super().resolve_command(ctx, [name, *args[1:]])


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Diagnose acute coronary syndrome from ECG waveforms, and prove how well you do it.",
)


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"acsbench {version('acsbench')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


for _command in (
    *(runs.demo, runs.run),
    *(data.quality, data.cohort, data.audit, data.process),
    *(pretraining.pretrain, models.train, models.sweep, pretraining.label_efficiency),
    *(models.predict, models.export_onnx),
    *(judge.evaluate, judge.compare, runs.report),
    *(data.show, data.convert, data.download),
    *(board.check, entrant.submit, board.verify, server.serve),
    *(runs.list_, runs.new, runs.doctor),
):
    app.command(name=_command.__name__.rstrip("_").replace("_", "-"))(_command)
_store = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look at a waveform store.")
_store.command()(stores.verify)
_store.command()(stores.export)
app.add_typer(_store, name="store")
board.group.command("show")(entrant.show)
app.add_typer(reproduction.group, name="reproduce")
app.add_typer(board.group, name="board")
app.add_typer(server.group, name="server")
for _group in (app, *(one.typer_instance for one in app.registered_groups)):
    for _one in _group.registered_commands if _group is not None else ():
        _one.cls = Command


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0 fine, 1 failed, 2 bad input, usage or findings, 3 network or server, 4 quota,
    130 interrupted.
    """
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("acsbench").setLevel(logging.INFO)
    sys.exit(_guarded(list(sys.argv[1:] if arguments is None else arguments)))


_INTERRUPTED = 130
# typer brings its own copy of click from some version on; this is ClickException in either
_UsageProblem: Any = typer.BadParameter.__mro__[2]


def _guarded(arguments: list[str]) -> int:
    """Run a command and turn whatever ends it into an exit code."""
    try:
        code = app(arguments, standalone_mode=False)
        if code == _INTERRUPTED:  # how newer typers pass a KeyboardInterrupt on
            raise KeyboardInterrupt  # noqa: TRY301
    except typer.Exit as leaving:
        code = leaving.exit_code
    except _UsageProblem as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        print("\nInterrupted. Finished work is kept; start again to go on.", file=sys.stderr)
        code = _INTERRUPTED
    except BrokenPipeError:
        # the reader of our stdout left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:  # the last place before the user: told, never a trace
        if debugging():
            raise
        message, code = _explain(error)
        print(message, file=sys.stderr)
    return code if isinstance(code, int) else 0


_WAYS_OUT = {
    errno.EACCES: "Choose a folder of your own, mostly with --out, or ask for the right to it.",
    errno.EPERM: "Choose a folder of your own, mostly with --out, or ask for the right to it.",
    errno.EROFS: "Choose a folder that can be written to, mostly with --out.",
    errno.ENOENT: "Check the path; a folder to write to has to be one that can be made.",
    errno.ENOTDIR: "A part of the path is a file; choose another one.",
    errno.ENOSPC: "Make room, and start the same command again: finished work is kept.",
    errno.EDQUOT: "Make room, and start the same command again: finished work is kept.",
    errno.EFBIG: "Raise the limit of a file's size (ulimit -f), or choose another file system.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or use fewer processes (--jobs).",
}


def _of_system(error: OSError) -> str:
    """What the system refused, where, and what can be done."""
    if error.strerror is None:
        return str(error)
    where = "" if error.filename is None else f"{error.filename}: "
    way_out = _WAYS_OUT.get(error.errno or 0, "")
    return f"{where}{error.strerror}. {way_out}".rstrip()


def _explain(error: Exception) -> tuple[str, int]:
    """What to tell about an error, and the exit code."""
    if isinstance(error, AcsbenchError):
        return f"Error: {error}", error.exit_code
    if isinstance(error, MemoryError):
        return "Error: out of memory. Use fewer worker processes (--jobs 1).", 1
    if isinstance(error, OSError):
        return f"Error: {_of_system(error)}", 1
    return (
        f"Error inside acsbench: {type(error).__name__}: {error}\n"
        "This should not happen. The same command with --debug shows where; please report that."
    ), 1

"""Write the pages under docs/reference that come from the code: `make reference`."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

REFERENCE = Path(__file__).parent / "reference"
_INTRO = """# Commands

Made from `acsbench COMMAND --help` by `make reference`.

Results go to stdout, everything else to stderr. Exit codes: 0 fine, 1 failed, 2 bad input, usage or
findings of a check, 3 network or server, 4 quota, 130 interrupted.
"""

_PYTHON = """# Python

Made from the docstrings by `make reference`. These names, the table schemas, the config fields, the
commands and the entry-point groups are the public interface; `help(acsbench.NAME)` tells the rest.
"""


def commands() -> list[list[str]]:
    """Every command, in the order of the help."""
    from acsbench.cli import app  # noqa: PLC0415  a script

    top = [[str(c.name)] for c in app.registered_commands]
    for group in app.registered_groups:
        inner = group.typer_instance.registered_commands if group.typer_instance else []
        top += [[str(group.name), str(c.name or c.callback.__name__)] for c in inner if c.callback]
    return top


def help_of(command: list[str]) -> str:
    """What ``--help`` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "acsbench", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
    )
    lines = [line.rstrip() for line in done.stdout.strip().splitlines()]
    return "\n".join(lines).replace("python -m acsbench", "acsbench")


def commands_page() -> str:
    """Text of ``commands.md``."""
    parts = (f"## {' '.join(one)}\n\n```text\n{help_of(one)}\n```\n" for one in commands())
    return "\n".join([_INTRO, *parts])


def summary_of(thing: object) -> str:
    """First paragraph of a docstring, on one line."""
    return inspect.cleandoc(thing.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def python_page() -> str:
    """Text of ``python.md``: public names, checks for plug-ins and tasks, each in one line."""
    import acsbench as ab  # noqa: PLC0415  a script
    from acsbench import testing  # noqa: PLC0415  a script

    rows = []
    for name in ab.__all__:
        thing = getattr(ab, name)
        owner = thing if inspect.getmodule(thing) else type(thing)
        module = inspect.getmodule(owner)
        where = module.__name__ if module else ""
        rows.append(f"| `{name}` | {summary_of(owner)} | `{where}` |")
    checks = [f"| `{one}` | {summary_of(getattr(testing, one))} |" for one in testing.__all__]
    tasks = [
        f"| `{name}` | `{task.outcome}` | `{task.population}` | {task.unit} | {task.reference} |"
        for name, task in ab.TASKS.items()
    ]
    parts = [
        *(_PYTHON, "| name | what | where |", "|---|---|---|", *rows, ""),
        *(
            "## Checks for plug-ins",
            "",
            "In `acsbench.testing`; the built-in ones pass them too.",
            "",
        ),
        *("| name | what |", "|---|---|", *checks, ""),
        *("## Tasks", "", "A column of your own is the task `label_<column>`.", ""),
        *(
            "| name | outcome | population | unit | reference |",
            "|---|---|---|---|---|",
            *tasks,
            "",
        ),
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    (REFERENCE / "commands.md").write_text(commands_page(), encoding="utf-8")
    (REFERENCE / "python.md").write_text(python_page(), encoding="utf-8")

"""Every command shows an example that its own parser takes, and a shell completes names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
import typer

from acsbench import registry
from acsbench.cli import app, main
from acsbench.cli.help import EXAMPLES, names_of

COMMAND: Any = typer.main.get_command(app)


def leaves(group: Any, before: str = "") -> list[str]:
    found = []
    for name, command in group.commands.items():
        whole = f"{before} {name}".strip()
        found += leaves(command, whole) if hasattr(command, "commands") else [whole]
    return found


def test_there_is_an_example_for_each_command_and_for_nothing_else() -> None:
    assert set(EXAMPLES) == set(leaves(COMMAND))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_is_shown_and_would_be_taken(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main([*name.split(), "--help"])
    shown = capsys.readouterr().out
    for line in EXAMPLES[name].splitlines():
        assert f"  {line}\n" in shown
        assert len(line) < 79
    assert not re.search(r"<(str|int|float|Path|list)", shown), "names for people, no types"
    assert "{" not in shown.partition("\n")[0]
    group, arguments = COMMAND, shlex.split(EXAMPLES[name].replace("\\\n", " "))[1:]
    context = group.make_context("acsbench", list(arguments))
    while hasattr(group, "commands"):
        called, group, arguments = group.resolve_command(context, arguments)
        context = group.make_context(called, list(arguments), parent=context)
    assert context.command.name == name.rsplit(maxsplit=1)[-1]


def test_a_shell_completes_registered_names() -> None:
    assert names_of("models")("resnet") == [n for n in registry.names("models") if "resnet" in n]
    asked = {"_ACSBENCH_COMPLETE": "complete_bash", "COMP_WORDS": "acsbench list mod"}
    code = "import sys; sys.argv = ['acsbench']; from acsbench.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked, "COMP_CWORD": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["models"], done.stderr


def test_every_argument_and_option_has_its_words() -> None:
    mute = []
    for name in leaves(COMMAND):
        group = COMMAND
        for part in name.split():
            group = group.commands[part]
        mute += [f"{name}: {one.name}" for one in group.params if not one.help]
    assert mute == []


def test_an_interrupted_command_says_what_is_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(kind: registry.Kind) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "names", interrupt)
    with pytest.raises(SystemExit) as leaving:
        main(["list", "models"])
    assert leaving.value.code == 130
    told = capsys.readouterr()
    assert told.err.strip() == "Interrupted. Finished work is kept; start again to go on."
    assert told.out == ""


def test_a_reader_who_leaves_early_is_no_failure() -> None:
    """As `acsbench list models | head -1` in a shell with pipefail."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "acsbench", "list", "models"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_list_of_commands_loses_no_word_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main(["-h"])
    shown = capsys.readouterr().out
    assert "Prove that no patient and no waveform crosses splits." in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 60


def test_all_that_is_missing_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["train", "--task", "acs"])
    assert leaving.value.code == 2
    assert "Missing: MODEL, --cohort, --out." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["audit"])
    assert "Missing option '--cohort'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "--limit", "0"])
    assert "--limit" in capsys.readouterr().err

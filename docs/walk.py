"""Walk a page of the manual: run its blocks in order, and set what came out beside what it shows.

``python docs/walk.py docs/tutorials/first-benchmark.md`` runs the page in a temporary folder and
writes the true outputs into it. The tests walk the pages too, and fail where a page says
something else; see `differences` for what may differ.

A ``shell`` block is run by bash, a ``python`` block by Python, all in one folder. The ``text``
block that follows is what they print; a line ``...`` in it stands for any lines. A comment
``<!-- not run: why -->`` before a block leaves it, and its output, out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOLERANCE = 0.05
"""Of figures with a decimal point, absolute or as a share: processors round differently."""
_FENCE = re.compile(
    r"(?P<skip><!-- not run:[^>]*-->\n+)?^```(?P<kind>\w+)[^\n]*\n(?P<body>.*?)^```$", re.M | re.S
)
_FIGURE = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.])")


@dataclass(frozen=True)
class Block:
    """A block that is run.

    Attributes
    ----------
    command : list of str
        What runs it.
    body : str
    line : int
        Of the page, where it begins.
    shown : str or None
        The output that the page shows.
    place : tuple of int or None
        Where that stands in the page's text.
    """

    command: list[str]
    body: str
    line: int
    shown: str | None
    place: tuple[int, int] | None


def blocks(page: str) -> Iterator[Block]:
    """Every block of a page that is run, with the output that it shows."""
    found = list(_FENCE.finditer(page))
    runners = {"shell": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    for one, after in zip(found, [*found[1:], None], strict=True):
        if one["kind"] not in runners or one["skip"]:
            continue
        is_output = after is not None and after["kind"] == "text" and not after["skip"]
        shows = is_output and after is not None and not page[one.end() : after.start()].strip()
        yield Block(
            command=runners[one["kind"]],
            body=one["body"],
            line=page.count("\n", 0, one.start("kind")) + 1,
            shown=after["body"] if shows and after is not None else None,
            place=after.span("body") if shows and after is not None else None,
        )


def run(block: Block, folder: Path) -> str:
    """What a block prints, on both streams; one that fails raises."""
    bin_ = folder / ".bin"  # the commands of this environment, wherever it lies
    bin_.mkdir(exist_ok=True)
    for name, module in (("acsbench", " -m acsbench"), ("python", "")):
        (bin_ / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
        (bin_ / name).chmod(0o755)
    done = subprocess.run(
        [*block.command, block.body],
        cwd=folder,
        env={**os.environ, "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"the block of line {block.line} ended with {done.returncode}:\n"
            f"{block.body}\n{done.stdout}"
        )
    return done.stdout


def differences(shown: str, printed: str) -> list[str]:
    """Lines that a page shows and that did not come, in order.

    Words, whole numbers and their order have to be the same. Figures with a decimal point may
    differ by `TOLERANCE`, and the widths of columns with them.
    """
    rest = [_line(one) for one in printed.splitlines() if one.strip()]
    missing, skips = [], False
    for line in shown.splitlines():
        if line.strip() == "...":
            skips = True
        elif line.strip():
            reach = len(rest) if skips else 1
            hit = next((i for i, one in enumerate(rest[:reach]) if _same(_line(line), one)), None)
            if hit is None:
                came = "nothing" if not rest else " ".join(rest[0][0].split())
                missing.append(f"{line.strip()!r}; there came {came!r}")
                rest = rest[1:]
            else:
                rest = rest[hit + 1 :]
            skips = False
    if rest and not skips:
        missing.append(f"the page ends before {rest[0][0]!r}")
    return missing


def _line(text: str) -> tuple[str, list[float]]:
    words = " ".join(_FIGURE.sub("#", text).split())
    return words, [float(one) for one in _FIGURE.findall(text)]


def _same(one: tuple[str, list[float]], other: tuple[str, list[float]]) -> bool:
    return one[0] == other[0] and all(
        abs(a - b) <= TOLERANCE * max(1.0, abs(a)) for a, b in zip(one[1], other[1], strict=True)
    )


def rewritten(page: str, folder: Path) -> str:
    """The page with what its blocks print; an output with a line ``...`` stays as it is."""
    outputs = [(block, run(block, folder)) for block in blocks(page)]
    for block, printed in reversed(outputs):
        if block.place is not None and "\n...\n" not in f"\n{block.shown}":
            lines = "\n".join(line.rstrip() for line in printed.splitlines() if line.strip())
            page = f"{page[: block.place[0]]}{lines}\n{page[block.place[1] :]}"
        elif block.place is not None:
            print(f"line {block.line}, to be shortened by hand:\n{printed}")
    return page


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as temporary:
            Path(name).write_text(
                rewritten(Path(name).read_text(encoding="utf-8"), Path(temporary)), encoding="utf-8"
            )

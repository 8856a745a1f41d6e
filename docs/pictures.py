"""Make the pictures of the manual: ``python docs/pictures.py [FOLDER]``. Needs Chromium.

All of them show generated data: the run of the first tutorial, and the demo board. What FOLDER
holds of an earlier call is used again.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def acsbench(*arguments: str | Path, folder: Path) -> None:
    """Run a command in a folder."""
    command = [sys.executable, "-m", "acsbench", *map(str, arguments)]
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)


def screenshot(address: str, name: str, *, height: int) -> None:
    """Take the top of a page, light, in few colours."""
    browser = next(path for one in BROWSERS if (path := shutil.which(one)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.png"
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
        size = f"--window-size=1100,{height}"
        light = "--blink-settings=preferredColorScheme=1"
        subprocess.run(
            [browser, *options, light, size, f"--screenshot={file}", address],
            check=True,
            capture_output=True,
        )
        with Image.open(file) as picture:
            few = picture.convert("RGB").quantize(64, dither=Image.Dither.NONE)
            few.save(PICTURES / f"{name}.png", optimize=True)


def first_run(work: Path) -> None:
    """Draw the report and an ECG of the first tutorial."""
    page = (HERE / "tutorials" / "first-benchmark.md").read_text(encoding="utf-8")
    found = re.search(r"<<'END'\n(.*?)^END$", page, re.M | re.S)
    assert found is not None
    (work / "first.toml").write_text(found[1], encoding="utf-8")
    acsbench("run", "first.toml", folder=work)
    scores = work / "runs" / "first" / "predictions" / "boosting--acs--test.csv"
    first = scores.read_text(encoding="utf-8").splitlines()[1].split(",")[0]
    hospital = ("--source", "synthetic", "--path", "hospital")
    options = ("--set", "n_patients=240", "--set", "effect_mv=0.4")
    acsbench("show", first, *hospital, *options, "--out", PICTURES / "ecg.svg", folder=work)
    report = work / "runs" / "first" / "report.html"
    screenshot(report.resolve().as_uri(), "report", height=900)


def demo_board(work: Path) -> None:
    """Show the board of the demo."""
    command = [sys.executable, "-m", "acsbench", "serve", "--demo", "--port", "0"]
    with subprocess.Popen(
        command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        try:
            found = None
            for line in server.stdout:
                print(line, end="", file=sys.stderr)
                found = found or re.search(r"http://[\w.:]+", line)
                if found and "Ctrl-C" in line:
                    break
            assert found is not None
            screenshot(f"{found[0]}/tasks/acs/board/", "board", height=1280)
        finally:
            server.terminate()


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        folder.mkdir(parents=True, exist_ok=True)
        first_run(folder)
        demo_board(folder)

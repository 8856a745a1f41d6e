"""`make bench`: ratios measured side by side in one run; name some to run only those."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = ("waveforms", "models", "foundation", "evaluation", "board", "server", "board_pages")


def main(wanted: list[str]) -> None:
    """Run the benchmarks of each stage that has them."""
    unknown = sorted(set(wanted) - set(BENCHMARKS))
    if unknown:
        sys.exit(f"No benchmark is called {', '.join(unknown)}. Known: {', '.join(BENCHMARKS)}.")
    for name in wanted or BENCHMARKS:
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()


main(sys.argv[1:])

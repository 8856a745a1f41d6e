"""Price the flaws of a benchmark where the truth is known.

    python -m benchmarks.flaws [N_HOSPITALS] [PART ...]

The parts, all of them unless some are named:

- ``rules``: many hospitals are drawn, tables alone, at three sizes of the planted effect. A reader
  of known skill scores every ECG: the best possible log odds plus noise, half of it the patient's
  and half the ECG's. Each rule is then applied to each hospital, and compared with what holds over
  all of them. Then some recordings get a second id.
- ``transfer``: hospitals whose patients come back, and who of the ACS test set trained MACE.
- ``st``: ECGs with a planted ST shift, by the original's extension to 10 s and by ours. The picture
  is written to ``flaws-st.svg`` in the present folder.

Hospitals are independent, so means over them have plain intervals.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.flaws import rules, st_level, transfer

PARTS = ("rules", "transfer", "st")


def main(n_hospitals: int, parts: list[str]) -> None:
    """Print the tables of some parts."""
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        sys.exit(f"No part is called {', '.join(unknown)}. Known: {', '.join(PARTS)}.")
    with tempfile.TemporaryDirectory() as name:
        if "rules" in parts:
            rules.main(Path(name), n_hospitals)
        if "transfer" in parts:
            transfer.main(Path(name), n_hospitals)
    if "st" in parts:
        st_level.main(Path(), n_draws=max(n_hospitals // 20, 2), n_people=60, n_hearts=20)


if __name__ == "__main__":
    asked = sys.argv[1:]
    count = int(asked.pop(0)) if asked and asked[0].isdigit() else 200
    main(count, asked or list(PARTS))

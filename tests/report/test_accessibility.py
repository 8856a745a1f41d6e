"""axe-core finds nothing to mend, in light and in dark, on a wide and on a narrow page.

Needs Chromium (or Chrome), and npm to fetch axe-core. Where they are missing the test skips, and
never in CI.
"""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape
from pathlib import Path

import pytest
from synthetic_cohort import make_cohort
from synthetic_results import synthetic_results

from acsbench.recording import Recording
from acsbench.report.page import write_report
from acsbench.report.section_people import Example
from acsbench.results import Results
from browsers import BROWSERS, fetch_axe, needed

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
RUN_AXE = """
<script>{axe}</script>
<script>
addEventListener("load", async () => {{
  const found = await axe.run(document, {{ resultTypes: ["violations"] }});
  const where = (v) => v.nodes.map((node) => node.html.slice(0, 200));
  const short = found.violations.map((v) => [v.id, v.help, where(v)]);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const wide = document.documentElement.scrollWidth > innerWidth;
  const out = document.createElement("pre");
  out.id = "axe-found";
  const passes = found.passes.length;
  out.textContent = JSON.stringify({{ dark, wide, violations: short, passes }});
  document.body.append(out);
}});
</script>
"""


@pytest.fixture(scope="module")
def browser() -> str:
    return needed(BROWSERS, "Chromium")


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fetch_axe(tmp_path_factory.mktemp("axe")).replace("</script", "<\\/script")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, small: Results, recording: Recording) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    examples = [Example("Label positive", recording), Example("Label negative", recording)]
    both = Results.concat([small, synthetic_results(n_models=1, n=200, task="mace")])
    write_report(
        both, path, title="Demo", cohort=make_cohort(), examples=examples, facts={"Seed": "0"}
    )
    return path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("dark", 500), ("light", 1280)])
def test_axe_finds_no_violation(
    browser: str, axe: str, page: str, tmp_path: Path, scheme: str, width: int
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page.replace("</body>", f"{RUN_AXE.format(axe=axe)}</body>"), encoding="utf-8")
    preferred = {"dark": 0, "light": 1}[scheme]
    done = subprocess.run(
        [
            *(browser, *QUIET, f"--user-data-dir={tmp_path / 'profile'}"),
            *(f"--blink-settings=preferredColorScheme={preferred}", f"--window-size={width},900"),
            *("--virtual-time-budget=60000", "--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    found = re.search(r'<pre id="axe-found">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert found is not None, "axe did not finish"
    result = json.loads(unescape(found[1]))
    assert result["dark"] == (scheme == "dark")
    assert result["passes"] > 20
    assert not result["wide"], "the page scrolls sideways"
    assert result["violations"] == []

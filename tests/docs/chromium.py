"""Read pages in headless Chromium: switch the colour scheme, evaluate expressions, take screenshots."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")

ASKED = """
<script>
window.addEventListener("load", async () => {
  const rest = time => new Promise(done => setTimeout(done, time));
  await document.fonts.ready;
  await rest(200);
  %s;
  await rest(200);
  const answer = document.createElement("script");
  answer.id = "answer";
  answer.type = "application/json";
  answer.textContent = JSON.stringify(%s).replaceAll("<", "\\\\u003c");
  document.documentElement.append(answer);
});
</script>
"""


@dataclass(frozen=True)
class Chromium:
    """A browser; pages are files, and stay as they are."""

    program: str

    def ask(self, page: Path, question: str, *, first: str = "", width: int = 1300) -> Any:
        """The value of an expression of JavaScript on the page.

        Args:
            first: statements that run before.
        """
        seen = self._run(page, ASKED % (first, question), "--dump-dom", f"--window-size={width},1000")
        found = re.search(r'<script id="answer"[^>]*>(.*?)</script>', seen, re.DOTALL)
        assert found, f"Chromium did not answer about {page.name}"
        return json.loads(found[1])

    def picture(self, page: Path, output: Path, *, first: str = "", size: tuple[int, int], zoom: float = 1) -> Path:
        """A PNG of the page, as many pixels a point as *zoom* says."""
        output.parent.mkdir(parents=True, exist_ok=True)
        across, down = size
        flags = (f"--screenshot={output}", f"--window-size={across},{down}", f"--force-device-scale-factor={zoom}")
        self._run(page, ASKED % (first, "null"), *flags)
        return output

    def _run(self, page: Path, script: str, *flags: str) -> str:
        """Load the page with a script at its end, beside the page so that what it links to is found."""
        copy = page.with_name(f"asked-{page.name}")
        text = page.read_text("utf-8")
        copy.write_text(text.replace("</body>", f"{script}</body>") if "</body>" in text else text + script, "utf-8")
        try:
            with tempfile.TemporaryDirectory() as folder:
                command = [self.program, *FLAGS, f"--user-data-dir={folder}/u", "--virtual-time-budget=3000", *flags]
                done = subprocess.run([*command, copy.as_uri()], capture_output=True, timeout=300, check=False)
        finally:
            copy.unlink()
        assert done.returncode == 0, f"Chromium could not show {page.name}:\n{done.stderr.decode()[-2000:]}"
        return done.stdout.decode()

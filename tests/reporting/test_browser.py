"""A browser shows the pages whole."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.reporting import figures as figures
from kit.reporting.data_page import report_data

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


# Run within a page: what it shows, told to the page around it.
PROBE = """<script>addEventListener("load", () => parent.postMessage(JSON.stringify({
  width: innerWidth, wide: document.documentElement.scrollWidth, images: document.images.length,
  broken: [...document.images].filter(image => !image.complete || !image.naturalWidth).length,
  cut: [...document.querySelectorAll(".scroll")]
    .filter(place => place.scrollWidth > place.clientWidth).length,
  empty: [...document.querySelectorAll("svg")]
    .filter(svg => !svg.getBoundingClientRect().height).length,
  requests: performance.getEntriesByType("resource").map(entry => entry.name)
    .filter(name => !name.startsWith("data:")),
  ground: getComputedStyle(document.body).backgroundColor}), "*"))</script>"""


def in_browser(page: Path, width: int, folder: Path, *options: str) -> dict:
    """Load a page in headless Chromium at a width; what it shows, and what the console said."""
    folder.mkdir(exist_ok=True)
    text = page.read_text(encoding="utf-8")
    assert "</body>" in text
    (folder / "page.html").write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    (folder / "frame.html").write_text(  # a window is no narrower than 500 pixels, a frame may be
        f'<iframe src="page.html" width="{width}" height="900" style="border:0"></iframe>'
        '<script>addEventListener("message", event => { document.title = event.data; })</script>',
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--dump-dom",
            f"--user-data-dir={folder / 'profile'}",
            "--timeout=20000",
            *options,
            f"file://{folder / 'frame.html'}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1]))
    return found | {"console": re.findall(r"CONSOLE.*", done.stderr)}


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_all_of_it(page, world, tmp_path):
    report_data(world.folder, tmp_path / "data.html")
    for path in (page[0], tmp_path / "data.html"):
        for width in (1200, 400):
            seen = in_browser(path, width, tmp_path / f"{path.stem}{width}")
            assert seen["console"] == [] and seen["requests"] == [], seen
            assert seen["images"] >= 3 and seen["broken"] == 0 and seen["empty"] == 0, seen
            assert seen["width"] == width and seen["wide"] <= width, (
                seen
            )  # nothing sticks out to the side
            assert seen["ground"] == "rgb(255, 255, 255)" and (seen["cut"] == 0 or width < 1000), (
                seen
            )


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_at_night_the_page_is_dark(page, tmp_path):
    seen = in_browser(page[0], 400, tmp_path / "dark", "--blink-settings=preferredColorScheme=0")
    assert max(map(int, re.findall(r"\d+", seen["ground"]))) < 60


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_browsers_eye_sees_what_is_wrong(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        '<body><img src="http://127.0.0.1:9/x.png"><div style="width: 900px">wide</div>'
        '<script>console.error("a fault")</script></body>'
    )
    seen = in_browser(page, 400, tmp_path / "bad")
    assert (
        seen["requests"] == ["http://127.0.0.1:9/x.png"]
        and seen["broken"] == 1
        and seen["wide"] > 400
    )
    assert any("a fault" in line for line in seen["console"])

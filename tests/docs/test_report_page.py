"""The page of a report in headless Chromium: on a screen, on a phone, dark, and on paper. `make test-docs`."""

import json
import re
import shutil
import subprocess

import pytest

from ansible_env.report.data import collect
from ansible_env.report.page import html
from ansible_env.storage.store import Store
from tests.unit.report.test_report import fill

pytestmark = pytest.mark.docs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PROBE = """
<script>
const style = element => getComputedStyle(element);
document.title = JSON.stringify({
  width: innerWidth, needed: document.documentElement.scrollWidth,
  back: style(document.body).backgroundColor, ink: style(document.body).color,
  plots: [...document.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect()).map(r => [r.width, r.height]),
  columns: style(document.querySelector(".plots")).gridTemplateColumns.split(" ").length,
  dot: style(document.querySelector(".dot")).fill,
});
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    directory = tmp_path_factory.mktemp("page")
    with Store(directory / "s.sqlite") as store:
        fill(store, 40)
        (directory / "report.html").write_text(html(collect(store, "bench")))
    return directory / "report.html"


def chromium(page, *arguments):
    profile = page.parent / "profile"
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *arguments, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def probe(page, width, *arguments):
    """Return what the page looks like to itself; it forbids scripts, so the copy that is asked has no policy."""
    text = re.sub(r"<meta http-equiv=.*?>", "", page.read_text())
    copy = page.with_name(f"probe-{width}.html")
    copy.write_text(text.replace("</body>", PROBE + "</body>"))
    found = chromium(copy, f"--window-size={width},900", "--dump-dom", *arguments)
    return json.loads(re.search(r"<title>(.*?)</title>", found)[1])


def brightness(color):
    return sum(map(int, re.findall(r"\d+", color)[:3])) / 3


@pytest.mark.parametrize(("width", "columns"), [(1400, 3), (800, 2)])
def test_it_fits_the_screen(page, width, columns):
    seen = probe(page, width)
    assert seen["needed"] <= seen["width"]
    assert seen["columns"] == columns
    assert len(seen["plots"]) > 8
    assert all(w > 200 and h > 30 for w, h in seen["plots"])
    assert brightness(seen["back"]) > 200 > 100 > brightness(seen["ink"])


def test_it_fits_a_phone(page):
    # Headless Chromium has no window below 500 pixels: a frame of that width stands for the phone.
    frame = page.with_name("phone.html")
    text = re.sub(r"<meta http-equiv=.*?>", "", page.read_text()).replace("</body>", PROBE + "</body>")
    page.with_name("inner.html").write_text(text)
    frame.write_text(
        "<title>?</title><iframe src='inner.html' width='360' height='800' "
        "onload='document.title = this.contentDocument.title'></iframe>"
    )
    found = chromium(frame, "--window-size=800,900", "--allow-file-access-from-files", "--dump-dom")
    seen = json.loads(re.search(r"<title>(.*?)</title>", found)[1])
    assert seen["width"] == 360
    assert seen["needed"] <= 360
    assert seen["columns"] == 1


def test_it_is_dark_where_the_reader_is(page):
    light, dark = probe(page, 1000), probe(page, 1000, "--blink-settings=preferredColorScheme=0")
    assert brightness(dark["back"]) < 60 < 180 < brightness(dark["ink"])
    assert dark["dot"] != light["dot"]


def test_it_prints_on_paper(page):
    pdf = page.with_suffix(".pdf")
    chromium(page, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))
    assert 2 <= pages <= 12


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="apt-get install poppler-utils")
def test_paper_has_no_title_of_what_is_folded(page):
    """A reader of paper cannot open it; opened before, it is printed."""
    opened = page.with_name("opened.html")
    opened.write_text(page.read_text().replace("<details>", "<details open>"))
    found = []
    for file in (page, opened):
        pdf = file.with_suffix(".words.pdf")
        chromium(file, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
        words = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True, check=True).stdout
        assert "Hosts by kind of failure" in words
        found.append(("All trials" in words, "40 trials" in words))
    assert found == [(False, False), (True, True)]

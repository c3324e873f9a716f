"""The page in a real browser: pictures play, charts move, states show, keys and widths work.

Chromium is driven by Playwright. Screenshots are kept in pytest's temporary folder, or where
``PAGE_SCREENSHOTS`` says.
"""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page

from maskstream.stream.pixels.stamp import read_stamp
from tests.helpers.browser import browsing
from tests.helpers.web_lab import TOKEN, page_lab
from tests.system.test_live import Server

pytestmark = pytest.mark.system

WAIT_MS = 40_000


@pytest.fixture(scope="module")
def browser():
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="session")
def shots_dir(tmp_path_factory):
    named = os.environ.get("PAGE_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("page")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def opened(browser, lab, **how):
    """The page in a fresh profile; whatever it complains of fails the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    context.set_default_timeout(WAIT_MS)
    complaints = []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.extend([line.text] * (line.type == "error")))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(lab.url)
    yield page
    context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith((lab.url, "blob:"))] == []


READ_GREEN = """(tile) => {
  const picture = tile.querySelector(".picture");
  if (!(picture?.naturalWidth ?? picture?.width)) return null;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [256, 144];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  return Array.from({ length: pixels.length / 4 }, (_, i) => pixels[4 * i + 1]);
}"""


def number_on(page: Page, source_id: int) -> int | None:
    """The number of the frame that a tile shows at this moment; None where it shows none."""
    green = page.locator(f".tile[data-source='{source_id}']").evaluate(READ_GREEN)
    if green is None:
        return None
    try:
        return read_stamp(np.array(green, np.uint8).reshape(144, 256)).frame_number
    except ValueError:
        return None  # caught while it was drawn


def wait_for(condition, what):
    deadline_s = time.monotonic() + WAIT_MS / 1e3
    while not (found := condition()):
        assert time.monotonic() < deadline_s, f"never seen: {what}"
        time.sleep(0.05)
    return found


def wait_for_play(page: Page, source_id: int, count: int = 4) -> None:
    """Wait until a tile has shown ``count`` frames, each later than the one before."""
    newest = -1
    for _ in range(count):
        newest = wait_for(
            lambda: (
                (number := number_on(page, source_id)) is not None
                and number > newest  # noqa: B023 - called at once
                and number
            ),
            f"a frame of source {source_id} after {newest}",
        )


def ink_of(page: Page, chart: str) -> bytes:
    """A chart as it is drawn now."""
    return page.locator(f"#chart-{chart}").screenshot()


def text_of(page: Page, selector: str) -> str:
    return page.locator(selector).inner_text()


@pytest.fixture(scope="module")
def lab():
    with page_lab() as lab, lab.viewer.playing(), lab.publishing():
        yield lab


@pytest.mark.parametrize("view", ["MJPEG", "WebSocket"])
def test_every_tile_plays(browser, lab, view, shots_dir):
    with opened(browser, lab) as page:
        page.get_by_text(view, exact=True).click()
        for source_id in (0, 1):
            wait_for_play(page, source_id)
        tag = page.locator(".tile .picture").first.evaluate("(e) => e.tagName")
        assert tag == {"MJPEG": "IMG", "WebSocket": "CANVAS"}[view]
        assert text_of(page, "#health") == "All is well"
        shot = page.screenshot(path=shots_dir / f"{view.lower()}.png")
    # What is on the screen is the picture, not a black tile.
    assert np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))[300:500, 100:500].std() > 10


def test_pictures_stop_when_they_are_switched_off(browser, lab):
    with opened(browser, lab) as page:
        wait_for_play(page, 0, 1)
        page.get_by_text("Off", exact=True).click()
        wait_for(lambda: page.locator(".picture").count() == 0, "tiles without pictures")

        def is_still():
            given = lab.viewer.page.given
            time.sleep(0.5)
            return lab.viewer.page.given == given

        wait_for(is_still, "no picture is made any more")


def test_the_charts_move_and_say_what_they_show(browser, lab):
    with opened(browser, lab) as page:
        for chart in ("fps", "busy", "latency", "dropped"):
            before = ink_of(page, chart)
            wait_for(lambda: ink_of(page, chart) != before, f"a chart {chart} that moves")  # noqa: B023
            label = page.locator(f"#chart-{chart}").get_attribute("aria-label")
            assert re.search(r"now: \w+ [\d.,]+", label), label


def test_stages_drops_and_totals_are_shown(browser, lab):
    lab.figures.stage_states["infer"] = "restarting"
    try:
        with opened(browser, lab) as page:
            row = page.locator("tr[data-stage='infer']")
            row.get_by_text("Restarting").wait_for()
            assert "bottleneck" in row.get_attribute("class")
            assert text_of(page, "#health") == "infer is restarting"
            assert page.locator("#stages tbody tr").count() == 4
            assert "newer frame" in text_of(page, "[data-cause='stale']")
            assert text_of(page, "[data-cause='source_reset'] .number") == "3"
            assert "yolact, 416 px, openvino on cpu, bf16" in text_of(page, "#engine")
    finally:
        lab.figures.stage_states.clear()


def test_a_lost_source_shows_as_lost_with_its_last_picture_and_its_age(browser, shots_dir):
    with page_lab() as lab, lab.publishing(), opened(browser, lab) as page:
        with lab.viewer.playing():
            wait_for_play(page, 0, 2)
            wait_for_play(page, 1, 2)
        lab.figures.lost_since_s[1] = time.monotonic() - 41
        with lab.viewer.playing(source_ids=(0,)):
            tile = page.locator(".tile[data-source='1'][data-state='lost']")
            tile.wait_for()
            tile.get_by_text(re.compile(r"last picture 4\d s ago")).wait_for()
            assert text_of(page, "#health") == "Signal lost: rtsp://viewer:***@yard/stream"
            assert "Signal lost" in page.title()
            wait_for_play(page, 0)
            page.screenshot(path=shots_dir / "lost.png", full_page=True)
            page.reload()  # who comes later sees the last picture too
            wait_for(lambda: number_on(page, 1) is not None, "the last picture of a lost source")
        lab.figures.lost_since_s.clear()
        page.locator(".tile[data-source='1'][data-state='running']").wait_for()
        with lab.viewer.playing():
            wait_for_play(page, 1)


@contextmanager
def whole_run(*sources):
    """A run of real sources through a fake engine to a page; gives the page's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    asked = {"sources": sources, "output": address, "real": ["source"]}
    command = [sys.executable, "-m", "tests.helpers.line", json.dumps(asked)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield f"{address}/"
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            finally:
                process.kill()


def test_a_camera_that_dies_in_a_whole_run_is_lost_and_comes_back(browser, shots_dir):
    camera = Server()
    moving = "synthetic:numbered?size=320x240&fps=25&frames=100000&rate=realtime"
    try:
        with whole_run(camera.uri, moving) as url:
            page = browser.new_context().new_page()  # its complaints until it is there are right
            wait_for(lambda: is_there(page, url), "the run's page")
            first, second = (page.locator(f".tile[data-source='{number}']") for number in (0, 1))
            first.get_by_text("Running").wait_for(timeout=WAIT_MS)
            wait_for(lambda: first.evaluate(READ_GREEN) is not None, "the camera's picture")
            wait_for_play(page, 1)
            camera.close()
            first.get_by_text(re.compile("last picture .* ago")).wait_for(timeout=WAIT_MS)
            assert text_of(page, "#health").startswith("Signal lost")
            wait_for_play(page, 1)
            page.screenshot(path=shots_dir / "run.png", full_page=True)
            camera = Server(port=camera.port)
            first.get_by_text("Running").wait_for(timeout=WAIT_MS)
            assert second.get_attribute("data-state") == "running"
        page.get_by_text(re.compile("run has ended|No connection")).wait_for(timeout=WAIT_MS)
        page.context.close()
    finally:
        camera.close()


def is_there(page: Page, url: str) -> bool:
    try:
        page.goto(url)
    except PlaywrightError:
        return False
    return True


def test_a_second_viewer_that_never_reads_changes_nothing(browser, lab):
    with opened(browser, lab) as page:
        page.get_by_text("WebSocket", exact=True).click()
        wait_for_play(page, 0)
        stalled = [lab.connect() for _ in range(4)]
        for number, connection in enumerate(stalled):
            head = f"GET /stream/{number % 2} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            connection.sendall(head.encode())
        for source_id in (0, 1):
            wait_for_play(page, source_id, 10)
        assert text_of(page, "#health") == "All is well"
        for connection in stalled:
            connection.close()


def test_a_page_that_was_started_anew_is_found_again(browser):
    with page_lab() as lab:
        host, figures = lab.host, lab.figures
        context = browser.new_context()
        page = context.new_page()  # its complaints about the gap are right
        # As in a run, nobody publishes while the page that is to follow takes the feed over.
        with lab.publishing(), lab.viewer.playing():
            page.goto(lab.url)
            wait_for_play(page, 0)
        lab.viewer.process.kill()
        page.get_by_text("No connection; trying again").wait_for(timeout=WAIT_MS)
        with page_lab(host=host) as again, again.viewer.playing():
            again.figures = figures
            with again.publishing():
                page.get_by_text("All is well").wait_for(timeout=WAIT_MS)
                wait_for(lambda: number_on(page, 1) is not None, "a tile that plays again")
        context.close()


def test_figures_that_stop_are_noticed(browser):
    with page_lab() as lab, lab.viewer.playing(), opened(browser, lab) as page:
        lab.publish()
        page.get_by_text(re.compile("No figures for")).wait_for()


def test_the_token_is_asked_for_once(browser, shots_dir):
    with page_lab(token=TOKEN) as lab, lab.viewer.playing(), lab.publishing():
        context = browser.new_context(viewport={"width": 900, "height": 600})
        page = context.new_page()
        page.goto(lab.url)
        page.get_by_label("Token of this run").fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("not the token").wait_for(timeout=WAIT_MS)
        page.screenshot(path=shots_dir / "token.png")
        page.get_by_label("Token of this run").fill(TOKEN)
        page.get_by_role("button", name="Show the page").click()
        wait_for_play(page, 0)
        page.reload()
        wait_for_play(page, 0)
        assert TOKEN not in page.content() + page.url
        page.get_by_role("button", name="Forget the token").click()
        page.get_by_label("Token of this run").wait_for(timeout=WAIT_MS)
        context.close()


def test_keys_alone_are_enough(browser, lab):
    with opened(browser, lab) as page:
        wait_for_play(page, 0, 1)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        page.locator("canvas.picture").first.wait_for()
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert name == "front door: enlarge the picture"
        page.keyboard.press("Enter")
        assert page.locator(".tile.large").count() == 1
        page.keyboard.press("Escape")
        assert page.locator(".tile.large").count() == 0


ROLES = ("banner", "main", "contentinfo", "status", "table")


def test_a_screen_reader_finds_its_way(browser, lab):
    with opened(browser, lab) as page:
        wait_for_play(page, 0, 1)
        for role in ROLES:
            assert page.get_by_role(role).first.count() == 1, role
        for name in ("Sources", "Stages", "Frames left out", "The last minutes"):
            assert page.get_by_role("region", name=name).count() >= 1, name
        assert page.get_by_role("group", name="Pictures").count() == 1
        assert (
            page.get_by_role("img", name=re.compile("Frames a second by stage, now")).count() == 1
        )
        assert page.get_by_alt_text("Live picture of front door").count() == 1
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, a, input')].filter((e) =>"
            " !(e.getAttribute('aria-label') || e.textContent || e.labels?.length)).length"
        )
        assert nameless == 0


CONTRASTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255)
    + 0.0722 * linear(b / 255);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const isText = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!isText || !element.offsetParent || element.closest(".veil, noscript, .skip")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_day_and_by_night(browser, lab, scheme, shots_dir):
    """Contrast of at least 4.5, as WCAG 2.2 level AA asks for."""
    with opened(browser, lab, color_scheme=scheme, reduced_motion="reduce") as page:
        wait_for_play(page, 0, 1)
        page.locator("#stages tbody tr").first.wait_for()
        assert page.evaluate(CONTRASTS) == []
        page.screenshot(path=shots_dir / f"{scheme}.png", full_page=True)


def test_a_phone_shows_all_of_it_without_scrolling_sideways(browser, lab, shots_dir):
    phone = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2}
    with opened(browser, lab, **phone, has_touch=True, is_mobile=True) as page:
        wait_for_play(page, 0, 1)
        page.locator("#stages tbody tr").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.screenshot(path=shots_dir / "phone.png", full_page=True)


def test_many_sources_share_one_socket(browser, shots_dir):
    names = {number: f"camera {number}" for number in range(8)}
    sizes = dict.fromkeys(names, (320, 240))
    with (
        page_lab(names=names, sizes=sizes) as lab,
        lab.viewer.playing(10),
        lab.publishing(),
        opened(browser, lab, viewport={"width": 1400, "height": 1400}) as page,
    ):
        for source_id in names:
            wait_for_play(page, source_id, 2)
        assert page.get_by_label("MJPEG").is_disabled()
        assert page.locator("canvas.picture").count() == 8
        page.screenshot(path=shots_dir / "many.png")

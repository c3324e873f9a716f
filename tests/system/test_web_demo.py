"""The page to try engines, in a real browser, served by the command."""

import json
import os
import shutil
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import pytest
from pycocotools import mask as coco_mask

from maskstream.engines import resolve_engine
from tests.helpers.browser import browsing
from tests.system.test_page import WAIT_MS, wait_for

if os.environ.get("REQUIRE_SHARED") != "1":
    pytest.importorskip("gradio", reason="gradio: not installed; the page is made with it.")
pytestmark = pytest.mark.system

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
FAKE_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def browser():
    """A browser with a camera that shows a test picture."""
    with browsing("--no-proxy-server", *FAKE_CAMERA) as browser:
        yield browser


@pytest.fixture(scope="module")
def material(clips_dir, tmp_path_factory):
    """A real picture and a real clip, and files that are neither."""
    folder = tmp_path_factory.mktemp("material")
    capture = cv2.VideoCapture(str(clips_dir / "vtest.avi"))
    _, frame = capture.read()
    capture.release()
    cv2.imwrite(str(folder / "street.jpg"), frame)
    shutil.copy(clips_dir / "vtest.avi", folder / "street.avi")
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "broken.mp4").write_bytes(b"no clip")
    (folder / "large.jpg").write_bytes(bytes(11_000_000))
    return folder


@pytest.fixture(scope="module")
def other_engine(tmp_path_factory):
    """The shipped engine under another name, which is enough to choose it."""
    return shutil.copy(resolve_engine("person"), tmp_path_factory.mktemp("engine") / "other.onnx")


@pytest.fixture(scope="module")
def outside():
    """Where every request to another machine would go: a proxy that only counts them."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patch.setenv(name, proxy)
            patch.setenv(name.upper(), proxy)
        patch.delenv("no_proxy", raising=False)
        patch.delenv("NO_PROXY", raising=False)
        yield server


@pytest.fixture(scope="module")
def url(maskstream, material, outside, other_engine):
    process = maskstream.start(
        "web-demo", "--engine", "person", "--engine", other_engine, "--listen", "127.0.0.1:0",
        "--frames-max", "5", "--upload-max-mb", "10",
    )  # fmt: skip
    try:
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=40)
        assert (process.returncode, stderr) == (0, "")
        outside.settimeout(0)
        with pytest.raises(BlockingIOError):  # nobody ever came
            outside.accept()
    finally:
        process.kill()


@pytest.fixture
def page(browser, url):
    """The page in a fresh profile; it must ask nobody else for anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    page.get_by_role("tab", name="Picture").wait_for()
    yield page
    context.close()
    assert [each for each in asked if not each.startswith((url, "blob:", "data:"))] == []


def drop(page, path, where="#picture"):
    page.locator(f"{where} input[type=file]").set_input_files(path)


def table(page):
    """The rows of the table that is shown."""
    rows = [row.get_by_role("gridcell").all_inner_texts() for row in page.get_by_role("row").all()]
    return [row for row in rows if row and row[0].strip()]


def test_a_real_picture_gets_masks_a_table_and_a_document(page, material):
    drop(page, material / "street.jpg")
    page.locator("#picture-masked img").wait_for()
    rows = wait_for(lambda: table(page), "a table of instances")
    assert {row[0] for row in rows} == {"person"}
    with page.expect_download() as download:
        page.get_by_role("button", name="Download COCO JSON").first.click()
    assert download.value.suggested_filename == "street.coco.json"
    document = json.loads(Path(download.value.path()).read_text())
    assert document["images"][0] == {
        "id": 1, "file_name": "street.jpg", "width": 768, "height": 576
    }  # fmt: skip
    assert len(document["annotations"]) > 2
    for entry in document["annotations"]:
        assert coco_mask.decode(entry["segmentation"]).shape == (576, 768)


def test_a_higher_score_shows_less(page, material):
    drop(page, material / "street.jpg")
    many = len(wait_for(lambda: table(page), "a table of instances"))
    score = page.get_by_label("number input for Score at least")
    score.fill("0.95")
    score.press("Enter")
    wait_for(lambda: len(table(page)) < many, "fewer instances")
    assert all(float(row[1]) >= 0.95 for row in table(page))


def test_another_engine_and_a_class_are_chosen(page, material, other_engine):
    drop(page, material / "street.jpg")
    before = wait_for(lambda: table(page), "a table of instances")
    page.get_by_label("Engine").click()
    page.get_by_role("option", name=str(other_engine)).click()
    wait_for(lambda: page.get_by_role("option").count() == 0, "the list of engines gone")
    page.get_by_label("Classes").click()
    page.get_by_role("option", name="person").click()
    page.locator("#picture").get_by_label("Remove Image").click()
    wait_for(lambda: not table(page), "an empty table")
    drop(page, material / "street.jpg")
    assert wait_for(lambda: table(page), "a table of instances") == before


def test_what_is_no_picture_is_told_and_the_next_one_is_done(page, material):
    drop(page, material / "broken.jpg")
    page.get_by_text("broken.jpg: cannot be read as a picture.").first.wait_for()
    page.locator("#picture").get_by_label("Remove Image").click()
    drop(page, material / "street.jpg")
    wait_for(lambda: table(page), "a table of instances")


def test_a_file_that_is_too_large_is_refused(page, material):
    drop(page, material / "large.jpg")
    page.get_by_text("exceed the maximum allowed size").first.wait_for()


def test_a_broken_clip_is_told_and_a_real_one_masked(page, material):
    page.get_by_role("tab", name="Clip").click()
    start = page.get_by_role("button", name="Mask the clip")
    drop(page, material / "broken.mp4", "#clip")
    page.locator("#clip video").wait_for(state="attached")
    start.click()
    told = page.get_by_text("broken.mp4: ").first
    told.wait_for()
    assert "/" not in told.inner_text()
    page.locator("#clip").get_by_label("Clear").click()
    drop(page, material / "street.avi", "#clip")
    page.locator("#clip video").wait_for(state="attached")
    start.click()
    rows = wait_for(lambda: table(page), "a table of classes")
    assert rows[0][:2] == ["person", "5"]
    masked = page.locator("#clip-masked video")
    wait_for(lambda: masked.evaluate("v => v.videoWidth") == 768, "a masked clip that plays")


def test_the_camera_is_masked(page):
    page.get_by_role("tab", name="Camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.locator("#camera").get_by_role("button", name="capture photo").click()
    masked = page.locator("#camera-masked img")
    masked.wait_for()
    first = masked.get_attribute("src")
    wait_for(lambda: masked.get_attribute("src") != first, "another frame")


def test_two_users_at_once_are_both_served(browser, url, material):
    contexts = [browser.new_context() for _ in range(2)]
    pages = []
    for context in contexts:
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.goto(url)
        page.get_by_role("tab", name="Picture").wait_for()
        pages.append(page)
    for page in pages:
        drop(page, material / "street.jpg")
    found = [wait_for(lambda p=page: table(p), "a table of instances") for page in pages]
    assert found[0] == found[1]
    for context in contexts:
        context.close()


def test_no_other_file_of_the_machine_is_given_away(url):
    for path in ("/etc/passwd", "/proc/self/environ"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            DIRECT.open(f"{url}/gradio_api/file={path}", timeout=20)
        caught.value.close()
        assert caught.value.code in (403, 404)

"""The window, seen and driven on a screen that nobody sees."""

import signal
import time

import cv2
import numpy as np
import pytest

from maskstream.errors import ConfigError
from maskstream.stream.pixels.colors import Rgb, YuvSpace
from maskstream.stream.processes.control import Done, Drain, Note
from maskstream.stream.viewers.window import window
from maskstream.stream.viewers.window.display import screen_size
from maskstream.stream.viewers.window.tiles import BACKGROUND
from maskstream.stream.viewers.window.window import WindowSettings, check_display
from tests.helpers.views_feed import viewing
from tests.helpers.x_screen import HEIGHT, WIDTH, number_seen, x_screen

pytestmark = pytest.mark.system  # real windows


@pytest.fixture(scope="module")
def screen():
    with x_screen() as screen:
        yield screen


@pytest.fixture
def show(screen, monkeypatch, tmp_path):
    """Starts the window with sources of sizes."""
    monkeypatch.setenv("DISPLAY", screen.name)

    def start(*sizes, names=None, display_fps=False, folder=tmp_path):
        names = names or ["street.mp4", "rtsp://viewer:***@camera/stream", "yard.mkv"]
        settings = WindowSettings(
            names=dict(enumerate(names)), display_fps=display_fps, folder=folder
        )
        return viewing(window.run, settings, dict(enumerate(sizes)))

    return start


def told(viewer) -> list[str]:
    return [message.text for message in viewer.said() if isinstance(message, Note)]


def asked_for_the_end(viewer) -> bool:
    return any(isinstance(message, Drain) for message in viewer.said())


def test_a_frame_is_seen_as_it_was_delivered_and_q_ends_the_run(screen, show, nothing_left):
    with show((640, 360)) as viewer:
        viewer.wait_until_ready()
        viewer.show(0)
        number = viewer.show(0)
        seen = screen.window("street.mp4 - maskstream")
        screen.wait_for(lambda: number_seen(screen.picture(seen)) == number, "the second frame")
        assert screen.picture(seen).shape == (360, 640, 3)
        assert viewer.page.given >= 1
        assert not asked_for_the_end(viewer)
        screen.press(seen, "q")
        viewer.wait_for(lambda: asked_for_the_end(viewer), "ask for the end")
        screen.wait_for(lambda: screen.titles() == [], "that the window is closed")
        viewer.show(0)  # what is left in the line is let go by
        viewer.end()
        assert isinstance(viewer.words()[-1], Done)


def test_escape_ends_the_run(screen, show):
    with show((320, 240)) as viewer:
        seen = screen.window("street.mp4 - maskstream")
        screen.press(seen, "Escape")
        viewer.wait_for(lambda: asked_for_the_end(viewer), "ask for the end")


def test_closing_the_window_ends_the_run(screen, show):
    with show((320, 240)) as viewer:
        screen.close_window(screen.window("street.mp4 - maskstream"))
        viewer.wait_for(lambda: asked_for_the_end(viewer), "ask for the end")
        viewer.end()
        assert isinstance(viewer.words()[-1], Done)


def test_the_window_closes_with_the_last_source(screen, show):
    with show((320, 240)) as viewer:
        screen.window("street.mp4 - maskstream")
        viewer.end()
        assert isinstance(viewer.words()[-1], Done)
        assert not asked_for_the_end(viewer)
    assert screen.titles() == []


@pytest.mark.parametrize("color_range", [0, 1])
@pytest.mark.parametrize("color_matrix", [1, 6])
def test_colours_are_those_of_the_frame_s_range_and_matrix(color_range, color_matrix, screen, show):
    wanted = [Rgb(220, 30, 40), Rgb(20, 160, 60), Rgb(40, 60, 210), Rgb(128, 128, 128)]
    space = YuvSpace(color_range, color_matrix)

    def paint(planes):
        for column, rgb in enumerate(wanted):
            for plane, value in zip(planes, space.from_rgb(rgb), strict=True):
                width = plane.shape[1] // 4
                plane[:, column * width : (column + 1) * width] = value

    def is_right():
        # Anew: after 3 s without another, a frame gets a caption.
        viewer.show(0, paint=paint, color_range=color_range, color_matrix=color_matrix)
        picture = screen.picture(seen)
        middles = picture[120, 40::80].astype(int)[:, ::-1]
        return np.abs(middles - np.array(wanted)).max() <= 3

    with show((320, 240)) as viewer:
        seen = screen.window("street.mp4 - maskstream")
        screen.wait_for(is_right, f"the colours {wanted}")


def test_space_stops_the_pictures_and_the_run_goes_on(screen, show):
    with show((640, 360)) as viewer:
        viewer.wait_until_ready()
        seen = screen.window("street.mp4 - maskstream")
        with viewer.playing(fps=25):
            screen.wait_for(lambda: number_seen(screen.picture(seen)), "frames")
            screen.press(seen, "space")
            # The caption covers no part of the stamp; two pictures in a row tell that it holds.
            screen.wait_for(lambda: is_still(screen, seen), "that the picture holds")
            held, taken = screen.picture(seen), viewer.page.taken
            viewer.wait_for(lambda: viewer.page.taken > taken + 20, "take what comes")
            assert (screen.picture(seen) == held).all()
            screen.press(seen, "space")
            number = number_seen(held) or 0
            screen.wait_for(
                lambda: (number_seen(screen.picture(seen)) or 0) > number + 20, "newer frames"
            )


def is_still(screen, seen) -> bool:
    before = screen.picture(seen)
    time.sleep(0.4)
    return bool((screen.picture(seen) == before).all())


def test_s_saves_each_source_s_picture_in_full_and_writes_over_none(screen, show, tmp_path):
    with show((1920, 1080), (320, 240)) as viewer:
        number = viewer.show(0)
        viewer.show(1)
        viewer.wait_for(lambda: viewer.page.given == 2, "show both")
        seen = screen.window("2 sources - maskstream")
        screen.press(seen, "s")
        viewer.wait_for(lambda: len(told(viewer)) == 2, "tell of two pictures")
        screen.press(seen, "s")
        viewer.wait_for(lambda: len(told(viewer)) == 4, "tell of two more")
        names = ["street-000000", "rtsp-viewer-camera-stream-000000"]
        assert told(viewer) == [
            f"saved {tmp_path / name}{again}.png" for again in ("", "-2") for name in names
        ]
    saved = np.asarray(cv2.imread(str(tmp_path / "street-000000.png")))
    assert saved.shape == (1080, 1920, 3)
    assert number_seen(saved) == number
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "street-000000-2.png")), saved)


def test_a_picture_that_cannot_be_saved_is_told_and_the_window_stays(screen, show, tmp_path):
    with show((320, 240), folder=tmp_path / "nowhere") as viewer:
        viewer.show(0)
        viewer.wait_for(lambda: viewer.page.given == 1, "show it")
        seen = screen.window("street.mp4 - maskstream")
        screen.press(seen, "s")
        viewer.wait_for(lambda: told(viewer), "say so")
        assert "street-000000.png: the picture cannot be written (No such file" in told(viewer)[0]
        viewer.show(0)
        viewer.wait_for(lambda: viewer.page.given == 2, "show another")


def test_a_frame_larger_than_the_screen_is_scaled_and_the_window_may_be_resized(screen, show):
    with show((1920, 1080)) as viewer:
        seen = screen.window("street.mp4 - maskstream")

        def is_seen():
            viewer.show(0)  # anew: after 3 s without another, a frame gets a caption
            return number_seen(screen.picture(seen)) is not None

        screen.wait_for(is_seen, "a frame")
        assert screen.picture(seen).shape == (648, 1152, 3)  # nine tenths of 1280, same aspect
        screen.resize(seen, 800, 700)

        def is_fitted():
            viewer.show(0)
            picture = screen.picture(seen)  # 450 lines of picture and 125 of grey on either side
            if picture.shape != (700, 800, 3) or (picture[[3, 120, 580, 696]] != BACKGROUND).any():
                return False
            return number_seen(picture[125:575]) is not None

        screen.wait_for(is_fitted, "the frame between bars")


def test_several_sources_share_one_window_and_each_says_how_it_is(screen, show, tmp_path):
    with show((640, 360), (320, 240), (640, 360), display_fps=True) as viewer:
        seen = screen.window("3 sources - maskstream")
        # Two columns of 640 and two rows of 360 in nine tenths of the screen's 1280 columns.
        assert screen.picture(seen).shape == (648, 1152, 3)

        def tiles():
            picture = screen.picture(seen)
            return picture[:324, :576], picture[:324, 576:], picture[324:, :576]

        with viewer.playing(fps=20, source_ids=(0, 1)):
            screen.wait_for(
                lambda: all(number_seen(without_bars(tile)) for tile in tiles()[:2]), "both"
            )
        viewer.end(1)
        # The first comes no more, the second has ended, the third never came.
        screen.wait_for(lambda: all(map(has_caption, tiles())), "what is said of each")
        assert (tiles()[2][:280] == BACKGROUND).all()
        cv2.imwrite(str(tmp_path / "three.png"), screen.picture(seen))


def without_bars(tile):
    """The part of a tile that is no background on either side."""
    columns = np.flatnonzero((tile[80:240] != BACKGROUND).any(axis=(0, 2)))
    return tile[:, columns[0] : columns[-1] + 1] if columns.size else tile


def has_caption(tile) -> bool:
    """Whether there is white ink in the lower left corner."""
    return bool((tile[-18:, :120].min(axis=2) > 240).any())


@pytest.fixture
def no_wayland(monkeypatch):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def test_without_a_display_there_is_an_error_and_no_abort(monkeypatch, no_wayland):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(ConfigError, match=r"^display: none, DISPLAY is not set; only a window"):
        check_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(ConfigError, match=r"^display: Wayland alone \(wayland-0\), DISPLAY is not"):
        check_display()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (":4711", "display: no server at :4711 lets us in; only a window needs one"),
        ("nonsense", "display: DISPLAY is 'nonsense', which names none; it is like :0."),
    ],
)
def test_a_display_that_cannot_be_reached_is_an_error(name, text, monkeypatch):
    monkeypatch.setenv("DISPLAY", name)
    with pytest.raises(ConfigError, match=f"^{text}"):
        check_display()


def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    with x_screen() as screen:
        monkeypatch.setenv("DISPLAY", screen.name)
        assert screen_size() == (WIDTH, HEIGHT)
        screen.signal(signal.SIGSTOP)
        with pytest.raises(ConfigError, match=rf"^display: {screen.name} says nothing for 0.5 s"):
            screen_size(timeout_s=0.5)


def test_a_display_that_goes_away_ends_the_window_and_asks_for_no_end(monkeypatch, tmp_path):
    with x_screen() as screen:
        monkeypatch.setenv("DISPLAY", screen.name)
        settings = WindowSettings(names={0: "a"}, display_fps=False, folder=tmp_path)
        with viewing(window.run, settings, {0: (320, 240)}) as viewer:
            viewer.show(0)
            viewer.wait_for(lambda: viewer.page.given == 1, "show it")
            screen.signal(signal.SIGKILL)
            viewer.process.join(40)
            assert viewer.process.exitcode not in (None, 0)
            assert not asked_for_the_end(viewer)

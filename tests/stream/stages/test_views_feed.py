from maskstream.stream.pixels.stamp import read_stamp
from maskstream.stream.processes.control import Done, Note, Ready
from maskstream.stream.stages.stage import Stage
from maskstream.stream.stages.viewer import watch
from tests.helpers.views_feed import viewing


def notes_numbers(stage: Stage, _) -> None:
    stage.ready()
    for newest in watch(stage, timeout_s=0.1):
        for source_id, slot in newest.items():
            number = read_stamp(slot.planes.y).frame_number
            assert number == slot.header.sequence
            stage.page.count_given()
            stage.tell(f"{source_id}:{number}")


def test_a_viewer_gets_numbered_frames_and_the_end(nothing_left):
    with viewing(notes_numbers, None, {0: (320, 240), 2: (160, 120)}) as viewer:
        viewer.wait_until_ready()
        assert [viewer.show(0), viewer.show(2)] == [0, 0]
        viewer.wait_for(lambda: viewer.page.given == 2, "show two frames")
        assert viewer.show(2) == 1
        viewer.wait_for(lambda: viewer.page.given == 3, "show the third frame")
        with viewer.playing(fps=50, source_ids=(0,)):
            viewer.wait_for(lambda: viewer.page.given > 10, "show what is played")
        viewer.end()
        words = viewer.words()
    assert isinstance(words[0], Ready)
    assert isinstance(words[-1], Done)
    assert {"0:0", "2:0", "2:1", "0:1"} <= {word.text for word in words if isinstance(word, Note)}

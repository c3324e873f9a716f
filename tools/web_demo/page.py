"""The page to try engines: a tab for pictures, one for clips and one for the browser's camera."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import gradio as gr
import numpy as np
from gradio.data_classes import FileData
from numpy.typing import NDArray

from maskstream.errors import MaskstreamError
from maskstream.tools.web_demo.work import (
    HEADS,
    KEPT_S,
    Choice,
    Engines,
    look_at,
    look_at_clip,
    new_folder,
    read_picture,
)

CLIP_HEADS = ("class", "frames", "instances", "highest score")
WAITING_MAX = 16
"""Requests that may wait; who comes later is told to try again."""
CAMERA_PERIOD_S = 0.3
_PROGRESS = gr.Progress()
"""Gradio puts the one of the request in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """What the page offers.

    Attributes:
        engine_names: To choose from; the first is chosen.
        frames_max: Of a clip.
        folder: For uploads and results; the caller deletes it.
    """

    engine_names: tuple[str, ...]
    frames_max: int
    folder: Path


class Upload:
    """A file as its owner called it, and where it lies."""

    def __init__(self, payload: FileData) -> None:
        self.path = Path(payload.path)
        self.name = Path(payload.orig_name or payload.path).name


Drop = TypeVar("Drop", gr.Image, gr.Video)


def as_uploaded(drop: Drop) -> Drop:
    """Return a component that gives its file as it was uploaded, as an `Upload`.

    Gradio would open pictures itself, whose errors name our folders, and make clips over by FFmpeg.
    A class of our own would do too, but Gradio writes a file beside the source of each such class.
    """

    def preprocess(payload: FileData | None) -> Upload | None:
        return None if payload is None else Upload(payload)

    drop.preprocess = preprocess  # type: ignore[method-assign, assignment]
    return drop


class Answers:
    """What the page's parts do when something is dropped, chosen or asked for."""

    def __init__(self, options: PageOptions, engines: Engines) -> None:
        self._options = options
        self._engines = engines

    def choose_engine(self, name: str) -> Any:
        """Return the classes of another engine to choose from."""
        with _told():
            return gr.Dropdown(choices=list(self._engines.class_names(name)), value=[])

    def picture(
        self, upload: Upload | None, engine: str, score: float, classes: Sequence[str]
    ) -> tuple[Any, ...]:
        """Return the masked picture, the table and the document of a picture."""
        if upload is None:
            return None, [], gr.DownloadButton(interactive=False)
        with _told():
            choice = Choice(engine, score, tuple(classes))
            bgr = read_picture(upload.path, upload.name)
            seen = look_at(bgr, upload.name, self._engines, choice)
        return seen.drawn, seen.rows, self._document(upload.name, seen.document)

    def clip(
        self,
        upload: Upload | None,
        engine: str,
        score: float,
        classes: Sequence[str],
        progress: gr.Progress = _PROGRESS,
    ) -> tuple[Any, ...]:
        """Return the masked clip, the table and the document of a clip."""
        if upload is None:
            return None, [], gr.DownloadButton(interactive=False)
        with _told():
            seen = look_at_clip(
                upload.path,
                upload.name,
                Choice(engine, score, tuple(classes)),
                backend=self._engines.backend,
                frames_max=self._options.frames_max,
                folder=self._options.folder,
                on_progress=lambda share: progress(min(share, 1.0), desc="masking"),
            )
        return str(seen.path), seen.rows, self._document(upload.name, seen.document)

    def camera(
        self, rgb: NDArray[np.uint8] | None, engine: str, score: float, classes: Sequence[str]
    ) -> NDArray[np.uint8] | None:
        """Return a frame of the browser's camera with its masks."""
        if rgb is None:
            return None
        bgr = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
        with _told():
            choice = Choice(engine, score, tuple(classes))
            return look_at(bgr, "camera", self._engines, choice).drawn

    def _document(self, name: str, document: dict[str, Any]) -> Any:
        path = new_folder(self._options.folder) / f"{Path(name).stem}.coco.json"
        path.write_text(json.dumps(document) + "\n", encoding="utf-8")
        return gr.DownloadButton(value=str(path), interactive=True)


class _told:  # noqa: N801 - used like a function
    """Shows the one line of our errors on the page."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, MaskstreamError):
            raise gr.Error(str(error), print_exception=False) from error


def build_page(options: PageOptions, engines: Engines) -> gr.Blocks:
    """Return the page; it is not served yet."""
    answers = Answers(options, engines)
    first = options.engine_names[0]
    with gr.Blocks(
        title="maskstream", analytics_enabled=False, delete_cache=(KEPT_S, KEPT_S)
    ) as page:
        gr.Markdown("# maskstream")
        with gr.Row():
            engine = gr.Dropdown(list(options.engine_names), value=first, label="Engine")
            score = gr.Slider(0.05, 0.95, value=0.3, step=0.05, label="Score at least")
            classes = gr.Dropdown(
                list(engines.class_names(first)),
                multiselect=True,
                label="Classes (all if none is chosen)",
            )
        chosen = [engine, score, classes]
        with gr.Tab("Picture"):
            _picture_tab(answers, chosen)
        with gr.Tab("Clip"):
            _clip_tab(answers, chosen, options.frames_max)
        with gr.Tab("Camera"):
            _camera_tab(answers, chosen)
        engine.change(answers.choose_engine, engine, classes, show_progress="hidden")
    page.queue(max_size=WAITING_MAX, default_concurrency_limit=1)
    return page  # type: ignore[no-any-return]


def _picture_tab(answers: Answers, chosen: list[Any]) -> None:
    with gr.Row():
        dropped = as_uploaded(
            gr.Image(
                label="Picture", sources=["upload", "clipboard"], buttons=[], elem_id="picture"
            )
        )
        masked = gr.Image(
            label="Masked",
            interactive=False,
            format="png",
            buttons=["download", "fullscreen"],
            elem_id="picture-masked",
        )
    table = gr.Dataframe(headers=list(HEADS), label="Instances", interactive=False)
    document = gr.DownloadButton("Download COCO JSON", interactive=False)
    for part in (dropped, *chosen[1:]):
        part.change(answers.picture, [dropped, *chosen], [masked, table, document])


def _clip_tab(answers: Answers, chosen: list[Any], frames_max: int) -> None:
    with gr.Row():
        dropped = as_uploaded(
            gr.Video(
                label=f"Clip (the first {frames_max} frames are taken)",
                sources=["upload"],
                buttons=[],
                elem_id="clip",
            )
        )
        masked = gr.Video(
            label="Masked", interactive=False, buttons=["download"], elem_id="clip-masked"
        )
    start = gr.Button("Mask the clip", variant="primary")
    table = gr.Dataframe(headers=list(CLIP_HEADS), label="Classes", interactive=False)
    document = gr.DownloadButton("Download COCO JSON", interactive=False)
    start.click(answers.clip, [dropped, *chosen], [masked, table, document])


def _camera_tab(answers: Answers, chosen: list[Any]) -> None:
    with gr.Row():
        camera = gr.Image(
            label="Camera", sources=["webcam"], streaming=True, buttons=[], elem_id="camera"
        )
        masked = gr.Image(
            label="Masked", interactive=False, format="jpeg", buttons=[], elem_id="camera-masked"
        )
    camera.stream(
        answers.camera,
        [camera, *chosen],
        masked,
        stream_every=CAMERA_PERIOD_S,
        show_progress="hidden",
    )

"""`maskstream devices`: the cameras of this machine and what they can do."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from maskstream.stream.sources.v4l2 import Camera

PathsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="DEVICE", help="Devices to look at; all of them if left out."),
]


def devices(paths: PathsArgument = None) -> None:
    """List the cameras with their formats, sizes and rates."""
    # Loaded when it runs, so that the help is shown at once.
    from maskstream.stream.sources.camera import lasting_name
    from maskstream.stream.sources.media import cause_of
    from maskstream.stream.sources.v4l2 import ask_camera, device_paths

    cameras = []
    for path in paths or device_paths():
        name = lasting_name(path)
        try:
            camera = ask_camera(path, None if name == path else name)
        except OSError as exc:
            print(f"{path}: cannot be asked: {cause_of(exc).lower()}.", file=sys.stderr)
            continue
        if camera is not None:
            cameras.append(camera)
    for camera in cameras:
        _print(camera)
    if not cameras:
        print("no camera found; one that is plugged in shows up as /dev/video0 or the like")


def _print(camera: "Camera") -> None:
    print(f"{camera.path}  {camera.name} ({camera.bus})")
    if camera.lasting_path is not None:
        print(f"  always {camera.lasting_path}")
    for mode in camera.modes:
        rates = ", ".join(f"{rate:g}" for rate in mode.rates_hz)
        size = f"{mode.width}x{mode.height}"
        print(f"  {mode.format:<5} {size:<10} {f'{rates} frames/s' if rates else ''}".rstrip())

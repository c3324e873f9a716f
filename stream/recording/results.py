"""What was seen, as newline-delimited JSON: one object a frame, readable while it is written."""

import json
from collections.abc import Sequence
from typing import Any

from maskstream.engines.interface.instances import Instances, Origin, to_rle


def frame_record(
    instances: Instances,
    *,
    source: int,
    seq: int,
    pts_s: float,
    class_names: Sequence[str],
    width: int,
    height: int,
) -> dict[str, Any]:
    """Return one frame's instances as plain values.

    Args:
        instances: In pixels of the frame as delivered.
        source: 0-based place of the source among the command's.
        seq: 0-based number of the frame within its source.
        pts_s: Presentation time on the source's own clock.
        class_names: By class id.
        width: Of the frame as delivered, in pixels.
        height: Of the frame as delivered, in pixels.

    Returns:
        ``{"source", "seq", "pts_s", "instances": [...]}``; each instance has the box as
        [left, top, width, height], the mask as COCO's compressed run-length code, and with
        tracking its track's number, whether the network saw it in this frame or its track goes on
        without (``origin``), and for how many frames (``age_frames``).
    """
    rows = instance_records(instances, class_names, width=width, height=height)
    return {"source": source, "seq": seq, "pts_s": round(pts_s, 6), "instances": rows}


def instance_records(
    instances: Instances, class_names: Sequence[str], *, width: int, height: int
) -> list[dict[str, Any]]:
    """Return the instances of one picture as plain values; arguments as of `frame_record`."""
    return [
        _instance(instances, index, class_names, width=width, height=height)
        for index in range(len(instances))
    ]


def as_json(record: dict[str, Any]) -> str:
    """Return plain values as a line of JSON, without its newline."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _instance(
    instances: Instances, index: int, class_names: Sequence[str], *, width: int, height: int
) -> dict[str, Any]:
    """Return one instance's object."""
    class_id = int(instances.class_ids[index])
    left, top, right, bottom = (float(edge) for edge in instances.boxes_xyxy_src[index])
    track_ids, origins, ages = instances.track_ids, instances.origins, instances.ages
    return {
        "class_id": class_id,
        "class": class_names[class_id],
        "score": round(float(instances.scores[index]), 4),
        "box": [round(value, 2) for value in (left, top, right - left, bottom - top)],
        "segmentation": to_rle(instances, index, height, width),
        "track_id": None if track_ids is None else int(track_ids[index]),
        "origin": Origin(0 if origins is None else int(origins[index])).name.lower(),
        "age_frames": 0 if ages is None else int(ages[index]),
    }

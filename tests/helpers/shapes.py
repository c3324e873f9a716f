"""Small labelled pictures of coloured shapes, drawn anew for each test."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

CATEGORIES = [
    {"id": 3, "name": "circle"},
    {"id": 7, "name": "square"},
    {"id": 9, "name": "star"},
]


def write_shapes(folder: Path, count: int, *, side: int = 96, seed: int = 0) -> Path:
    """Write ``count`` pictures with one to three circles and squares; return the COCO JSON."""
    random = np.random.default_rng(seed)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id in range(1, count + 1):
        picture = random.integers(90, 140, (side, side, 3)).astype(np.uint8)
        for _ in range(int(random.integers(1, 4))):
            category = int(random.integers(0, 2))
            radius = int(random.integers(side // 8, side // 4))
            x, y = (int(v) for v in random.integers(radius, side - radius, 2))
            mask = np.zeros((side, side), np.uint8)
            if category == 0:
                cv2.circle(mask, (x, y), radius, 1, -1)
            else:
                cv2.rectangle(mask, (x - radius, y - radius), (x + radius, y + radius), 1, -1)
            if any(
                _overlaps(mask, other) for other in annotations if other["image_id"] == image_id
            ):
                continue
            picture[mask > 0] = (30, 30, 230) if category == 0 else (230, 200, 20)
            rle = coco_mask.encode(np.asfortranarray(mask))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CATEGORIES[category]["id"],
                    "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
                    "bbox": coco_mask.toBbox(rle).tolist(),
                    "area": float(mask.sum()),
                    "iscrowd": 0,
                }
            )
        name = f"{image_id:04d}.png"
        cv2.imwrite(str(folder / name), picture)
        images.append({"id": image_id, "file_name": name, "width": side, "height": side})
    path = folder / "shapes.json"
    path.write_text(
        json.dumps(
            {"info": {}, "images": images, "annotations": annotations, "categories": CATEGORIES}
        )
    )
    return path


def _overlaps(mask, annotation) -> bool:
    return bool((coco_mask.decode(annotation["segmentation"]) & mask).any())

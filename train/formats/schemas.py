"""What the JSON of labelling tools has to look like, as far as we read it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Side = Annotated[int, Field(gt=0, le=100_000)]
Number = FiniteFloat


class _Strict(BaseModel):
    """Values are of the types that they are said to be; what is not read may be anything."""

    model_config = ConfigDict(strict=True)


class CocoImage(_Strict):
    """A picture of COCO's."""

    id: int
    file_name: str
    width: Side
    height: Side


class CocoCategory(_Strict):
    """A class of COCO's."""

    id: int
    name: str


class CocoAnnotation(_Strict):
    """An object of COCO's; its mask is checked by itself."""

    id: int | str | None = None
    image_id: int
    category_id: int
    bbox: Annotated[list[Number], Field(min_length=4, max_length=4)]
    area: Number | None = None
    iscrowd: int | bool | None = 0


class CocoDocument(_Strict):
    """A COCO JSON."""

    images: list[CocoImage]
    categories: list[CocoCategory]
    annotations: list[CocoAnnotation]


class ViaRegion(_Strict):
    """A region of VGG Image Annotator's."""

    shape_attributes: dict[str, Any]
    region_attributes: dict[str, Any]


class ViaPicture(_Strict):
    """A picture of VGG Image Annotator's; VIA 1 numbers the regions, VIA 2 lists them."""

    filename: str
    regions: dict[str, ViaRegion] | list[ViaRegion]


class Via3File(_Strict):
    """A picture of VIA 3's."""

    fname: str


class Via3View(_Strict):
    """What VIA 3 shows at a time: a picture, or several."""

    fid_list: list[int | str]


class Via3Attribute(_Strict):
    """What VIA 3 asks of a region; options by their numbers where there is a choice."""

    aname: str
    options: dict[str, str] | None = None


class Via3Metadata(_Strict):
    """A region of VIA 3's: the kind of its shape and coordinates, and its attributes."""

    vid: int | str
    z: list[Number]
    xy: list[Number]
    av: dict[str, Any]


class Via3Project(_Strict):
    """A project of VIA 3's."""

    file: dict[str, Via3File]
    view: dict[str, Via3View]
    attribute: dict[str, Via3Attribute]
    metadata: dict[str, Via3Metadata]


class LabelStudioResult(_Strict):
    """A region or an answer of Label Studio's; relations of regions have no value."""

    type: str
    value: dict[str, Any] | None = None
    original_width: Side | None = None
    original_height: Side | None = None


class LabelStudioAnnotation(_Strict):
    """What one person made of a picture in Label Studio."""

    was_cancelled: bool | None = None
    result: list[LabelStudioResult]


class LabelStudioTask(_Strict):
    """A picture of Label Studio's."""

    data: dict[str, Any]
    annotations: list[LabelStudioAnnotation]


class LabelmeShape(_Strict):
    """A shape of labelme's."""

    label: str
    points: list[Annotated[list[Number], Field(min_length=2, max_length=2)]]
    shape_type: str | None = None
    group_id: int | str | None = None
    mask: str | None = None


class LabelmeFile(_Strict):
    """A file of labelme's."""

    shapes: list[LabelmeShape]
    imagePath: str  # noqa: N815 - as labelme spells it
    imageWidth: Side | None = None  # noqa: N815
    imageHeight: Side | None = None  # noqa: N815

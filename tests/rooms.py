"""Which room may import which: the one table, from the bottom of each folder to its top."""

MAY_IMPORT: dict[str, str] = {
    "engines.errors": "",
    "engines.limits": "",
    "engines.networks": "",
    "engines.interface": "engines.errors engines.limits",
    "engines.networks.yolov3": "engines.errors engines.networks",
    "engines.files": "engines.errors engines.interface",
    "engines.conversion": "engines.errors engines.limits engines.interface engines.files",
    "engines.decoding": "engines.errors engines.limits engines.interface engines.files",
    "engines.runtimes": "engines.errors engines.interface engines.files",
    "engines.engine": (
        "engines.errors engines.limits engines.interface engines.files engines.decoding"
    ),
    "engines.networks.yolact": "engines.errors engines.networks engines.files engines.conversion",
    "engines.runtimes.openvino": "engines.errors engines.limits engines.interface engines.runtimes",
    "engines.runtimes.tensorrt": (
        "engines.errors engines.interface engines.files engines.conversion engines.runtimes"
    ),
    "engines.backends": (
        "engines.errors engines.interface engines.runtimes engines.runtimes.openvino "
        "engines.runtimes.tensorrt"
    ),
    "engines.networks.fcn": "engines.errors engines.networks.yolact",
    "engines.networks.mask_rcnn": (
        "engines.errors engines.networks engines.files engines.conversion engines.networks.yolact"
    ),
    "engines.networks.yolo_fcn": (
        "engines.errors engines.networks.yolov3 engines.files engines.conversion "
        "engines.networks.yolact engines.networks.fcn"
    ),
    "engines.opening": (
        "engines.errors engines.limits engines.interface engines.files engines.engine "
        "engines.backends"
    ),
    "engines": "engines.files engines.engine engines.backends engines.opening",
    "stream.addresses": "",
    "stream.errors": "",
    "stream.network": "",
    "stream.arguments": "engines.limits",
    "stream.delivery": "stream.addresses",
    "stream.processes": "stream.errors",
    "stream.memory": "engines.limits engines.interface stream.errors stream.processes",
    "stream.tracking": "engines.interface",
    "stream.options": "engines.limits engines.files stream.arguments stream.delivery",
    "stream.pixels": "engines.interface stream.arguments stream.memory",
    "stream.sources": (
        "stream.addresses stream.arguments stream.processes stream.memory stream.options "
        "stream.pixels"
    ),
    "stream.codecs": "engines.runtimes stream.errors stream.arguments stream.memory stream.sources",
    "stream.recording": (
        "engines.interface engines.files stream.errors stream.delivery stream.processes "
        "stream.memory stream.options stream.sources stream.codecs"
    ),
    "stream.telemetry": (
        "engines.files stream.addresses stream.network stream.arguments stream.processes "
        "stream.memory stream.recording"
    ),
    "stream.stages": (
        "engines.errors engines.limits engines.interface engines.engine engines "
        "stream.addresses stream.errors stream.arguments stream.delivery stream.processes "
        "stream.memory stream.tracking stream.options stream.pixels stream.sources "
        "stream.codecs stream.recording stream.telemetry"
    ),
    "stream.viewers.page": (
        "stream.addresses stream.errors stream.network stream.memory stream.pixels "
        "stream.telemetry stream.stages"
    ),
    "stream.viewers.push": (
        "stream.addresses stream.processes stream.memory stream.sources stream.codecs stream.stages"
    ),
    "stream.viewers.rtsp": (
        "stream.addresses stream.errors stream.network stream.memory stream.codecs stream.stages"
    ),
    "stream.viewers.window": "stream.memory stream.pixels stream.stages",
    "stream.supervision": (
        "engines.errors engines.limits engines.files engines stream.addresses stream.errors "
        "stream.network stream.arguments stream.delivery stream.processes stream.memory "
        "stream.tracking stream.options stream.pixels stream.sources stream.codecs "
        "stream.recording stream.telemetry stream.stages stream.viewers.page "
        "stream.viewers.push stream.viewers.rtsp stream.viewers.window"
    ),
    "train.errors": "",
    "train.schedule": "",
    "train.augment_options": "engines.interface",
    "train.formats": "engines.files train.errors",
    "train.options": "train.errors train.schedule train.augment_options",
    "train.samples": (
        "engines.files engines.decoding train.errors train.augment_options train.formats"
    ),
    "train.evaluation": (
        "engines.interface engines.decoding engines.engine train.errors train.samples"
    ),
    "train.loop": (
        "engines.interface engines.files engines.runtimes engines.engine "
        "engines.networks.yolact train.errors train.schedule train.options train.samples "
        "train.evaluation"
    ),
    "train.fcn": (
        "engines.errors engines.networks.fcn engines.networks.yolo_fcn train.errors "
        "train.samples train.evaluation train.loop"
    ),
    "train.mask_rcnn": (
        "engines.errors engines.interface engines.files engines.engine "
        "engines.networks.mask_rcnn train.errors train.augment_options train.samples "
        "train.evaluation train.loop"
    ),
    "train.tuning": "train.errors train.options train.evaluation train.loop",
    "train.yolact": (
        "engines.networks engines.files engines.networks.yolact train.errors "
        "train.augment_options train.options train.samples train.evaluation train.loop"
    ),
    "train.yolo": (
        "engines.errors engines.interface engines.networks.yolov3 engines.files "
        "engines.networks.yolo_fcn train.errors train.options train.samples train.evaluation "
        "train.loop"
    ),
    "train.runs": (
        "engines.files engines.runtimes engines.engine engines.networks.yolact train.options "
        "train.loop train.yolact"
    ),
    "tools.plain_help": "",
    "tools.standard_streams": "",
    "tools.devices": "stream.sources",
    "tools.top": "stream.network stream.telemetry",
    "tools.arguments": (
        "engines.errors engines.limits engines.interface engines.files engines.decoding "
        "engines.backends engines stream.arguments stream.processes stream.memory "
        "stream.pixels stream.sources train.errors train.yolact train.runs"
    ),
    "tools.cli": "stream.addresses tools.plain_help tools.standard_streams tools.arguments",
    "tools.doctor": (
        "engines.errors engines.files engines.runtimes engines.backends stream.processes "
        "stream.options stream.sources stream.codecs stream.viewers.window tools.arguments"
    ),
    "tools.engine_files": (
        "engines.errors engines.limits engines.interface engines.networks.yolov3 "
        "engines.files engines.conversion engines.decoding engines.engine "
        "engines.networks.yolact engines.runtimes.tensorrt engines.networks.fcn "
        "engines.networks.yolo_fcn engines stream.processes train.samples train.evaluation "
        "train.runs tools.arguments"
    ),
    "tools.images": (
        "engines.interface engines.files engines.decoding engines stream.arguments "
        "stream.processes stream.memory stream.pixels stream.recording stream.viewers.window "
        "tools.arguments"
    ),
    "tools.training": (
        "engines.errors engines.files engines.engine stream.processes stream.telemetry "
        "train.errors train.augment_options train.options train.samples train.evaluation "
        "train.loop train.tuning train.runs tools.arguments"
    ),
    "tools.datasets": (
        "engines.interface engines.files engines.decoding engines train.errors train.formats "
        "train.samples tools.arguments tools.training"
    ),
    "tools.dev": "engines.files tools.arguments tools.cli",
    "tools.measuring": (
        "engines.limits engines.interface engines.files engines.decoding engines.engine "
        "engines stream.arguments stream.delivery stream.processes stream.memory "
        "stream.options stream.pixels stream.sources stream.codecs stream.recording "
        "stream.supervision tools.arguments tools.images"
    ),
    "tools.run": (
        "engines.files engines.backends stream.addresses stream.network stream.arguments "
        "stream.delivery stream.memory stream.options stream.sources stream.recording "
        "stream.telemetry stream.stages stream.viewers.page stream.viewers.push "
        "stream.viewers.rtsp stream.viewers.window stream.supervision tools.arguments"
    ),
    "tools.web_demo": (
        "engines.interface engines.files engines stream.addresses stream.processes "
        "stream.pixels stream.recording tools.arguments tools.images"
    ),
    "tools.bench.live": (
        "engines.interface engines.engine engines stream.delivery stream.processes "
        "stream.memory stream.options stream.pixels stream.sources stream.codecs "
        "stream.recording stream.telemetry stream.stages stream.viewers.rtsp "
        "stream.supervision tools.measuring"
    ),
    "tools.library": (
        "engines.limits engines.interface engines.decoding engines.engine stream.arguments "
        "stream.processes stream.memory stream.pixels stream.telemetry stream.supervision "
        "tools.arguments tools.run"
    ),
    "tools.bench": (
        "engines.limits engines.interface engines.decoding engines.runtimes engines.engine "
        "engines.networks.yolact engines.backends engines.networks.fcn engines "
        "stream.delivery stream.processes stream.memory stream.options stream.pixels "
        "stream.codecs stream.telemetry stream.supervision train.augment_options "
        "train.options train.samples train.loop train.mask_rcnn train.yolact tools.arguments "
        "tools.doctor tools.engine_files tools.training tools.dev tools.measuring tools.run "
        "tools.bench.live"
    ),
}
"""A room, or a module at the top of a folder, and the rooms that it may import.

A room stands below all that import it, so the table cannot hold a circle. `maskstream.errors` may
be imported by all.
"""

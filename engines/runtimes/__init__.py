"""The runtimes that compute a graph: OpenVINO, ONNX Runtime, TensorRT and PyTorch.

Import none of them directly: `engines.backends` says which are available and opens one.
"""

import sys

# Importing OpenVINO reports that to Google Analytics, unless its telemetry cannot be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

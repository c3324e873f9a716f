"""The runtimes that compute a network, a module each."""

import sys

# Importing OpenVINO reports that to Google Analytics, unless its telemetry cannot be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

"""Nobody is told that an engine runs."""

import subprocess
import sys


def test_openvino_is_imported_without_its_telemetry():
    """In a fresh interpreter, by the stub that OpenVINO has for those who lack it."""
    code = (
        "import maskstream.engines.runtimes.openvino.backend\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "print(telemetry_utils.tm.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("openvino.tools.ovc.telemetry_stub", "")

"""The public names: sorted, there, documented, and cheap to import."""

import subprocess
import sys

import maskstream


def test_all_names_are_sorted_there_and_documented():
    names = maskstream.__all__
    assert names == sorted(names)
    for name in names:
        assert getattr(maskstream, name).__doc__, name
    assert set(names) <= set(dir(maskstream))


def test_importing_loads_no_runtime_no_numpy_and_no_command_line():
    code = (
        "import sys, maskstream\n"
        "heavy = {'numpy', 'cv2', 'av', 'openvino', 'typer', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_naming_everything_opens_no_openvino():
    code = (
        "import sys, maskstream\n"
        "for name in maskstream.__all__: getattr(maskstream, name)\n"
        "sys.exit('openvino is loaded' if 'openvino' in sys.modules else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_not_there_is_an_attribute_error():
    assert not hasattr(maskstream, "opne")

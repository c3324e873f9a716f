"""Stands in for ``stream.codecs.hardware_trial``: what is called ``hangs`` hangs, what ``dies``
dies.

Others take 2 ms a frame. It prints on standard error, as drivers do.
"""

import json
import os
import signal
import sys
import time

for text in sys.argv[1:]:
    kind, _, name = text.partition(":")
    sys.stderr.write(f"[driver] {name}: something that nobody wants to read\n")
    if name == "hangs":
        time.sleep(3600)
    if name == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    sys.stdout.write(json.dumps({"kind": kind, "name": name, "frame_ms": 2.0, "problem": ""}))
    sys.stdout.write("\n")
    sys.stdout.flush()

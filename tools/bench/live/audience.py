"""Somebody who listens to a run and asks for its figures every second, for benches.

A file of its own, so that its process loads little: it runs on the cores that are measured.
"""

import urllib.request
from contextlib import suppress
from multiprocessing.connection import Connection

import zmq

_ASK_S = 5.0


def attend(endpoint: str, url: str, seated: Connection) -> None:
    """Listen and ask for ever: the body of a process.

    Args:
        endpoint: Where figures are published.
        url: Where pages are served.
        seated: Told once all is ready.
    """
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.subscribe(b"")
        subscriber.connect(endpoint)
        with urllib.request.urlopen(f"{url}/healthz", timeout=_ASK_S) as page:
            page.read()
        seated.send(True)
        while True:
            subscriber.recv_multipart()
            for path in ("/metrics", "/status"):
                # The last time may come after the server's end.
                with suppress(OSError), urllib.request.urlopen(url + path, timeout=_ASK_S) as page:
                    page.read()

"""An RTSP server that players connect to: `rtsp-server://HOST:PORT/NAME`.

Import `server` to run one, `address` to check what was typed.
"""

"""What the servers share: ZeroMQ sockets, tokens and logins, the files of the page.

Imported by `telemetry` and `viewers`.
"""

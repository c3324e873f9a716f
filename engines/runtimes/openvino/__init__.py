"""OpenVINO: the backend, and the changes to a graph that make its processor plugin faster.

Import `backend`; `graph` and `masks` are parts of it.
"""

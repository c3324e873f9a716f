"""The figures of a run: read from counters, reported, logged, and served.

Import `snapshot` for the types, `status` for the published document, `report` for the final file.
"""

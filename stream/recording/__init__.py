"""Files that a run writes: video with sound, chunks, HLS folders, results as NDJSON.

Import `writer` for one file, `segments` and `hls` for many, `results_file` for results.
"""

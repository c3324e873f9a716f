"""Following objects from frame to frame: motion, association, tracks, and lines and zones on them.

Pure computation on instances and times; nothing here knows of slots, processes or pixels. Import
`tracker` to follow, `options` for its settings; the rest serves it.
"""

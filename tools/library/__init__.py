"""`import maskstream`: the public names, for programs that build on it.

Import nothing from here by this path: `maskstream` has all of it. `runs` opens a run and iterates
over its frames, `pictures` runs an engine on single pictures.
"""

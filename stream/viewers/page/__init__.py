"""The live page: pictures of all sources and the figures of the run, for browsers.

Import `page`; the rest serves it.
"""

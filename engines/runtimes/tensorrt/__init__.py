"""TensorRT and TensorRT for RTX: building plans, keeping them, and running them on a GPU.

Import `opening` to run an engine and `builder` to make one; the rest serves them.
"""

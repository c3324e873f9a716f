"""The runtimes that compute a graph: OpenVINO, ONNX Runtime, TensorRT and PyTorch.

Import none of them directly: `engines.backends` says which are available and opens one.
"""

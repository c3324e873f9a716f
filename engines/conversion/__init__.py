"""From one graph to another: PyTorch to ONNX, float32 to float16 or to 8-bit integers.

Needs the extra `train`. Each module is one conversion and may be imported by itself.
"""

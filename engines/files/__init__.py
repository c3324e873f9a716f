"""Engine files: the manifest in an ONNX file, its graphs, built plans, and engines by name.

Nothing here loads a runtime. Import `manifest`, `zoo`, `class_names` and `disk`; the rest serves
them.
"""

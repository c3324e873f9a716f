"""TensorRT and TensorRT for RTX: building engines, reading them, and running them on a GPU."""

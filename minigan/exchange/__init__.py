"""Doors to other tools: networks written for ONNX, Keras and PyTorch, and read from what Keras saved."""

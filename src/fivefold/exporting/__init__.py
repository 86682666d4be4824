"""The model as one ONNX file, and the proof that it computes the same."""

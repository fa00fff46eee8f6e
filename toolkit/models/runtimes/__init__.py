"""The programs that can run a network: torch, ONNX Runtime, OpenVINO."""

"""What the networks of a bench are called on disk."""

FOLDED = "folded.onnx"
"""As our runtimes read it: flip and scale folded into the first convolution."""

PLAIN = "plain.onnx"
"""As one writes it: flip, subtraction and division in front."""

FLOATS = "floats.onnx"
"""The network alone: takes (n, 3, S, S) float pictures that somebody has made already."""

INT8 = "int8.xml"
"""As the first one, in int8."""

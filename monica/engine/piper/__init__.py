"""Piper: neural voices on a CPU, by onnxruntime, several times faster than they speak. The extra `piper`."""

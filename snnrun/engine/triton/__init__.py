"""Triton engine: the scan over time in fused CUDA kernels. Importing this package does not need triton."""

from snnrun.engine.triton.engine import TritonEngine

__all__ = ["TritonEngine"]

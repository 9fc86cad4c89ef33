"""Parts of `benchmarks/curvature.py`."""

"""The parts of `benchmarks/update.py`."""

"""Networks, entrants and tables of benchmarks/attacks.py."""

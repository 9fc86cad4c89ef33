"""One module per way to train the same network on the same data; see benchmarks/README.md."""

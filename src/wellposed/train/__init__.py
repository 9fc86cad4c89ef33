"""The loop, as a generator; and `fit`, the loop with our defaults."""

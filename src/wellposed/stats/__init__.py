"""Small-sample statistics, on numpy arrays."""

"""w0: where the weights start."""

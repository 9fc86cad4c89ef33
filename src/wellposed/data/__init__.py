"""rho_n: where examples come from, and how they are split, standardized and batched."""

"""min: torch.optim, and the relaxations around it."""

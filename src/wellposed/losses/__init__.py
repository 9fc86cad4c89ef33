"""Losses per example, shape (batch,): the differentiable surrogate, never the error."""

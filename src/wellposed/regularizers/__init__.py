"""R: penalties on the weights, with their proximal maps."""

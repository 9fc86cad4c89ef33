"""The formula: data, model, loss and regularizer, and what is measured on them."""

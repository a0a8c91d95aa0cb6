"""Neural networks that predict ratings, in plain Keras, and the training loop that they share."""

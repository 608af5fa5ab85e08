"""Cases for training and evaluation."""

"""The bench of the training loop: who takes part, how, and in what."""

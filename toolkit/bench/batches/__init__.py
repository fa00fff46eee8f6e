"""The bench of the batch processor: who takes part, how, and in what."""

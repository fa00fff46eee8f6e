"""The bench of the runtimes: who takes part, how, and in what."""

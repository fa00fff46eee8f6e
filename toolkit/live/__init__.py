"""The live street: source > camera > detect > batch > track, wired by a pipeline."""

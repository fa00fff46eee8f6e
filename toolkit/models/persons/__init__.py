"""A person detector made by others: what runs its file, and what reads its answers."""

"""Data with labels: faces in packs, scenes made of them."""

"""How right a live run was at every moment of it: what was on the screen, held against what was true."""

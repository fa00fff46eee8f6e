"""How many cameras a machine carries, and with which settings it carries most."""

"""Live multi-camera runs that researchers can trust."""

"""The environment file: its model, its parameters and tunables, and what is wrong with one. Pure."""

"""The environment file: its model, its parameters and tunables, and its checks. This package is pure."""

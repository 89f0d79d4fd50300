"""Trials: one pass of setup, run and teardown with one set of parameters, and many of them on a pool of hosts."""

"""The bundle: the directory of one trial, which only its owner can read."""

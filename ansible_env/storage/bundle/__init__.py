"""The bundle: everything that a trial leaves behind, in one directory that only its owner can read."""

"""The tables of the store, and how they are read and written."""

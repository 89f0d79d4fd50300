"""The records of a trial: its bundle (a directory), its journal, and its rows in the store (a database)."""

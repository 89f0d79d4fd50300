"""What a trial leaves behind: its bundle (a directory), its journal, and its rows in the store (a database)."""

"""Progress on stderr: lines, or a live view on a terminal."""

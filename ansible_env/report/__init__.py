"""Reports of an experiment in the store: an HTML page, JUnit XML and Markdown; the comparison of two experiments."""

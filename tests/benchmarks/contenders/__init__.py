"""Ways to run one script on some hosts. A module here imports only what its own virtual environment has."""

"""Everything that starts or drives ansible-runner: its processes, its private directories, its inventory."""

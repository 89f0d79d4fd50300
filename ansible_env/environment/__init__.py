"""`RemoteEnv`: the life cycle of the phases of one environment on its hosts."""

"""How hosts and groups ended: status, outcome kinds, metrics, aggregation, assertions. Pure."""

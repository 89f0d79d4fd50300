"""Results of hosts and groups: status, outcome kinds, metrics, aggregation and assertions. This package is pure."""

"""The workloads, one a file: each takes what it needs and answers the figures of one pass."""

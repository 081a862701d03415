"""Faults of every kind on real processes, seeded, and the proof from stored events and an outside ledger."""

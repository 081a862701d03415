"""The state machine of a run: pure values and pure functions, no clock, no I/O."""

"""The protocol of engines, store and people, explored in all its interleavings over the real state machine."""

"""The operations, one file a noun: each parses, calls a door and presents."""

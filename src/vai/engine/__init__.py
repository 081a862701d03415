"""The embedded engine: claims runs, drives each through the state machine, and executes its steps."""

from vai.engine.engine import Engine, EngineSettings

__all__ = ["Engine", "EngineSettings"]

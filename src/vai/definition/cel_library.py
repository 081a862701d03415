"""The CEL library without its command line, whose import (prompt_toolkit, rich, …) takes longer than all the rest."""

import sys
from types import ModuleType


def _import_cel() -> ModuleType:
    # The package imports its `cli` module for no use of ours: an empty one stands in for it while that happens.
    stand_in = ModuleType("cel.cli")
    added = sys.modules.setdefault("cel.cli", stand_in) is stand_in
    try:
        import cel  # noqa: PLC0415
    finally:
        if added:
            del sys.modules["cel.cli"]
    return cel


cel = _import_cel()

"""`dlt_extract` inside a child process. What is quickly seen to be wrong is told before dlt is imported."""

import importlib
import os
import shutil
from pathlib import Path
from typing import Any

from vai.actions.child_context import ChildContext
from vai.actions.messages import Stopped


def run(request: dict[str, Any], context: ChildContext) -> dict[str, Any]:
    """The result of an ExtractDefinition. Raises ActionFailed."""

    def stop() -> None:
        # dlt's threads end with the process; what a destination has half of, its transaction undoes.
        context.send(Stopped())
        os._exit(0)

    context.on_cancel(stop)
    context.progress(phase="starting")
    source = request["source"]
    if source["type"] == "filesystem":
        files = importlib.import_module("vai.actions.dlt_files")
        for table in source["tables"]:
            table["files"] = files.find(table, source["credentials"])
    _settle(Path(request["folder"]))
    result: dict[str, Any] = importlib.import_module("vai.actions.dlt_pipeline").run(request, context)
    return result


def _settle(folder: Path) -> None:
    """Have dlt keep all its files in the working folder, read no settings from elsewhere, and tell nobody."""
    shutil.rmtree(folder, ignore_errors=True)  # of a try that was killed
    folder.mkdir(parents=True)
    os.environ |= {
        "DLT_DATA_DIR": str(folder / "data"),
        "DLT_PROJECT_DIR": str(folder),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
    }

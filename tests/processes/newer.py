"""`vai` as its next version would be: one migration more. Arguments: its file, its revision, and those of vai."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory

from vai.cli.app import main
from vai.storage import migrate


def become_newer(file: Path, revision: str) -> None:
    """Let this process know the migration in `file`, called `revision`, as the newest."""
    configuration = migrate.configuration

    def with_one_more() -> Any:
        config, _ = configuration()
        ours = Path(migrate.__file__).parent / "migrations" / "versions"
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_locations", os.pathsep.join((str(ours), str(file.parent))))
        return config, ScriptDirectory.from_config(config)

    migrate.configuration = with_one_more
    migrate.KNOWN |= {revision}
    migrate.HEAD = revision


if __name__ == "__main__":
    _, file, revision, *arguments = sys.argv
    become_newer(Path(file), revision)
    sys.argv = ["vai", *arguments]
    main()

"""What `vai doctor` says of the place of attached files: whether it can be written, and is the one that others use."""

import os

from vai.settings import Settings
from vai.storage.inspection import Inspection
from vai.wiring.contents import contents_of
from vai.wiring.faults import CannotServe
from vai.wiring.finding import NOTE, OK, WRONG, Finding

_SHARE = "Let every server and worker have one place: set VAI_ARTIFACTS_URL, or share the folder."


def look_at_artifacts(settings: Settings, inspection: Inspection | None) -> Finding:
    """Write something and remove it again, where the place is there already, and look for files that the database
    names."""
    try:
        contents = contents_of(settings)
        if contents.is_local and not os.path.isdir(contents.root):
            if inspection is None or not inspection.places:
                return Finding("artifacts", OK, f"{contents.root} is made when the first file is attached.")
        else:
            contents.check()
        lost = sum(not contents.has(place) for place in inspection.places) if inspection else 0
    except CannotServe as reason:
        return Finding("artifacts", WRONG, str(reason), "No server starts until then.")
    except Exception as error:  # whatever a disk or an object store may say
        found = f"Files cannot be kept in {contents.root}: {type(error).__name__}: {error}"
        return Finding("artifacts", WRONG, found, "Steps that attach files fail until then.")
    if inspection is not None and lost:
        found = f"{lost} of {len(inspection.places)} files that were looked for are not in {contents.root}."
        return Finding("artifacts", WRONG, found, _SHARE)
    hosts = {engine.host for engine in inspection.standing.engines} if inspection and inspection.standing else set()
    if contents.is_local and len(hosts) > 1:
        found = f"{contents.root}, while engines are on {len(hosts)} machines."
        return Finding("artifacts", NOTE, found, f"Is it a folder that they share? {_SHARE}")
    return Finding("artifacts", OK, f"{contents.root} can be written.")

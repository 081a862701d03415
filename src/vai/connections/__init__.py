"""The door of connections: what an organization's steps need of other systems, with sealed credentials."""

from vai.connections.door import (
    ConnectionChanged,
    ConnectionPatch,
    Connections,
    NewConnection,
    SlugTaken,
    Verdict,
    Verifier,
)
from vai.connections.keys import BadMasterKey, KeyLost, MasterKeys, fingerprint_of
from vai.connections.sealing import Sealing

__all__ = [
    "BadMasterKey",
    "ConnectionChanged",
    "ConnectionPatch",
    "Connections",
    "KeyLost",
    "MasterKeys",
    "NewConnection",
    "Sealing",
    "SlugTaken",
    "Verdict",
    "Verifier",
    "fingerprint_of",
]

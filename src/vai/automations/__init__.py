"""The doors of automations: what is defined, in numbered versions, and what starts their runs."""

from vai.automations.door import (
    AutomationPage,
    AutomationPatch,
    Automations,
    AutomationView,
    HasLiveRuns,
    NameTaken,
    NewAutomation,
    PathTaken,
    VersionConflict,
)
from vai.automations.secrets import opened, shown_config
from vai.automations.triggers import Triggers, due_times

__all__ = [
    "AutomationPage",
    "AutomationPatch",
    "AutomationView",
    "Automations",
    "HasLiveRuns",
    "NameTaken",
    "NewAutomation",
    "PathTaken",
    "Triggers",
    "VersionConflict",
    "due_times",
    "opened",
    "shown_config",
]

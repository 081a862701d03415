"""The doors of automations: what is defined, in numbered versions, and what starts their runs."""

from vai.automations.door import (
    HIDDEN,
    AutomationPage,
    AutomationPatch,
    Automations,
    AutomationView,
    HasLiveRuns,
    NameTaken,
    NewAutomation,
    VersionConflict,
    shown_config,
)
from vai.automations.triggers import Triggers, due_times

__all__ = [
    "HIDDEN",
    "AutomationPage",
    "AutomationPatch",
    "AutomationView",
    "Automations",
    "HasLiveRuns",
    "NameTaken",
    "NewAutomation",
    "Triggers",
    "VersionConflict",
    "due_times",
    "shown_config",
]

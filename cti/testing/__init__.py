"""What tests stand on, ours and others': a clock moved by hand and a PBX that does as it is told."""

from cti.testing.clock import HandClock
from cti.testing.pbx import HungUp, PbxOrder, PickedUp, Rang, ScriptedPbx, VariableSet

__all__ = ["HandClock", "HungUp", "PbxOrder", "PickedUp", "Rang", "ScriptedPbx", "VariableSet"]

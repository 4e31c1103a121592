"""Composition: the one list of stages, what a run is opened with, and everything that a command or a script can ask."""

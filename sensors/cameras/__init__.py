"""Cameras by the packages that drive them, behind one kind of source."""

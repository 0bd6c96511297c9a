"""Adaptation methods, one file each (none yet)."""

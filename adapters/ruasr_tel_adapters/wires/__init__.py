"""Protocols that more than one door speaks, without I/O."""

"""Variations as processes on this machine, in bubblewrap where that works."""

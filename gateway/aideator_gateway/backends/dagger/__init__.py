"""Variations in containers of a Dagger engine."""

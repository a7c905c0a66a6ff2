"""Experiments: tasks times conditions times repeats, from their file to what they say."""

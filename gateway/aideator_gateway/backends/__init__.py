"""Where variations run: a folder for each backend, and what they share."""

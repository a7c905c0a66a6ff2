"""Commits that runs work on: each fetched and checked out once, then kept for later runs."""

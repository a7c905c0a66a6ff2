"""Figures of an experiment, one a file. Nothing here knows of runs, files or HTTP.

Values come in groups, one for each task: attempts at one task are alike, and are never counted
as if they were attempts at different tasks.
"""

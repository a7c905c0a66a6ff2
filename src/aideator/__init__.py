"""Run one prompt on one Git repository in N isolated attempts and compare the patches.

AIdeator runs a coding agent several times over, each attempt (a *variation*) in a
container and a copy of the repository of its own, streams what every agent thinks and
does, and gives back each attempt's patch, transcript and cost, so that a person can pick
the best one.
"""

"""The one process that holds keys and speaks to the model's server, for all agents.

Started as ``python -I -m aideator.broker``; ``aideator.protocol.broker`` says how it is
configured and what it says.
"""

"""How runs look in a terminal, and where their output is piped."""

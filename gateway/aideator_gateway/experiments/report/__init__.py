"""What an experiment says: one model, made from its journal, and the ways to write it down."""

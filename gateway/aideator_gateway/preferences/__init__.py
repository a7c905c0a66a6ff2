"""Preference data: which of two attempts was better, as trainers of models read it."""

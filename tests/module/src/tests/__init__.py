"""Tests of the AIdeator module as another module uses it. ``dagger call all`` runs them."""

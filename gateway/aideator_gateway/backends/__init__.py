"""Where variations run: the agreement (``base``) and its implementations."""

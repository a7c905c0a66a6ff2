"""The scripted model: a stand-in server that speaks the Messages API and is no LLM."""

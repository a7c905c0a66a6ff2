"""What the scripted model says in the demo."""

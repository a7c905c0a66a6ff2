"""Let several agents try, and keep the smallest patch that passes a check."""

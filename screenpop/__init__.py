"""What the agent sees when it rings."""

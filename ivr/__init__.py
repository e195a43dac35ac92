"""What the caller hears and presses: flows as text, walked by a pure decider."""

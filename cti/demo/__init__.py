"""The demo: its company, its callers, its agents and its private Asterisk."""

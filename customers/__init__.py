"""The people we know, and who a calling number may be."""

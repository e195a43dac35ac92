"""The steps of the history, in the order of their numbers. Each room writes its own files, with explicit operations."""

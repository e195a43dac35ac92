"""The console's outward words: messages of the WebSocket, bodies of the HTTP API, and their schema."""

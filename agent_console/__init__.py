"""Browsers and other programs: pages, HTTP API and WebSocket."""

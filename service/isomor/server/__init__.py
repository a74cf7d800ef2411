"""The server: Sanic owns the port, calls take a shorter way."""

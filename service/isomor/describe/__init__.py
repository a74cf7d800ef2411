"""What tells others of the functions: JSON schemas of their types, OpenAPI of HTTP, AsyncAPI of the WebSocket."""

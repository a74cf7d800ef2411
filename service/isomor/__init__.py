"""isomor for Python: call Python functions from the browser as if they were local."""

__version__ = "0.1.0"

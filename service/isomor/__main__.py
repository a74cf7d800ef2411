"""`python -m isomor` is `isomor`."""

from .cli import main

main()

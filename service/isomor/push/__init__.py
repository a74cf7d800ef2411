"""Pushes: the bus that carries them between processes, and who has joined which topic here."""

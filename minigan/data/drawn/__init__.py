"""Anime faces that minigan draws itself. For every face it is known exactly which hair, eyes, colours ... it has."""

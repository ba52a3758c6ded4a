"""Anime faces that minigan draws itself, each with exactly known factors."""

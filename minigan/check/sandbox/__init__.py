"""Runs a student's file in its own process, so that it cannot stop, crash or flood the checker."""

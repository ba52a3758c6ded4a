"""A student's file in a process of its own: it can neither hang, crash nor flood the one who asks."""

"""How a student's functions are called, and what must hold of what they return."""

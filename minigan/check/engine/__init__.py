"""The ladder on which a student's functions are tried: contract, hygiene, forward, algebra, gradient."""

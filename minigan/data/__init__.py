"""Where pictures come from: drawn by minigan itself, or read from a user's folder."""

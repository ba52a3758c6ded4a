"""A user's own images: reads folders and archives, decodes files to upright RGB pixels, compares images."""

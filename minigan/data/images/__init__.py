"""A user's own images: folders and archives of anything, decoded to upright RGB pixels, and what is odd about them."""

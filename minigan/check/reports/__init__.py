"""What the checker found, as text and as one HTML page."""

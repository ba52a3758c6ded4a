"""Makes square faces to train on from a folder or an archive of drawings, and reports what was dropped and why."""

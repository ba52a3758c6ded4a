"""From a folder or an archive of drawings to square faces to train on, with a report on what was dropped and why."""

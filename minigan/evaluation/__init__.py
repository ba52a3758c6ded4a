"""How good the faces are and whether a run is normal: measures, diagnosis, and the words and pages that tell them."""

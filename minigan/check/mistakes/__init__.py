"""From wrong numbers to words: the mistakes that people make, as hypotheses, and hints for each."""

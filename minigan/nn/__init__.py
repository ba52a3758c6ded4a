"""What a neural network computes: convolution, layers and their gradients, losses, optimizers, random numbers.

This is the part to read as a book. Begin with `conv` (the legend of all letters, and the three primitives). Then read
`loops` (convolution as it is defined), `ops`, `layers`, `network`, `losses`, `optimizers` and `initializers`. The small
modules beside them can be looked up when they are needed: `backend`, `geometry`, `gradients`, `state`, `rng`. Nothing
here knows of image files, of runs or of training.
"""

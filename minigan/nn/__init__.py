"""What a neural network computes: convolution, layers and their gradients, losses, optimizers, random numbers.

This is the part to read as a book. Begin with `conv` (the legend of all letters, and the three primitives). Then read
`geometry` and `loops` (convolution as it is defined), `ops`, `layers` and `gradients`, `network`, `losses`,
`optimizers` and `initializers`. `backend` and `rng` come last, and `state` can be looked up when it is needed. Nothing
here knows of image files, of runs or of training.
"""

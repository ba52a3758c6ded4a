"""The book: what is computed. Arrays, convolution, layers and their gradients, losses, optimizers, random numbers.

Begin with `conv` (the legend of all letters, and the three primitives), then `loops`, `ops`, `layers`, `network`,
`losses`, `optimizers`, `initializers`. Nothing here knows of images in files, of runs or of training.
"""

"""What a neural network computes: convolution, layers and their gradients, losses, optimizers, random numbers.

This is the part to read as a book. Begin with `conv` (the legend of all letters, and the three primitives), `loops`
(convolution as it is defined) and `im2col` (convolution as a matrix product). Then read `ops`, `layers`, `network`,
`losses`, `optimizers` and `initializers`; `minigan.gan` goes on from there. All other modules can be looked up when
they are needed. Nothing here knows of image files or of runs. How these functions are made fast, and how several
processes compute them together, is written elsewhere; `ops.table`, `backend` and `share` are where it comes in.
"""

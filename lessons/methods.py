"""Hints for layers in the way that a lesson teaches them, where that is not the usual one.

`minigan.check` knows hints that fit any way to write a layer, and its last ones are loops over places. Lessons 7 to 9
write convolutions as patches and one product; exercise 10.3 goes through a graph, and its formula in one line would
spare the student what the exercise is about.
"""

from __future__ import annotations

from minigan.check.mistakes.hints import Method

_SUM = (
    "One element of b is added at every place of every image. So how many outputs does it reach?",
    "Sum dy over all axes but the last. It is a sum, not a mean.",
)

METHODS: dict[tuple[str, str], Method] = {
    ("conv2d", ""): {
        "y": (
            "Three steps: patches, one product, reshape. Write down the shape of the patch matrix. Which one must w "
            "have beside it?",
            "im2col(x, K, stride, pad) has the shape (N*Ho*Wo, K*K*C), and w.reshape(K*K*C, O) fits beside it.",
            "y = (im2col(x, K, stride, pad) @ w.reshape(K*K*C, O) + b).reshape(N, Ho, Wo, O)",
        ),
        "dx": (
            "Forward had three steps; go back through them from the last. What comes back to the patch matrix, and how "
            "does it get from there to x?",
            "With dy2 = dy.reshape(-1, O) and W = w.reshape(K*K*C, O): dcols = dy2 @ W.T, as in lesson 3. Then col2im "
            "adds every row back to its patch.",
            "dx = col2im(dy.reshape(-1, O) @ w.reshape(K*K*C, O).T, x.shape, K, stride, pad)",
        ),
        "dw": (
            "It is lesson 3's dw = x.T @ dy. Which matrix stands here in the place of x, and which in that of dy?",
            "The patches and dy.reshape(-1, O). Their product has the shape (K*K*C, O).",
            "dw = (im2col(x, K, stride, pad).T @ dy.reshape(-1, O)).reshape(w.shape)",
        ),
        "db": (*_SUM, "db = dy.reshape(-1, O).sum(axis=0)"),
    },
    ("conv2d_transpose", ""): {
        "y": (
            "Each place of x gives one stamp. Make a matrix with one stamp in each row: what is its shape?",
            "x.reshape(-1, C) @ w.reshape(K*K*O, C).T has a stamp of K*K*O numbers in each row; col2im lays the stamps "
            "onto the map. It asks for the size of the map, padding already cut off; b comes last.",
            "size = (N, stride*(H-1)+K-2*pad, stride*(W-1)+K-2*pad, O); y = col2im(x.reshape(-1, C) @ w.reshape(K*K*O, "
            "C).T, size, K, stride, pad) + b",
        ),
        "dx": (
            "The way back is an operation that you wrote in lesson 7. Which array is its image?",
            "A convolution of dy, without a bias: cut dy into patches with im2col, and multiply by w as a matrix.",
            "dx = (im2col(dy, K, stride, pad) @ w.reshape(K*K*O, C)).reshape(x.shape)",
        ),
        "dw": (
            "Lesson 8's dw with the two roles exchanged. Which of x and dy is cut into patches here?",
            "dy, the large one. x stands beside it as a matrix of shape (N*H*W, C).",
            "dw = (im2col(dy, K, stride, pad).T @ x.reshape(-1, C)).reshape(w.shape)",
        ),
        "db": (*_SUM, "db = dy.sum(axis=(0, 1, 2))"),
    },
    ("batch_norm", "graph"): {
        "dx": (
            "Go through the lines of the table from the last to the first. Which letters are used twice on the way "
            "forward? Their two gradients add up.",
            "dxhat = dy * gamma; dr = (dxhat * c).sum(axis=axes); dc = dxhat * r; ds = -dr / s**2; dv = ds / (2 * s); "
            "dq = dv / N. Lines 3, 2 and 1 are left, and two of them add.",
            "dc = dc + 2 * c * dq; dmu = -dc.sum(axis=axes); dx = dc + dmu / N",
        ),
    },
}
"""By the exercise and the name of the way; "" is the way of all checks in notebooks."""

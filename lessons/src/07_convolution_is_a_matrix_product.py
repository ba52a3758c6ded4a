# %% [markdown]
# # Lesson 7: Convolution is a matrix product
#
# The discriminator looks at an image through a small window. It slides that window over the whole image, and in
# every place asks the same question: *how much does this patch look like my kernel?* That is a convolution, and there
# is nothing else to it.
#
# Said in seven loops it is easy to understand and hopelessly slow. Said as **one matrix product** it is the same
# numbers, thousands of times as fast. This lesson goes from the one to the other, and you measure what it gains.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 7.1 | the output size, a formula you derive | 5 |
# | 7.2 | convolution by loops | 15 |
# | 7.3 | `im2col`: every patch becomes one row of a matrix | 20 |
# | 7.4 | the whole layer: `conv2d_forward` | 10 |
# | 7.5 | two kernels made by hand, and a face seen through them | 10 |
# | 7.6, 7.7 | break it: a broken `im2col`, and six suspects | 20 |
#
# With reading, about an hour and three quarters. You need lesson 1 (slices, `reshape`) and lesson 3 (`y = x @ w + b`).
#
# Words, as in all of minigan: images are `(N, H, W, C)`: N images, H rows, W columns, C channels. A kernel is
# `(K, K, C, O)`: K x K taps, C channels in, O channels out. S is the stride, P the padding.

# %% tags=["setup"]
# setup

# %%
import timeit

import numpy as np

from lessons import figures, notebook
from lessons.exercises import lesson07
from lessons.notebook import check
from minigan.data.drawn.faces import draw_face
from minigan.nn import ops
from minigan.nn.conv import conv_forward

# %% [markdown]
# ## The idea
#
# Here is an image of 4 x 4 pixels with one channel, and a kernel of 2 x 2:
#
# $$ x = \begin{pmatrix} 1&0&2&1\\ 0&3&1&0\\ 2&1&0&1\\ 1&0&1&2 \end{pmatrix} \qquad
#    w = \begin{pmatrix} 1&2\\ 0&-1 \end{pmatrix} $$
#
# Lay the kernel onto the upper left corner. It covers 1, 0 in the first row and 0, 3 in the second. Multiply what lies
# on top of each other, and add up:
#
# $$ y_{00} \;=\; 1\cdot 1 \;+\; 0\cdot 2 \;+\; 0\cdot 0 \;+\; 3\cdot(-1) \;=\; -2. $$
#
# Slide it one pixel to the right. Now it covers 0, 2 and 3, 1:
#
# $$ y_{01} \;=\; 0\cdot 1 \;+\; 2\cdot 2 \;+\; 3\cdot 0 \;+\; 1\cdot(-1) \;=\; 3. $$
#
# **Do one yourself before you read on**: the window one row below the corner covers 0, 3 and 2, 1.
#
# <details><summary>Answer</summary>
#
# $y_{10} = 0\cdot 1 + 3\cdot 2 + 2\cdot 0 + 1\cdot(-1) = 5$.
#
# </details>
#
# There are 3 x 3 places, so y is 3 x 3. If you have done the last number, you can do all nine: it is only patience.

# %%
x = np.array([[1.0, 0, 2, 1], [0, 3, 1, 0], [2, 1, 0, 1], [1, 0, 1, 2]])
w = np.array([[1.0, 2], [0, -1]])

# %% tags=["picture"]
notebook.show(
    figures.convolution.by_hand(x, w, place=(0, 0)),
    "A 4 by 4 image with its upper left 2 by 2 window framed, the kernel, their four products 1, 0, 0 and -3, and the "
    "3 by 3 output with the sum -2 in its upper left corner.",
)

# %% [markdown]
# ### The trick
#
# Now look at what happened to the image's numbers. In each place we took four of them, 1, 0, 0, 3 and then 0, 2, 3, 1,
# and multiplied them with *the same* four numbers 1, 2, 0, -1. Write each group of four as a row:
#
# $$ \underbrace{\begin{pmatrix} 1&0&0&3\\ 0&2&3&1\\ 2&1&1&0\\ \vdots&&&\vdots \end{pmatrix}}_{\text{one row for each place}}
#    \begin{pmatrix} 1\\2\\0\\-1 \end{pmatrix} \;=\; \begin{pmatrix} -2\\3\\4\\ \vdots \end{pmatrix} $$
#
# and the sliding window has become a matrix product. The matrix of patches has a name that stuck, **im2col** ("image to
# columns"; ours has the patches as rows, the columns belong to the taps). Watch it fill:

# %% tags=["picture"]
notebook.show_image(
    figures.convolution.film(x, w),
    "Animation: a 2 by 2 window slides over a 4 by 4 image in nine steps; at each step the four numbers under it are "
    "written into the next row of a 9 by 4 patch matrix, and the row times the kernel gives the next number of the output.",
)

# %% [markdown]
# The same as a strip, for paper and for looking twice:

# %% tags=["picture"]
notebook.show(
    figures.convolution.filmstrip(x, w, steps=(0, 1, 8)),
    "Three moments of the animation: the window at places 0, 1 and 8, with the patch matrix filled down to that row.",
)

# %% [markdown]
# Nothing was computed that the loops do not compute; the numbers were only *copied* first. Copying costs memory: a pixel
# in the middle appears in four rows. It buys us the one operation that processors have been tuned for over fifty years.
#
# ## The derivation
#
# ### The definition
#
# With N images, C channels in and O channels out, with stride S and padding P:
#
# $$ y_{n,i,j,o} \;=\; b_o + \sum_{p=0}^{K-1}\,\sum_{q=0}^{K-1}\,\sum_{c=0}^{C-1}\;
#    \bar x_{\,n,\;S i+p,\;S j+q,\;c}\;\, w_{p,q,c,o} $$
#
# where $\bar x$ is x with P zeros all around. Read it slowly once:
#
# * Place (i, j) has its window's corner at row $S i$, column $S j$ of the padded image. Neighbouring places are S
#   pixels apart.
# * Tap (p, q) of the kernel meets the pixel p below and q to the right of that corner.
# * All C channels of the pixel are weighed and added up: a window is K x K x C numbers, not K x K.
# * Each of the O kernels asks its own question; the answers are the O channels of y.
#
# (The mathematicians' convolution turns the kernel upside down and left to right first. Ours does not; its proper name
# is cross-correlation. Every deep-learning library calls it convolution, and so do we. `np.convolve` flips.)
#
# ### How large is y?
#
# The padded image has $H + 2P$ rows. A window that starts at row $Si$ covers rows $Si$ to $Si + K - 1$, and the last
# of them has to exist:
#
# $$ \begin{aligned}
#    S i + K - 1 &\;\le\; H + 2P - 1 \\
#    S i &\;\le\; H + 2P - K \\
#    i &\;\le\; \frac{H + 2P - K}{S}
#    \end{aligned} $$
#
# i is a whole number and starts at 0. So i takes the values $0, 1, \dots, \lfloor (H+2P-K)/S \rfloor$, and that is
#
# $$ H_o \;=\; \left\lfloor \frac{H + 2P - K}{S} \right\rfloor + 1 \quad\text{places.} $$
#
# In numbers: the discriminator's layers have K = 4, S = 2, P = 1, and 64 rows become
# $\lfloor (64 + 2 - 4)/2 \rfloor + 1 = 31 + 1 = 32$. Half, as it should be.
#
# The rounding means that pixels can be **left over**: with H = 6, K = 3, S = 2, P = 0 there are two places, and no
# window ever touches the last row. Keep that in mind; in lesson 8 somebody will forget it.

# %% tags=["picture"]
notebook.show(
    figures.convolution.places(((6, 3, 1, 0), (6, 3, 2, 0), (6, 3, 2, 1), (8, 4, 2, 1))),
    "Four rows of pixels with the windows that fit on them drawn as bars below: stride 1 gives four places, stride 2 "
    "two places with one pixel left over, padding 1 adds zeros at both ends; the last is K = 4, S = 2, P = 1 on 8 pixels, "
    "which gives 4.",
)

# %% [markdown]
# ### Exercise 7.1: the output size   *(5 minutes)*
#
# Write the formula as a function of whole numbers. Try (6, 3, 2, 0) by hand first.


# %% tags=["exercise"]
def output_size(H, K, stride, pad):
    """Number of places of a window of K pixels on H pixels with `pad` zeros at both ends."""
    # --- your code
    return (H + 2 * pad - K) // stride + 1
    # --- end


# %% tags=["check"]
check("output_size", output_size)  # stuck? check("output_size", output_size, hint=1), then hint=2, hint=3

# %% [markdown]
# ### Exercise 7.2: convolution by loops   *(15 minutes)*
#
# The definition has seven indices: n, i, j, o and, inside the sum, p, q, c. Seven nested loops would do it, and in Python
# they take a second for two small images. We leave three of them to NumPy. When tap (p, q) at place (i, j)
# meets a pixel, then it does so in all N images, with all C channels and for all O kernels at once, and that is a small
# matrix product:
#
# $$ \underbrace{y_{:,\,i,\,j}}_{(N,\,O)} \;\mathrel{+}=\; \underbrace{\bar x_{:,\;S i+p,\;S j+q}}_{(N,\,C)} \;
#    \underbrace{w_{p,\,q}}_{(C,\,O)} $$
#
# Write it with four loops, over i, j, p and q. `np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))` puts the zeros
# around. Make y with x's dtype: `np.zeros(shape, x.dtype)`.


# %% tags=["exercise"]
def conv_loops(x, w, b, stride=1, pad=0):
    """Convolution by loops: x (N, H, W, C), w (K, K, C, O), b (O,) to y (N, Ho, Wo, O)."""
    # --- your code
    N, H, W, _ = x.shape
    K, _, _, O = w.shape
    Ho, Wo = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    y = np.zeros((N, Ho, Wo, O), x.dtype)
    for i in range(Ho):
        for j in range(Wo):
            for p in range(K):
                for q in range(K):
                    y[:, i, j] += padded[:, stride * i + p, stride * j + q] @ w[p, q]  # (N, C) @ (C, O)
    return y + b
    # --- end


# %% tags=["check"]
check("conv_loops", conv_loops)

# %% [markdown]
# With it, the example from the beginning. Are the three numbers that you know by hand in there?

# %%
loops = notebook.yours(conv_loops, lesson07.conv_loops, alike=True)
print(loops(x[None, :, :, None], w[:, :, None, None], np.zeros(1))[0, :, :, 0])

# %% [markdown]
# ### Every sum is a dot product
#
# Now the trick, in general. Fix one place (i, j) in one image n, and one output channel o. The triple sum over p, q
# and c is a dot product of two lists of $K\cdot K\cdot C$ numbers: the patch, and the kernel o. To write them as lists we
# have to agree on an order. Let it be the order in which NumPy lays out an array of shape (K, K, C): p slowest, c fastest,
#
# $$ k \;=\; (p\,K + q)\,C + c. $$
#
# All kernels together are then a matrix $W_{k,o} = w_{p,q,c,o}$. How much work is it to make W? In memory,
# `w[p, q, c, o]` is number $((pK + q)C + c)\,O + o = k\,O + o$, which is exactly where `W[k, o]` of a $(KKC, O)$ matrix
# lies. So `w.reshape(K*K*C, O)` **moves nothing**. That is why minigan, like Keras, keeps kernels as (K, K, C, O).
#
# The places we number in NumPy's order as well, $m = (n\,H_o + i)\,W_o + j$, and write the patch of place m into row m:
#
# $$ X_{m,k} \;=\; \bar x_{\,n,\;S i+p,\;S j+q,\;c}. $$
#
# Put both into the definition:
#
# $$ \begin{aligned}
#    y_{n,i,j,o} &= b_o + \sum_{p,q,c} \bar x_{\,n,\,Si+p,\,Sj+q,\,c}\; w_{p,q,c,o} && \text{(the definition)}\\
#    y_{n,i,j,o} &= b_o + \sum_{k} X_{m,k}\, W_{k,o} && \text{(new names for the same numbers)}\\
#    Y &= X\,W + b && \text{(with } Y_{m,o} = y_{n,i,j,o}\text{: lesson 3's affine layer)}
#    \end{aligned} $$
#
# The last line is all we wanted. A convolution is an affine layer, applied to every patch. And Y, of shape
# $(N H_o W_o,\, O)$, becomes y with another `reshape` that moves nothing.
#
# The hard part of im2col is none of this algebra. It is **keeping two orders in step**: the rows' numbers (p, q, c) must
# be in the kernel's order, and the rows themselves in the order (n, i, j). Any mix-up gives an array of the right shape,
# full of wrong numbers.

# %% tags=["picture"]
notebook.show(
    figures.convolution.product_shapes(N=64, H=32, W=32, C=64, O=128, K=4, stride=2, pad=1),
    "Block diagram of the discriminator's second layer: the patch matrix of 16384 rows and 1024 columns times the kernel "
    "matrix of 1024 rows and 128 columns gives 16384 rows and 128 columns; a row is one place, a column of the patch "
    "matrix one tap and channel.",
)

# %% [markdown]
# ### Exercise 7.3: im2col   *(20 minutes)*
#
# Write `im2col(x, K, stride, pad)`: an array of shape $(N H_o W_o,\; K K C)$, whose row $m$ is the patch of place $m$,
# in the order p, q, c, with x's dtype.
#
# By hand, one patch of 2 x 2 pixels with **two** channels. With one channel there is nothing to mix up; with two there is:

# %% tags=["picture"]
notebook.show(
    figures.convolution.patch_row(np.array([[[1, 10], [2, 20]], [[3, 30], [4, 40]]])),
    "Left, a patch of four pixels with two numbers each: 1 and 10, 2 and 20, 3 and 30, 4 and 40. Right, its row in the order p, q, c: "
    "1, 10, 2, 20, 3, 30, 4, 40; and below, crossed out, the order c, p, q: 1, 2, 3, 4, 10, 20, 30, 40.",
)

# %% [markdown]
# Both rows have the right length and the right numbers. But $W$ is `w.reshape(K*K*C, O)`, which runs through p, q, c: only the
# upper row meets the right weights.
#
# The obvious way loops over the places and copies one patch each time: $H_o \cdot W_o$ little copies. There is a better
# one. **Loop over the taps instead**: there are only $K\cdot K = 16$ of them. Tap (p, q) meets the pixels in rows
# $p,\, p+S,\, p+2S, \dots$ and columns $q,\, q+S, \dots$, and that is one slice with a step.


# %% tags=["exercise"]
def im2col(x, K, stride=1, pad=0):
    """Every patch of x (N, H, W, C) as one row, in the order p, q, c: (N*Ho*Wo, K*K*C)."""
    # --- your code
    N, H, W, C = x.shape
    Ho, Wo = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    cols = np.empty((N, Ho, Wo, K, K, C), x.dtype)
    for p in range(K):
        for q in range(K):
            cols[:, :, :, p, q] = padded[:, p : p + stride * Ho : stride, q : q + stride * Wo : stride]
    return cols.reshape(N * Ho * Wo, K * K * C)
    # --- end


# %% tags=["check"]
check("im2col", im2col)

# %% [markdown]
# The nine patches of the example, by your function. Row 0 must be 1, 0, 0, 3.

# %%
patches = notebook.yours(im2col, lesson07.im2col, alike=True)
print(patches(x[None, :, :, None], 2))

# %% [markdown]
# ### Exercise 7.4: the layer   *(10 minutes)*
#
# Put it together: patches, one product, the bias, `reshape`. `conv2d_forward` returns y **and a cache**, whatever the
# backward of lesson 8 will need. What will it need? Lesson 3's `dense_backward` needed its input and its weights, and
# this is a dense layer on patches. (Keep x and the patches can be made again; keep the patches and you need the shape of
# x. Either is fine.)


# %% tags=["exercise"]
def conv2d_forward(x, w, b, stride=1, pad=0):
    """Convolution: x (N, H, W, C), w (K, K, C, O), b (O,) to y (N, Ho, Wo, O), and a cache for backward."""
    # --- your code
    N, H, W, _ = x.shape
    K, _, C, O = w.shape
    Ho, Wo = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    cols = im2col(x, K, stride, pad)  # (N*Ho*Wo, K*K*C)
    y = cols @ w.reshape(K * K * C, O) + b  # (N*Ho*Wo, O)
    return y.reshape(N, Ho, Wo, O), (x, w, stride, pad)
    # --- end


# %% tags=["check"]
check("conv2d", conv2d_forward)  # forward alone; backward is lesson 8's

# %% [markdown]
# ### Measure it
#
# Four ways to the same numbers. The first is the definition as it stands, seven loops, one multiplication at a time.
# Yours come next. The last is minigan's own, which is what its networks train with (lesson 14 tells how it works).
#
# Predict before you run: how many times as fast as the seven loops is im2col? Ten? A hundred? A thousand?
# More?


# %%
def conv_seven_loops(x, w, b, stride=1, pad=0):
    """The definition, letter by letter."""
    N, H, W, C = x.shape
    K, _, _, O = w.shape
    Ho, Wo = lesson07.output_size(H, K, stride, pad), lesson07.output_size(W, K, stride, pad)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    y = np.zeros((N, Ho, Wo, O), x.dtype)
    for n in range(N):
        for i in range(Ho):
            for j in range(Wo):
                for o in range(O):
                    for p in range(K):
                        for q in range(K):
                            for c in range(C):
                                y[n, i, j, o] += padded[n, stride * i + p, stride * j + q, c] * w[p, q, c, o]
    return y + b


rng = np.random.default_rng(7)
side = notebook.fast(32, 16)
xs = rng.standard_normal((2, side, side, 16)).astype(np.float32)
ws = rng.standard_normal((4, 4, 16, 8)).astype(np.float32)
bs = np.zeros(8, np.float32)

layer = notebook.yours(conv2d_forward, ops.conv2d_forward)
ways = {  # and how often each is timed
    "seven loops": (conv_seven_loops, 1),
    "four loops (7.2)": (loops, 3),
    "im2col (7.4)": (lambda *given: layer(*given)[0], 20),
    "minigan's own": (lambda x, w, b, stride, pad: conv_forward(x, w, b, stride=stride, pad=pad), 20),
}
reference = conv_forward(xs, ws, bs, stride=2, pad=1)
milliseconds = {}
for name, (way, times) in ways.items():
    y = way(xs, ws, bs, 2, 1)
    if np.shape(y) != reference.shape:
        print(f"{name} gives an array of shape {np.shape(y)}, not {reference.shape}: it is not timed")
    elif not np.allclose(y, reference, atol=1e-4):
        print(f"{name} gives other numbers: its time would mean nothing")
    else:
        milliseconds[name] = 1000 * min(timeit.repeat(lambda way=way: way(xs, ws, bs, 2, 1), number=1, repeat=times))
slowest = milliseconds["seven loops"]
for name, time in milliseconds.items():
    print(f"{name:20s} {slowest / time:8.0f} times as fast as seven loops")

# %% tags=["picture"]
notebook.show(
    figures.convolution.speed(milliseconds),
    "Horizontal bars on a logarithmic axis: seven loops take longest; four loops, im2col and minigan's own are each "
    "many times faster.",
)

# %% [markdown]
# Every one of them does the same number of multiplications: $N H_o W_o \cdot K K C \cdot O$. What differs is how much
# Python stands between one multiplication and the next.
#
# **What it costs.** A pixel lies in up to $\lceil K/S \rceil^2$ windows, so the patch matrix is about $K^2/S^2$ times as
# large as the image. For the discriminator's second layer at batch 64 (32 x 32 x 64 channels, K = 4, S = 2):

# %%
image = 64 * 32 * 32 * 64 * 4  # N, H, W, C, bytes of a float32
matrix = 64 * 16 * 16 * (4 * 4 * 64) * 4
print(
    f"the image {image / 2**20:.0f} MiB, the patch matrix {matrix / 2**20:.0f} MiB: {matrix / image:.0f} times as large"
)

# %% [markdown]
# That is why `minigan/nn/im2col.py` builds the matrix for a few images at a time, small enough to stay in the
# processor's cache. You can read all of it now. The loops you wrote are there too, as `minigan/nn/loops.py`: slow,
# obvious, and the judge over all the fast ones.
#
# ### Exercise 7.5: a kernel by hand   *(10 minutes)*
#
# A network learns its kernels. You can also make one. Write down two kernels for colour images, as one array
# `edges` of shape (3, 3, 3, 2), that is K, K, colours, kernels:
#
# * `edges[..., 0]` says a positive number where the image gets **brighter to the right**,
# * `edges[..., 1]` where it gets **brighter downwards**,
# * both say 0 on a flat area, 0 on the other kind of edge, and listen to red, green and blue alike.

# %% tags=["exercise"]
# --- your code: edges = None  # np.array or np.stack of ..., shape (3, 3, 3, 2)
g = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 12  # right minus left, the middle row counts twice
edges = np.stack([np.repeat(k[:, :, None], 3, axis=2) for k in (g, g.T)], axis=3)  # (3, 3, 3, 2)
# --- end

# %% tags=["check"]
check("edge_kernels", edges)

# %% [markdown]
# Now a face, seen through them. It is drawn by `minigan.data.drawn.faces`, 64 x 64 x 3; the layer that looks at it is yours, if
# it was right when you timed it.

# %% tags=["picture"]
face = draw_face(11)[0] / 127.5 - 1  # (64, 64, 3), pixels in [-1, 1]
eye = layer if "im2col (7.4)" in milliseconds else ops.conv2d_forward
seen, _ = eye(face[None], lesson07.edge_kernels() if edges is None else edges, np.zeros(2), 1, 1)
notebook.show(
    figures.convolution.edges(face, seen[0]),
    "A drawn anime face; beside it the answers of the two kernels, positive and negative, and their strength together, "
    "which looks like a line drawing of the face.",
)

# %% [markdown]
# Nobody tells a network to look for edges. First layers of trained networks are full of such kernels all the same (figure
# 2 of M. Zeiler and R. Fergus, [arXiv:1311.2901](https://arxiv.org/abs/1311.2901)): edges are what images are made of.
#
# ## Break it
#
# ### Exercise 7.6: a broken im2col   *(8 minutes)*
#
# A classmate has found `sliding_window_view`, which makes all windows without any loop, and no copy:


# %%
def broken_im2col(x, K, stride=1, pad=0):
    """A classmate's. It has been tried with x of shape (1, 5, 5, 1), K = 3, stride 1, pad 0, and was right."""
    C = x.shape[3]
    padded = np.pad(x, pad)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (K, K), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    return windows.reshape(-1, K * K * C)


# check("im2col", broken_im2col)  # what does the checker say? Take away the # and see.

# %% [markdown]
# <details><summary>What the checker says</summary>
#
# ```
# im2col   FAIL   E13   broken_im2col: the result has shape (200, 27), expected (60, 27)
#   in 4 of 6 cases, such as x (2, 5, 6, 3), K = 3, stride = 1, pad = 1
# ```
#
# A shape comes before numbers, and this one is a lot too large: 200 patches for 60 places. When that is mended, it goes on:
#
# ```
# im2col   FAIL   E30   half_mended: 96 of 108 values of the result are wrong
#   worst at (0, 8): yours -1.879, expected +1.645
#   in 4 of 6 cases, such as x (1, 7, 5, 2), K = 3, stride = 2, pad = 0
#   Probably: Each row has its channels first, (C, K, K). w.reshape(K*K*C, O) runs through (K, K, C), so the
#     rows must too.
# ```
#
# </details>
#
# There are two bugs, and the one test it had could see neither. Why not? Print `windows.shape`. Then mend it: the
# idea is good.


# %% tags=["exercise"]
def repaired_im2col(x, K, stride=1, pad=0):
    """broken_im2col, repaired."""
    # --- your code
    C = x.shape[3]
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))  # np.pad(x, pad) pads all four axes
    windows = np.lib.stride_tricks.sliding_window_view(padded, (K, K), axis=(1, 2))  # (N, ..., ..., C, K, K): C first
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)  # (N, Ho, Wo, K, K, C)
    return windows.reshape(-1, K * K * C)
    # --- end


# %% tags=["check"]
check("im2col", repaired_im2col)

# %% [markdown]
# <details><summary>Why its one test could not see them</summary>
#
# `np.pad(x, pad)` pads all four axes, images and channels too; with pad = 0 there is nothing to see. And the windows come
# out as (N, Ho, Wo, **C**, K, K), channels first; with one channel there is nothing to mix up. A test with one channel and
# without padding is half a test.
#
# </details>
#
# ### Exercise 7.7: six suspects   *(12 minutes)*
#
# Six people have handed in a convolution. You may call each of them, `lesson07.SUSPECTS["A"](x, w, b, stride, pad)`, but
# you do not get to read them. One is right. Each of the others has one of these faults:
#
# | word | fault |
# |---|---|
# | `"fine"` | nothing is wrong with it |
# | `"flipped"` | the kernel is turned upside down and left to right |
# | `"exchanged"` | rows and columns of the kernel are exchanged |
# | `"biases"` | the bias is added K*K times |
# | `"one-sided"` | all padding is at the bottom and on the right |
# | `"edge"` | the padding repeats the border instead of being zeros |
# | `"rows-only"` | the stride moves the window down, but not across |
# | `"channels-first"` | patches are unrolled in the order (C, K, K), the kernel in the order (K, K, C) |
#
# Random numbers tell you *that* one is wrong. To see *what* is wrong, choose the input: the sharpest probe is an
# **impulse**, an image of zeros with a single 1. The answer to it is the kernel itself, seen from behind (why from
# behind?). Do not guess: for each word, think of an input that would give it away.
#
# <details><summary>Why from behind?</summary>
#
# The 1 is at (1, 1). Place (0, 0) meets it with tap (1, 1), place (1, 1) with tap (0, 0): the further the place, the smaller
# the tap. So a *right* convolution of an impulse shows the kernel turned over. Lesson 8 is built on this.
#
# </details>

# %%
impulse = np.zeros((1, 3, 3, 1))
impulse[0, 1, 1, 0] = 1
numbers = np.array([[1.0, 2], [3, 4]])[:, :, None, None]
for letter, suspect in lesson07.SUSPECTS.items():
    print(letter, suspect(impulse, numbers, np.zeros(1), 1, 0)[0, :, :, 0].tolist())

# %% tags=["exercise"]
# --- your code: suspects = None  # such as {"A": "fine", "B": "biases", ...}
suspects = {"A": "one-sided", "B": "channels-first", "C": "fine", "D": "flipped", "E": "rows-only", "F": "exchanged"}
# --- end

# %% tags=["check"]
check("conv_hunt", suspects)

# %% [markdown] tags=["solution"]
# What gave them away: D and F on the impulse above. A on an impulse in the corner with pad = 1, where it answers in the wrong
# places. E with stride 2 and a 1 x 1 kernel of 1 on the pixels 10*i + j, where it says 0, 1, 2 instead of 0, 2, 4. B on two
# channels, with a kernel that is 1 for the first and 0 for the second. And C on nothing.

# %% [markdown]
# ## Three questions
#
# **1.** The generator's 3 x 3 convolution keeps 32 x 32 pixels at 32 x 32. Which stride and padding does that take? Can
# a 4 x 4 kernel do the same?
#
# <details><summary>Answer</summary>
#
# Stride 1, and $H + 2P - 3 + 1 = H$, so P = 1. For K = 4 it would have to be $2P = 3$: no whole number. Libraries pad
# such layers on one side more than on the other (Keras's "same" puts the odd one at the bottom and on the right). It is
# one reason why kernels that keep the size are usually odd.
#
# </details>
#
# **2.** `im2col` with K = 1, S = 1, P = 0: what does the patch matrix look like, and what is such a convolution?
#
# <details><summary>Answer</summary>
#
# It is x itself, reshaped to $(N H W,\, C)$: every pixel is a patch. A 1 x 1 convolution is lesson 3's dense layer, applied
# to the channels of each pixel. At the other end, a kernel as large as the image has one place, the patch matrix is
# `x.reshape(N, -1)`, and the convolution is a dense layer on the whole image. Both are the same thing at different
# window sizes.
#
# </details>
#
# **3.** A dense layer from 64 x 64 x 3 pixels to 32 x 32 x 64 numbers has how many weights, and how many has the
# discriminator's first convolution, between the same shapes? What has been given up?
#
# <details><summary>Answer</summary>
#
# $12\,288 \cdot 65\,536 \approx 805$ million, against $4\cdot4\cdot3\cdot64 = 3\,072$. Given up is the freedom to look at
# far-away pixels together (each output sees 4 x 4 of them) and to ask different questions in different places (all
# share one kernel). For images both are no loss: an eye is an eye wherever it is.
#
# </details>
#
# ## What comes next
#
# You have turned the loops into three steps: copy patches, multiply, reshape. Lesson 8 goes backwards through the three.
# Two of them you know already. The third, undoing the copying, is where most handwritten convolutions go wrong, and
# where you will meet the generator's layer without looking for it.
#
# ### To read
#
# * V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning",
#   [arXiv:1603.07285](https://arxiv.org/abs/1603.07285): sizes, strides and paddings, drawn.
# * K. Chellapilla, S. Puri and P. Simard, "High performance convolutional neural networks for document processing", 2006:
#   an early use of unrolling convolutions into a matrix product.
# * `minigan/nn/loops.py` and `minigan/nn/im2col.py`: both halves of this lesson as minigan has them.

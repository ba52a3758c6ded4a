# %% [markdown]
# # Lesson 14: Make it fast
#
# Everything you have written so far is right. Is it fast? A training step of the whole GAN is 178 thousand million
# operations, and the same operations can take ten hours or one second on the same computer. This lesson takes **one layer** of
# the generator from the first to the second, and you measure every step of the way.
#
# There is no magic in it. There are three ideas: *let the processor do what it does best*, *do fewer multiplications*, and
# *do not carry numbers about*. The third is the one that people forget, and you will see it eat a good part of what the
# second has saved. Lessons about speed usually leave that out.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 14.1 | count the work: FLOP and bytes of a layer | 10 |
# | 14.2 | one product for four loops: im2col | 10 |
# | 14.3, 14.4 | the phase split: one transposed convolution as four small ones | 25 |
# | 14.5, 14.6 | Winograd's trick, in one dimension and in two | 20 |
# | 14.7 to 14.9 | the same for whole images | 30 |
# | 14.10, 14.11 | break it: make it lose its digits; five suspects | 20 |
# | 14.12 | six lines on a GPU | 5 |
#
# With reading, two and a half hours; 14.6 is a good place for a pause. You need lesson 7 (`im2col`) and lesson 9 (the
# transposed convolution). The notebook computes for less than a minute. No GPU is needed.
#
# **Times differ.** Yours will not be those of this page, and they will differ from run to run, because other programs use
# the machine too. Compare *within* one table, measured at one sitting. Nothing here is graded by the clock.

# %% tags=["setup"]
# setup

# %%
import time

import numpy as np

from lessons import figures, notebook, shared_layer
from lessons.exercises import lesson14
from lessons.notebook import check
from minigan.data.drawn.faces import draw_face
from minigan.fast.cpu.winograd import minimal_filter
from minigan.nn.conv import conv_forward, conv_input_grad
from minigan.ranks.program import run
from minigan.system.cores import usable_cores
from minigan.system.workers import using_workers

# %% [markdown]
# ## The idea
#
# ### Measure first
#
# "I think this loop is slow" is how days are lost. Speed is measured, and measured against something: how fast *could* this
# machine be?
#
# A processor does two things: it computes, and it moves numbers. So there are two limits.
#
# * A **FLOP** is one operation, an addition or a multiplication, on floating-point numbers. What a processor does fastest is
#   a product of two large matrices. For two of n x n, each of the n² results needs n multiplications and n additions:
#   $2n^3$ FLOP. The BLAS routine that does it in float32 is called `sgemm`, and its rate is the best you will ever see.
# * A **byte** is a quarter of a float32. Copying a large array reads each byte and writes it again.
#
# Here is our stopwatch. It runs the function once to warm up (first calls are slow: memory is fetched, caches
# are cold), then takes the *shortest* of several times: what disturbs a measurement only ever makes it longer. And it keeps
# everything on **one core**: BLAS would use all of them, and then we would compare how well it does that, and not methods.


# %%
REPEATS = notebook.fast(5, 1)


def seconds(function, *arguments, repeats=REPEATS):
    """The shortest of several runs, on one core."""
    with using_workers(1):
        function(*arguments)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            function(*arguments)
            times.append(time.perf_counter() - start)
    return min(times)


def report(name, t):
    """Time, rate, and share of the best rate."""
    print(f"{name:24} {t * 1e3:7.2f} ms {FLOP / t / 1e9:7.1f} GFLOP/s {FLOP / t / peak:5.0%} of sgemm")


n = notebook.fast(1024, 128)
square = np.ones((n, n), np.float32)
peak = 2 * n**3 / seconds(np.matmul, square, square)

source = np.ones(notebook.fast(1 << 24, 1 << 16), np.float32)
target = np.empty_like(source)
bandwidth = 2 * source.nbytes / seconds(np.copyto, target, source)

print(f"one core multiplies matrices at {peak / 1e9:6.1f} GFLOP/s (thousand million operations a second)")
print(f"          and moves memory at   {bandwidth / 1e9:6.1f} GB/s")
print(f"so in the time of one byte it could do {peak / bandwidth:.0f} operations")

# %% [markdown]
# Look at the last number. A float32 has four bytes, so a number fetched from memory has to be used some *forty to a hundred
# times* before multiplying, and not fetching, is what takes the time. $y = 2x$ uses it once.
#
# ### One layer, by hand
#
# Our layer is the generator's fourth: 16 x 16 pixels of 128 channels become 32 x 32 of 64, a transposed convolution with
# K = 4 and S = 2. We take N = 32 images.
#
# **Operations.** Lesson 9: every input pixel is stamped onto the output, with 4 x 4 taps. One pixel and one tap are C
# numbers times a C x O matrix: C·O multiplications and as many additions. So
#
# $$ 2 \cdot N \cdot H \cdot W \cdot K^2 \cdot C \cdot O \;=\; 2 \cdot 32 \cdot 16 \cdot 16 \cdot 16 \cdot 128 \cdot 64
#    \;=\; 2^{31} \;\approx\; 2.1 \text{ GFLOP}. $$
#
# (Stamps at the border are partly cropped; one counts them all the same.)
#
# **Bytes.** What must be moved whatever the method: read x, read w, write y.
#
# | | shape | values | bytes |
# |---|---|---|---|
# | x | (32, 16, 16, 128) | 1,048,576 | 4.2 MB |
# | w | (4, 4, 64, 128) | 131,072 | 0.5 MB |
# | y | (32, 32, 32, 64) | 2,097,152 | 8.4 MB |
# | | | 3,276,800 | **13.1 MB** |
#
# **Arithmetic intensity** is the one divided by the other: $2^{31} / 13{,}107{,}200 = 164$ FLOP for every byte. That is far above
# the number printed a moment ago. So this layer *can* run at the rate of the matrix product, if we let it.
#
# Draw both limits into one picture and you have the machine's **roofline** (Williams, Waterman and Patterson, "Roofline: an
# insightful visual performance model", Communications of the ACM 52(4), 2009). A program of intensity $I$ can do no more than
# $\min(\text{peak},\, I \cdot \text{bandwidth})$ operations a second.

# %% tags=["picture"]
points = {
    "y = 2x": (1 / 8, np.nan),
    "this layer": (164, np.nan),
}
notebook.show(
    figures.speed.roofline(peak, bandwidth, points),
    "The roofline on logarithmic axes: it rises with the arithmetic intensity up to the ridge and is flat beyond it. "
    "y = 2x, at an eighth of a FLOP per byte, meets the slanted part; the layer, at 164, the flat part.",
)

# %% [markdown]
# ### Exercise 14.1: count the work   *(10 minutes)*
#
# Write the count for any such layer (K = 4, S = 2, so y has twice the height and width): return a pair `(flop, bytes)`, for
# float32.


# %% tags=["exercise"]
def work(N, H, W, C, O):
    """FLOP of the definition, and bytes of x, w and y, of a transposed convolution with K = 4 and S = 2."""
    # --- your code
    flop = 2 * N * H * W * 16 * C * O
    values = N * H * W * C + 16 * C * O + N * (2 * H) * (2 * W) * O
    return flop, 4 * values
    # --- end


# %% tags=["check"]
check("work", work)  # hint=1, hint=2, hint=3 say more

# %%
print("layer                              FLOP    bytes   FLOP per byte")
count = notebook.yours(work, lesson14.work)
for side, C, O in ((4, 512, 256), (8, 256, 128), (16, 128, 64), (32, 64, 3)):
    flop, moved = count(32, side, side, C, O)
    layer = f"{side:2} x {side:2} x {C:3} to {2 * side:2} x {2 * side:2} x {O:3}"
    print(f"{layer} {flop / 1e9:8.2f} G {moved / 1e6:5.1f} MB {flop / moved:9.0f}")

# %% [markdown]
# The last layer, the one that makes the image, has only 3 channels out: little work for each byte. It is a different
# animal, and minigan treats it differently. We stay with the third.
#
# ## The derivation, in four steps
#
# ### Step 0: loops
#
# Here is the definition, as plain as it gets: one multiplication at a time. We run it on a crumb of the layer and work out
# how long the whole would take.


# %%
def every_number(x, w):
    """A transposed convolution, K = 4, S = 2, P = 1, one multiplication at a time."""
    N, H, W, C = x.shape
    O = w.shape[2]
    y = np.zeros((N, 2 * H + 2, 2 * W + 2, O), x.dtype)
    for n in range(N):
        for i in range(H):
            for j in range(W):
                for p in range(4):
                    for q in range(4):
                        for o in range(O):
                            for c in range(C):
                                y[n, 2 * i + p, 2 * j + q, o] += x[n, i, j, c] * w[p, q, o, c]
    return y[:, 1:-1, 1:-1]  # P = 1: one pixel cropped on every side


rng = np.random.default_rng(14)
N, H, W, C, O = LAYER = notebook.fast((32, 16, 16, 128, 64), (4, 8, 8, 16, 8))
x = rng.standard_normal((N, H, W, C)).astype(np.float32)
w = (rng.standard_normal((4, 4, O, C)) / np.sqrt(4 * C)).astype(np.float32)
FLOP, BYTES = lesson14.work(*LAYER)

crumb = x[:1, :2, :2, :8], w[:, :, :4, :8]
t = seconds(every_number, *crumb)
rate = lesson14.work(1, 2, 2, 8, 4)[0] / t
print(f"one number at a time: {rate / 1e9:.4f} GFLOP/s; the whole layer would take {FLOP / rate:.0f} s")
print(f"that is one part in {peak / rate:,.0f} of what the core can do")

# %% [markdown]
# Not the arithmetic is slow here but Python: for each multiplication it looks up names, makes index tuples, unpacks and
# packs numbers. The processor waits.
#
# Lesson 9's loops did better already: they let NumPy do the two inner loops, as a product of (N, C) with (C, O). That is
# `transposed_loops`, and here are its times. The second method is the other one you know: *one* large product, and then
# every tap's results added where they belong, the adjoint of `im2col` from lesson 8.


# %%
def transposed_loops(x, w):
    """Lesson 9: for every pixel and tap, a product over the channels."""
    N, H, W, _ = x.shape
    y = np.zeros((N, 2 * H + 2, 2 * W + 2, w.shape[2]), x.dtype)
    for i in range(H):
        for j in range(W):
            for p in range(4):
                for q in range(4):
                    y[:, 2 * i + p, 2 * j + q] += x[:, i, j] @ w[p, q].T  # (N, C) @ (C, O)
    return y[:, 1:-1, 1:-1]


def product_and_scatter(x, w):
    """Lesson 8's col2im: one product for all pixels and taps, then add up."""
    N, H, W, C = x.shape
    O = w.shape[2]
    stamps = (x.reshape(-1, C) @ w.reshape(16 * O, C).T).reshape(N, H, W, 4, 4, O)
    y = np.zeros((N, 2 * H + 2, 2 * W + 2, O), x.dtype)
    for p in range(4):
        for q in range(4):
            y[:, p : p + 2 * H : 2, q : q + 2 * W : 2] += stamps[:, :, :, p, q]
    return y[:, 1:-1, 1:-1]


right = conv_input_grad(x.astype(float), w.astype(float), stride=2, pad=1, size=(2 * H, 2 * W))
assert np.allclose(transposed_loops(x, w), right, atol=1e-4)
assert np.allclose(product_and_scatter(x, w), right, atol=1e-4)

times = {}
for name, function in (("loops", transposed_loops), ("product, scatter", product_and_scatter)):
    times[name] = seconds(function, x, w)
    report(name, times[name])

# %% [markdown]
# Thousands of times as fast as the seven loops. And yet less than half of what the core can do. Where is the rest? In the stamps.
# `stamps` holds 16 taps for each pixel:
#
# $$ 32 \cdot 16 \cdot 16 \cdot 16 \cdot 64 \text{ values} \cdot 4 \text{ bytes} \;=\; 33.6 \text{ MB}, $$
#
# four times y. It is written once, and read again to be added into y, and every pixel of y is fetched and put back four
# times. None of this is arithmetic. Can we compute each output pixel *once*, whole, and write it down?
#
# ### Step 1: one product for four loops
#
# That is what an ordinary convolution does, and you know how to make it one product. To have the tool ready, write the
# smallest convolution there is: a kernel of 2 x 2, stride 1, no padding.
#
# By hand, one channel:
#
# $$ x = \begin{pmatrix} 1&2&4\\ 3&5&6 \end{pmatrix} \quad w = \begin{pmatrix} 1&10\\ 100&1000 \end{pmatrix} \qquad
#    \text{patches} = \begin{pmatrix} 1&2&3&5\\ 2&4&5&6 \end{pmatrix} \qquad
#    y = \text{patches} \cdot \begin{pmatrix} 1\\10\\100\\1000 \end{pmatrix} = \begin{pmatrix} 5321\\ 6542 \end{pmatrix} $$
#
# Two output pixels, two rows of the patch matrix; four taps, four columns. With powers of ten as the taps you can read in the
# result which pixel met which tap: 5321 is 1, 2, 3, 5 from the right.
#
# ### Exercise 14.2: im2col for 2 x 2   *(10 minutes)*
#
# x is (N, H, W, C), w is (2, 2, C, O), the result is (N, H-1, W-1, O). Loops over the four *taps* are fine; no loops over
# pixels.


# %% tags=["exercise"]
def conv2x2(x, w):
    """y[n, i, j] = sum over p, q of x[n, i+p, j+q] @ w[p, q], as one matrix product."""
    # --- your code
    N, H, W, C = x.shape
    O = w.shape[3]
    patches = np.empty((N, H - 1, W - 1, 2, 2, C), x.dtype)
    for p in range(2):
        for q in range(2):
            patches[:, :, :, p, q] = x[:, p : p + H - 1, q : q + W - 1]
    return (patches.reshape(-1, 4 * C) @ w.reshape(4 * C, O)).reshape(N, H - 1, W - 1, O)
    # --- end


# %% tags=["check"]
check("conv2x2", conv2x2)

# %% [markdown]
# ### Step 2: the phase split
#
# Take one axis, and follow lesson 9: input $x_i$ puts $x_i w_p$ onto place $2i + p$ of a long output, of which one place is
# cropped on each side. Place $r$ of the cropped output is place $r + 1$ of the long one, so
#
# $$ y_r \;=\; \sum_{2i + p \,=\, r + 1} x_i\, w_p . $$
#
# *Which taps does $y_r$ see?* $p = r + 1 - 2i$. Whatever $i$ is, $2i$ is even. So **p is odd when r is even, and even when r
# is odd.** Of four taps, every output sees only two, and which two depends on nothing but whether it is even or odd.
#
# Even outputs, $r = 2u$. The taps are $p = 1$ with $2i = 2u$, and $p = 3$ with $2i = 2u - 2$:
#
# $$ y_{2u} \;=\; x_{u-1}\, w_3 + x_u\, w_1 . $$
#
# Odd outputs, $r = 2u + 1$. The taps are $p = 0$ with $2i = 2u + 2$, and $p = 2$ with $2i = 2u$:
#
# $$ y_{2u+1} \;=\; x_u\, w_2 + x_{u+1}\, w_0 . $$
#
# Each line is **a convolution with two taps and stride 1**: the even outputs are x convolved with $(w_3, w_1)$, the odd ones
# with $(w_2, w_0)$. Nothing is scattered any more, nothing is added twice.
#
# With numbers: $x = (1, 2)$ and $w = (1, 10, 100, 1000)$. The stamps are (1, 10, 100, 1000) at place 0 and
# (2, 20, 200, 2000) at place 2. Added: 1, 10, 102, 1020, 200, 2000. Cropped: **10, 102, 1020, 200**. And by the formulas
#
# | | | |
# |---|---|---|
# | $y_0$ | $0 \cdot 1000 + 1 \cdot 10$ | 10 |
# | $y_1$ | $1 \cdot 100 + 2 \cdot 1$ | 102 |
# | $y_2$ | $1 \cdot 1000 + 2 \cdot 10$ | 1020 |
# | $y_3$ | $2 \cdot 100 + 0 \cdot 1$ | 200 |

# %% tags=["picture"]
notebook.show(
    figures.speed.one_axis(),
    "One axis of the transposed convolution: inputs above, with a zero at each end, outputs below. Solid arrows go to even "
    "outputs and carry taps 3 and 1, dashed arrows go to odd outputs and carry taps 2 and 0.",
)

# %% [markdown]
# Put a zero before and after x, and call that $X$, so that $X_{u+1} = x_u$. Then with $a = 0$ for even and $a = 1$ for odd
# outputs, both lines become one:
#
# $$ y_{2u+a} \;=\; X_{u+a}\, w_{3-a} + X_{u+a+1}\, w_{1-a} . $$
#
# Check it: $a = 0$ gives $X_u w_3 + X_{u+1} w_1 = x_{u-1} w_3 + x_u w_1$.
# And $a = 1$ gives $X_{u+1} w_2 + X_{u+2} w_0 = x_u w_2 + x_{u+1} w_0$.
# So *phase a takes taps 3-a and 1-a, in this order, and its windows begin at padded pixel a.*
#
# An image has two axes, and each has its phase: $a$ for rows, $b$ for columns. That makes four convolutions with 2 x 2 taps,
# and the 16 taps of the kernel are dealt out to them, four to each, none twice.

# %% tags=["picture"]
notebook.show(
    figures.speed.four_phases(),
    "Four panels. The output's pixels in four colours, lettered A and B in even rows, C and D in odd ones; the sixteen taps "
    "of the kernel with the letter of the phase that uses them; the four kernels of 2 x 2 gathered from them, with taps in "
    "falling order; and the windows on the padded input which four neighbouring output pixels see, each shifted by one.",
)

# %% [markdown]
# This is why lesson 9's checkerboards come and go with the kernel: the four phases are four different kernels, and nobody
# tells them to agree. (It also shows why K = 4 is better than K = 3 for S = 2: three taps cannot be dealt out evenly. Odena,
# Dumoulin and Olah, "Deconvolution and checkerboard artifacts", Distill 2016, doi:10.23915/distill.00003.)
#
# ### Exercise 14.3: deal out the taps   *(10 minutes)*
#
# From w of shape (4, 4, O, C), the transposed layer's layout, make the four small kernels as one array of shape
# (2, 2, 2, 2, C, O): axes a, b (which phase), p, q (which tap), and then C, O, the way `conv2x2` wants it.


# %% tags=["exercise"]
def phase_kernels(w):
    """The four kernels of 2 x 2 that a kernel of 4 x 4 consists of."""
    # --- your code
    k = w.transpose(0, 1, 3, 2)  # (4, 4, C, O)
    return np.stack([np.stack([k[3 - a :: -2, 3 - b :: -2] for b in range(2)]) for a in range(2)])
    # --- end


# %% tags=["check"]
check("phase_kernels", phase_kernels)

# %% [markdown]
# ### Exercise 14.4: four convolutions, put together   *(15 minutes)*
#
# Write the whole layer. `kernels` is what `phase_kernels` returns. `conv(part, kernel)` is a convolution like `conv2x2`, from
# (N, H+1, W+1, C) to (N, H, W, O); that it is an argument lets us put in a better one later. (The default is right but slow,
# so that this exercise does not depend on the one before.)


# %% tags=["exercise"]
def upsample(x, kernels, conv=lesson14.conv2x2):
    """Transposed convolution, K = 4, S = 2, P = 1, as four convolutions: (N, H, W, C) to (N, 2H, 2W, O)."""
    # --- your code
    N, H, W, _ = x.shape
    X = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))  # (N, H+2, W+2, C)
    y = np.empty((N, 2 * H, 2 * W, kernels.shape[-1]), x.dtype)
    for a in range(2):
        for b in range(2):
            y[:, a::2, b::2] = conv(X[:, a : a + H + 1, b : b + W + 1], kernels[a, b])
    return y
    # --- end


# %% tags=["check"]
check("upsample", upsample)

# %% [markdown]
# The picture: a face of 32 x 32, enlarged by your function. The kernel is the one that draws straight lines between
# neighbouring pixels, $(\tfrac14, \tfrac34, \tfrac34, \tfrac14)$ along each axis. Each phase is a small image of its own,
# shifted by half a pixel against the next; together they are the large one.

# %% tags=["picture"]
face = draw_face(8, size=32)[0].astype(float).mean(axis=2) / 127.5 - 1
tent = np.array([1, 3, 3, 1]) / 4
enlarge = np.outer(tent, tent)[:, :, None, None]
mine = notebook.yours(upsample, lesson14.upsample)(face[None, :, :, None], lesson14.phase_kernels(enlarge))
notebook.show(
    figures.speed.phases_of(mine[0, :, :, 0], lesson14.transposed_loops(face[None, :, :, None], enlarge)[0, :, :, 0]),
    "Four small images of a face, one for each phase, the large face put together from them, and its difference from "
    "lesson 9's loops, which is nothing but rounding.",
)

# %%
fast_conv = notebook.yours(conv2x2, lesson14.conv2x2)
fast_upsample = notebook.yours(upsample, lesson14.upsample)
kernels = np.ascontiguousarray(notebook.yours(phase_kernels, lesson14.phase_kernels)(w))


def phases_im2col(x):
    return fast_upsample(x, kernels, fast_conv)


times["phases, im2col"] = seconds(phases_im2col, x)
for name, t in times.items():
    report(name, t)

# %% [markdown]
# Disappointed? It is about as fast as the scatter, perhaps even slower. Count, and you see why. A patch of 2 x 2 pixels has
# four times the numbers of a pixel, so each phase makes a patch matrix four times as large as x:
#
# $$ 4 \text{ phases} \cdot 4 \cdot 4.2 \text{ MB} = 67 \text{ MB, written once and read once: } 134 \text{ MB}, $$
#
# beside the 13.1 MB that have to be moved. We have traded stamps of 33.6 MB for patches of 67 MB. **Measuring has saved us
# from believing in an elegant idea.** But the idea was not for nothing: a convolution of 2 x 2 with stride 1 is exactly the
# one for which there is a trick.
#
# ### Step 3: fewer multiplications
#
# #### One dimension, by hand
#
# Two taps $g_0, g_1$, and two neighbouring outputs. They see three inputs:
#
# $$ y_0 = d_0 g_0 + d_1 g_1, \qquad y_1 = d_1 g_0 + d_2 g_1 . $$
#
# Four multiplications. With $d = (1, 2, 4)$ and $g = (3, 5)$: $y_0 = 3 + 10 = 13$, $y_1 = 6 + 20 = 26$.
#
# Now the trick. The input in the middle, $d_1$, meets *both* taps: once in $y_0$, once in $y_1$. Let both meetings be one
# product:
#
# $$ m_1 = d_1\,(g_0 + g_1). $$
#
# It contains what $y_0$ needs of $d_1$, namely $d_1 g_1$, and too much, $d_1 g_0$. What is missing from $y_0$ then?
#
# $$ y_0 - m_1 \;=\; d_0 g_0 + d_1 g_1 - d_1 g_0 - d_1 g_1 \;=\; d_0 g_0 - d_1 g_0 \;=\; (d_0 - d_1)\, g_0 . $$
#
# One product! And the same for the other output:
#
# $$ y_1 - m_1 \;=\; d_1 g_0 + d_2 g_1 - d_1 g_0 - d_1 g_1 \;=\; d_2 g_1 - d_1 g_1 \;=\; (d_2 - d_1)\, g_1 . $$
#
# So three products do the work of four:
#
# $$ m_0 = (d_0 - d_1)\,g_0, \quad m_1 = d_1\,(g_0 + g_1), \quad m_2 = (d_2 - d_1)\,g_1, \qquad y_0 = m_0 + m_1, \quad y_1 = m_1 + m_2 . $$
#
# With the numbers: $m_0 = -1 \cdot 3 = -3$, $m_1 = 2 \cdot 8 = 16$, $m_2 = 2 \cdot 5 = 10$. $y_0 = 13$ and $y_1 = 26$. It is exact.
#
# This is called F(2,2): two outputs, two taps. In general F(m, r) needs $m + r - 1$ products and no fewer (S. Winograd,
# "Arithmetic complexity of computations", SIAM, 1980). A. Lavin and S. Gray brought it to neural networks (arXiv:1509.09308).
# There are additions in exchange, but wait who pays for them.

# %% tags=["picture"]
notebook.show(
    figures.speed.products_1d(),
    "From left to right: three inputs d0, d1, d2; the differences d0 - d1, d1, d2 - d1; three products m0, m1, m2 with g0, "
    "g0 + g1 and g1; and two outputs, of which each is a sum of m1 and one other product.",
)

# %% [markdown]
# ### Exercise 14.5: three products   *(5 minutes)*
#
# d has three elements, g two; return an array of the two outputs. The checker *counts* your multiplications: it calls you
# with numbers that remember them. (Elements may be numbers or whole arrays, which the next exercise will use: write with
# `d[0]`, `g[1]`, and `np.stack`.)


# %% tags=["exercise"]
def winograd_1d(d, g):
    """Two outputs of a filter of two taps, from three products."""
    # --- your code
    m0 = (d[0] - d[1]) * g[0]
    m1 = d[1] * (g[0] + g[1])
    m2 = (d[2] - d[1]) * g[1]
    return np.stack([m0 + m1, m1 + m2])
    # --- end


# %% tags=["check"]
check("winograd_1d", winograd_1d)

# %% [markdown]
# #### Two dimensions: say it again, about rows
#
# A tile of 2 x 2 outputs of a 2 x 2 kernel sees 3 x 3 inputs. The definition multiplies 4 outputs x 4 taps = 16 times.
#
# Call the *rows* of the inputs $d_0, d_1, d_2$, the rows of the taps $g_0, g_1$, the rows of the outputs $y_0, y_1$. And let
# $d \ast g$ be the convolution of a row of three inputs with a row of two taps, which gives two outputs. Then
#
# $$ y_0 = d_0 \ast g_0 + d_1 \ast g_1, \qquad y_1 = d_1 \ast g_0 + d_2 \ast g_1 . $$
#
# These are the lines we began with, letter by letter, with $\ast$ in the place of the product. In the derivation we used that
# one may multiply out, $d_1 \ast (g_0 + g_1) = d_1 \ast g_0 + d_1 \ast g_1$, and nothing else. Convolution may be multiplied out too. So
#
# $$ m_0 = (d_0 - d_1) \ast g_0, \quad m_1 = d_1 \ast (g_0 + g_1), \quad m_2 = (d_2 - d_1) \ast g_1, \qquad y_0 = m_0 + m_1, \quad y_1 = m_1 + m_2 , $$
#
# three convolutions of rows, each of which takes three products by exercise 14.5. **3 x 3 = 9 instead of 16.**
#
# ### Exercise 14.6: nine products   *(15 minutes)*
#
# d is (3, 3), g is (2, 2), the result (2, 2). Use `winograd_1d`. It is shorter than you think.


# %% tags=["exercise"]
def winograd_2d(d, g):
    """2 x 2 outputs of a 2 x 2 filter, from nine products."""
    # --- your code
    m0 = winograd_1d(d[0] - d[1], g[0])
    m1 = winograd_1d(d[1], g[0] + g[1])
    m2 = winograd_1d(d[2] - d[1], g[1])
    return np.stack([m0 + m1, m1 + m2])
    # --- end


# %% tags=["check"]
check("winograd_2d", winograd_2d)

# %% [markdown]
# #### Who pays for the additions
#
# A multiplication saved is nothing if it costs an addition: on today's processors both take the same time. The gain is in
# the **channels**. An output is a sum over C input channels, for each of O output channels. Look at what is done how often:
#
# * the differences of the inputs, $d_0 - d_1$ and so on: once for each input channel, *whatever O is*;
# * the sums of the taps, $g_0 + g_1$: once for each kernel, *whatever the number of pixels*;
# * the sums $m_0 + m_1$: they may be done *after* the sum over channels, since a sum of sums can be added up in any order.
#   Once for each output channel, *whatever C is*;
# * the products: for each input channel *and* each output channel.
#
# With C = 128 and O = 64 the products are nearly everything. And for each of the nine, "sum over channels, for every tile and
# every output channel" is a matrix product:
#
# $$ V_{rs}: (\text{tiles}, C), \qquad U_{rs}: (C, O), \qquad M_{rs} = V_{rs}\, U_{rs}: (\text{tiles}, O). $$
#
# V are the transformed inputs, U the transformed taps; minigan uses the same letters. The transform along rows and then along
# columns is again the formula twice: $r$ says which of the three combinations of rows, $s$ which of columns.

# %% tags=["picture"]
notebook.show(
    figures.speed.nine_products(lesson14.input_tiles, lesson14.kernel_tiles),
    "Nine pairs of small grids, for r and s from 0 to 2. Of the inputs, the corner products take four pixels with alternating "
    "signs, the middle ones two, and V[1,1] the central pixel alone. Of the taps, the corner products take one, the middle ones "
    "the sum of two, and U[1,1] the sum of all four.",
)

# %% [markdown]
# Yellow (+1) and dark blue (-1) are added and subtracted, grey is not used. In the middle the central pixel meets the sum of all four
# taps: it is the one that all four outputs see.
#
# ### Exercise 14.7: the taps   *(5 minutes)*
#
# From w (2, 2, C, O) make U (3, 3, C, O): along rows $g_0,\; g_0 + g_1,\; g_1$, and the same along columns.


# %% tags=["exercise"]
def kernel_tiles(w):
    """U[r, s] for r, s = 0, 1, 2."""
    # --- your code
    rows = np.stack([w[0], w[0] + w[1], w[1]])  # (3, 2, C, O)
    return np.stack([rows[:, 0], rows[:, 0] + rows[:, 1], rows[:, 1]], axis=1)
    # --- end


# %% tags=["check"]
check("kernel_tiles", kernel_tiles)

# %% [markdown]
# ### Exercise 14.8: the inputs   *(10 minutes)*
#
# Tiles are two pixels apart and three wide, so neighbours share a row: tile k takes rows 2k, 2k+1, 2k+2. The $d_0$ of *all*
# tiles are the rows 0, 2, 4 ..., one slice; their $d_1$ and $d_2$ are two more.
#
# From x (N, 2·Th+1, 2·Tw+1, C) make V (3, 3, N, Th, Tw, C): along rows $d_0 - d_1,\; d_1,\; d_2 - d_1$, and the same along columns.
#
# Make V first, empty, and write each part where it belongs, with `np.subtract(a, b, out=V[...])`. `np.stack` of differences gives the
# same numbers, but writes them twice: once each difference, and again the stack. In this lesson, that is time.


# %% tags=["exercise"]
def input_tiles(x):
    """V[r, s] for r, s = 0, 1, 2, and for all tiles at once."""
    # --- your code
    N, H, W, C = x.shape
    V = np.empty((3, 3, N, H // 2, W // 2, C), x.dtype)
    d0, d1, d2 = x[:, :-1:2], x[:, 1::2], x[:, 2::2]
    for r, row in enumerate((d0 - d1, d1, d2 - d1)):
        left, middle, right = row[:, :, :-1:2], row[:, :, 1::2], row[:, :, 2::2]
        np.subtract(left, middle, out=V[r, 0])
        V[r, 1] = middle
        np.subtract(right, middle, out=V[r, 2])
    return V
    # --- end


# %% tags=["check"]
check("input_tiles", input_tiles)

# %% [markdown]
# ### Exercise 14.9: the convolution   *(15 minutes)*
#
# Now x (N, H, W, C) with odd H and W, and U from `kernel_tiles`. The result is what `conv2x2` would give for the kernel that U
# was made from, (N, H-1, W-1, O). Nine products, sums along rows, sums along columns, and the four outputs of a tile to
# `y[:, i::2, j::2]`.


# %% tags=["exercise"]
def winograd(x, U):
    """A convolution with 2 x 2 taps and stride 1, in nine products instead of sixteen."""
    # --- your code
    V = input_tiles(x)
    _, _, N, Th, Tw, C = V.shape
    O = U.shape[-1]
    M = (V.reshape(9, -1, C) @ U.reshape(9, C, O)).reshape(3, 3, N, Th, Tw, O)  # nine products, one after the other
    y = np.empty((N, 2 * Th, 2 * Tw, O), x.dtype)
    for i in range(2):
        row = M[i] + M[i + 1]
        for j in range(2):
            np.add(row[j], row[j + 1], out=y[:, i::2, j::2])
    return y
    # --- end


# %% tags=["check"]
check("winograd", winograd)

# %% [markdown]
# #### Put together
#
# Phase split and F(2,2): your `upsample` takes your `winograd` as its convolution. The taps are transformed beforehand, once for
# each step of training, however many images there are.


# %%
fast_winograd = notebook.yours(winograd, lesson14.winograd)
prepare = notebook.yours(kernel_tiles, lesson14.kernel_tiles)
tiles = np.stack([[prepare(kernels[a, b]) for b in range(2)] for a in range(2)])  # (2, 2, 3, 3, C, O)


def phases_winograd(x):
    return fast_upsample(x, tiles, fast_winograd)


def minigans(x):
    return conv_input_grad(x, w, stride=2, pad=1, size=(2 * H, 2 * W), kernel="winograd")


print("largest difference:", np.abs(phases_winograd(x) - right).max())
for name, function in (("phases, Winograd", phases_winograd), ("minigan", minigans)):
    times[name] = seconds(function, x)
for name, t in times.items():
    report(name, t)

# %% [markdown]
# ### Step 4: do not carry numbers about
#
# A processor keeps what it has used last in a **cache**, close at hand: one or two million bytes for each core, and a good deal
# faster than memory. What we make on the way, patches or V and M, is larger than that for 32 images. So it is written to
# memory and read back. But nobody says that the whole batch has to go through a step before the next begins. Take a few
# images, do *everything* to them, then the next few:


# %%
def in_chunks(function, x, size):
    """The same results, for `size` images at a time."""
    y = None
    for n in range(0, len(x), size):
        part = function(x[n : n + size])
        if y is None:
            y = np.empty((len(x), *part.shape[1:]), part.dtype)
        y[n : n + size] = part
    return y


small_steps = {
    "product, scatter": lambda part: product_and_scatter(part, w),
    "phases, im2col": phases_im2col,
    "phases, Winograd": phases_winograd,
}
sizes = [size for size in (1, 2, 4, 8, 16, 32) if size <= N]
by_chunk = {}
for name, function in small_steps.items():
    by_chunk[name] = [seconds(in_chunks, function, x, size) for size in sizes]
best = {name: sizes[int(np.argmin(of_sizes))] for name, of_sizes in by_chunk.items()}
for name, size in best.items():
    print(f"{name:18} is fastest with so many images at once: {size}")

# %% [markdown]
# **Before you look at the picture: what do you expect** for very small chunks, and for very large ones?

# %% tags=["picture"]
one = 4 * H * W  # bytes of one channel of one input image
scratch = {
    "product, scatter": one * 16 * O,
    "phases, im2col": one * 4 * C,  # of one phase at a time
    "phases, Winograd": one * (9 * C + 9 * O) / 4,
}
notebook.show(
    figures.speed.chunks(sizes, by_chunk, scratch),
    "Time for the batch against the number of images worked on at once, a curve for each of three methods. On most "
    "machines the curves are lowest somewhere between one image and the whole batch.",
)

# %% [markdown]
# Two forces. Small chunks stay in the cache, but their products are small, and the fixed cost of each call of NumPy (one to ten
# millionths of a second) comes more often: Winograd has nine products of (64 tiles, C) for one image, which is little for a BLAS made for
# thousands of rows, and each time it reads all of U. Large chunks have long products and miss the cache. The best lies between, and is
# different on every machine: minigan takes about 256 tiles at a time, larger ones than ours (more of them at the end).
#
# ### The bill
#
# All methods once more, and this time **in turn**: each once, then each once again, and so on. What disturbs the machine for a
# moment then disturbs all of them alike. And beside the times, what each method moves: x, w and y once, and what it makes on
# the way twice, since that is written *and* read.

# %%
methods = {
    "loops": lambda: transposed_loops(x, w),
    "product, scatter": lambda: product_and_scatter(x, w),
    "phases, im2col": lambda: phases_im2col(x),
    "phases, Winograd": lambda: phases_winograd(x),
    "scatter, in chunks": lambda: in_chunks(small_steps["product, scatter"], x, best["product, scatter"]),
    "Winograd, in chunks": lambda: in_chunks(phases_winograd, x, best["phases, Winograd"]),
    "minigan": lambda: minigans(x),
}


def in_turn(methods, turns=REPEATS + 2):
    """The shortest time of each, and the rate of a matrix product measured between them."""
    methods = methods | {"sgemm": lambda: square @ square}
    rounds = [{name: seconds(method, repeats=1) for name, method in methods.items()} for _ in range(turns)]
    times = {name: min(one[name] for one in rounds) for name in methods}
    return times, 2 * n**3 / times.pop("sgemm")


times, peak = in_turn(methods)
for name, t in times.items():
    report(name, t)

bytes_x, bytes_y = x.nbytes, 4 * N * (2 * H) * (2 * W) * O
V_and_M = 4 * 9 / 4 * bytes_x + 9 / 4 * bytes_y  # four phases, nine products for four pixels
made = [
    0,
    4 * N * H * W * 16 * O,  # stamps
    4 * 4 * bytes_x,  # four phases, patches of four pixels
    V_and_M,
    4 * N * H * W * 16 * O,  # in chunks: as many bytes, but most of them stay in the cache
    V_and_M,
    25 / 16 * bytes_x + 25 / 16 * bytes_y,  # one transform of x serves all phases, with tiles of 4: see below
]
moved = {name: BYTES + 2 * on_the_way for name, on_the_way in zip(methods, made, strict=True)}

# %% tags=["picture"]
notebook.show(
    figures.speed.bars(times, moved, FLOP, peak, title="A layer of the generator"),
    "Three rows of bars for each method: the time, the bytes moved, and the rate, counted in operations of the "
    "definition. The rate of a large matrix product is a dashed line, 16/9 times that a dotted one.",
)

# %% [markdown]
# ### May a rate be above the peak?
#
# The right-hand bars count the operations **of the definition** and divide by the time. That is the fair way to compare methods:
# the same useful work, done in so many seconds. But Winograd's method does not *do* those operations, it does 9/16 of the
# multiplications. So its bar may pass the dashed line without any law of physics broken, up to the dotted one, 16/9 = 1.78
# times as far (minigan's, with the larger tiles that come below, even to 2.56 times). If someone shows you a convolution at 110 % of the processor's peak, this is what they have done.
#
# And why is it not at the dotted line? Look at the bars in the middle. The products take 9/16 of the time they took, and the rest
# of the time is transforms: additions that use each number once, on the slanted side of the roof. Our four phases each make a
# V of their own. And the plain scatter, in chunks, may well be as fast on your machine as Winograd: **fewer multiplications are worth what the
# bytes leave of it.** minigan's kernel transforms x once for all phases (question 2), and has another idea about the additions, below.
#
# ### The discriminator gets more of it
#
# The discriminator's convolutions, K = 4 and S = 2 too, split more simply. See each block of 2 x 2 pixels as *one* pixel with 4C
# channels, and the kernel of 4 x 4 taps as one of 2 x 2 blocks: it moves from block to block, so its stride is 1. There is one convolution, with
# one V, and your functions can do it as they are:


# %%
def to_blocks(x):
    """Padded by one, and blocks of 2 x 2 pixels as one: (N, H, W, C) to (N, H/2+1, W/2+1, 4*C)."""
    N, H, W, C = x.shape
    X = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    blocks = X.reshape(N, H // 2 + 1, 2, W // 2 + 1, 2, C).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(N, H // 2 + 1, W // 2 + 1, 4 * C)


Nd, Hd, Wd, Cd, Od = notebook.fast((32, 32, 32, 64, 128), (4, 8, 8, 8, 16))  # the discriminator's second layer
xd = rng.standard_normal((Nd, Hd, Wd, Cd)).astype(np.float32)
wd = (rng.standard_normal((4, 4, Cd, Od)) / np.sqrt(16 * Cd)).astype(np.float32)
in_blocks = wd.reshape(2, 2, 2, 2, Cd, Od).transpose(0, 2, 1, 3, 4, 5).reshape(2, 2, 4 * Cd, Od)
Ud = prepare(in_blocks)

d_methods = {
    "loops": lambda: conv_forward(xd, wd, stride=2, pad=1, kernel="loops"),
    "blocks, im2col": lambda: fast_conv(to_blocks(xd), in_blocks),
    "blocks, Winograd": lambda: fast_winograd(to_blocks(xd), Ud),
    "im2col, 4 at once": lambda: in_chunks(lambda part: fast_conv(to_blocks(part), in_blocks), xd, 4),
    "Winograd, 4 at once": lambda: in_chunks(lambda part: fast_winograd(to_blocks(part), Ud), xd, 4),
    "minigan": lambda: conv_forward(xd, wd, stride=2, pad=1, kernel="winograd"),
}
print("largest difference:", np.abs(d_methods["blocks, Winograd"]() - d_methods["loops"]()).max())
d_times, d_peak = in_turn(d_methods)
d_flop = 2 * Nd * (Hd // 2) * (Wd // 2) * 16 * Cd * Od
bytes_yd = xd.nbytes // 4 * Od // Cd
d_least = xd.nbytes + wd.nbytes + bytes_yd
patches, tiles_d = 4 * xd.nbytes, 9 / 4 * (xd.nbytes + bytes_yd)
d_made = [0, patches, tiles_d, patches, tiles_d, 25 / 36 * tiles_d]  # minigan: tiles of 4, 25/16 in place of 9/4
d_moved = {name: d_least + 2 * on_the_way for name, on_the_way in zip(d_methods, d_made, strict=True)}

# %% tags=["picture"]
notebook.show(
    figures.speed.bars(d_times, d_moved, d_flop, d_peak, title="A layer of the discriminator"),
    "The same three rows of bars for a layer of the discriminator. Here Winograd moves fewer bytes than im2col, and in "
    "chunks it is the fastest or beside minigan's own.",
)

# %% [markdown]
# Here V is made once, and it is *smaller* than the patch matrix: 9/4 of the input instead of 16/4. Fewer multiplications **and** fewer bytes, and
# with chunks that stay in the cache your own function comes close to minigan's. `minigan/fast/cpu/winograd.py` uses this for both
# networks: the generator's layer is this one run backwards (lesson 9: it is the adjoint), so it has one set of products too.
#
# ### The additions are a product, too
#
# Write the three lines of F(2,2) as matrices. With $\odot$ for "number by number",
#
# $$ y = A^T \left[ (G\,g) \odot (B^T d) \right], \quad
# B^T = \begin{pmatrix} 1 & -1 & 0 \\ 0 & 1 & 0 \\ 0 & -1 & 1 \end{pmatrix}, \;
# G = \begin{pmatrix} 1 & 0 \\ 1 & 1 \\ 0 & 1 \end{pmatrix}, \;
# A^T = \begin{pmatrix} 1 & 1 & 0 \\ 0 & 1 & 1 \end{pmatrix}. $$
#
# (Check one row of each against $m_0, m_1, m_2, y_0, y_1$ above.) There are such matrices for larger tiles. F(4,2) has four
# outputs and takes five products in place of eight; in two dimensions 25 in place of 64, that is 2.56 times fewer, where F(2,2) has
# 1.78. `minigan.fast.cpu.winograd.minimal_filter` makes them; how, its docstring says.
#
# The price stands in $B^T$: five rows, full of numbers. Done as we have done it, each number that is not 0 is a walk through memory,
# and the walks eat up what the products save. minigan left it out at first, for that reason.
#
# But look: "apply $B^T$ to five rows" is what a matrix product does. BLAS makes all these additions in **one** walk.

# %%
AT, G, BT = (matrix.astype(np.float32) for matrix in minimal_filter(4, 2))
print(BT)
rows = rng.standard_normal((notebook.fast(400, 100), 5, 1024), np.float32)  # five rows of blocks, many times


def one_at_a_time():
    out = np.zeros_like(rows)
    for i, j in zip(*np.nonzero(BT), strict=True):
        out[:, i] += BT[i, j] * rows[:, j]
    return out


print("largest difference:", np.abs(one_at_a_time() - BT @ rows).max())
both, _ = in_turn({"one addition at a time": one_at_a_time, "as a product": lambda: BT @ rows})
for name, t in both.items():
    print(f"{name:24} {t * 1e3:8.2f} ms")

# %% [markdown]
# Several times as fast, and shorter. With that, tiles of 4 came into minigan after all, and the 3 x 3 layer got its F(4,3) (36 products
# in place of 144). On the machine where it was measured, Winograd with tiles of 2 saves 8 % of a training step, and with tiles of 4
# 24 % (`docs/performance.md`). The moral is that of this whole lesson: *get the work into the shape of a matrix product*, even when it
# does not look like one.
#
# ### And several cores
#
# So far we have kept to one core. How can all of them work on one step? The obvious way is inside every operation: cut each array into
# pieces, and let a thread do each piece. But then the threads have to wait for each other at the end of *every* operation, hundreds of
# times a step, and in Python they also take turns at its lock, which only one thread can hold.
#
# minigan runs **the whole program once on every core** instead. These processes are called *ranks*, and each takes its share of the
# images: with two ranks and a batch of 64, each does the whole step for 32. Convolutions, LeakyReLU and their backward passes treat every
# image by itself, so a rank needs no other rank for them. Only where a formula has a sum over the *whole batch* do the ranks meet:
#
# * **batch normalisation** (lesson 10): mean and variance, and two sums on the way back. Each rank brings the sums over its own images;
# * **the loss**: its mean over the batch;
# * **the gradients**: the gradient for w is a sum over the images, so the gradient of the batch is the sum of the ranks' gradients.
#
# That is 35 meetings in a step. Between them each rank runs the code that you have read, which knows nothing of other ranks. The
# mathematics has not changed: two ranks compute what one computes, only some sums are added in another order.
#
# Here is our layer on two ranks: forward, and the gradient for w. Ranks are processes, which can import a function from a *module*, but not
# one from this notebook; so the function lies in `lessons/shared_layer.py`. It has six lines that matter. Read them.

# %%
several = min(2, usable_cores())
alone, dw_alone = run(shared_layer.layer_on_ranks, N, H, C, O, REPEATS, ranks=1)
together, dw_together = run(shared_layer.layer_on_ranks, N, H, C, O, REPEATS, ranks=several)
print(f"one rank with {N} images:           {alone * 1e3:7.2f} ms")
if several > 1:
    print(f"two ranks with {N // 2} images each:    {together * 1e3:7.2f} ms, {alone / together:.2f} times as fast")
else:
    print("this notebook was given one core only, so there is nothing to compare")
print("largest difference of the gradients:", np.abs(dw_together - dw_alone).max() / np.abs(dw_alone).max())

# %% [markdown]
# Seldom twice as fast: both share one memory, and a processor with all cores at work is often a little slower on each. The gradients differ
# in the last digits, because floating-point addition depends on its order. (In float32 a relative difference of about one in a million is normal.)
#
# The same idea goes beyond one machine: the ranks can be on sixty-four of them. Then the meetings become messages over a network, and the
# question is again the one of this lesson: how many bytes have to be moved for how many operations? `docs/scaling.md` works it out.
#
# ### What does it cost in accuracy?
#
# F(2,2) is exact in algebra. In float32 every operation rounds to about 7 digits, and Winograd adds and subtracts more. Measure it,
# against the same layer computed in float64:

# %%
largest = np.abs(right).max()
lost = {name: float(np.abs(method() - right).max() / largest) for name, method in methods.items()}

# %% tags=["picture"]
notebook.show(
    figures.speed.errors(lost, float(np.finfo(np.float32).eps)),
    "A bar for each method on a logarithmic axis: the largest error in float32 as a share of the largest value. The "
    "definition loses a few roundings, Winograd with tiles of 2 about twice as much, minigan's tiles of 4 some ten times.",
)

# %% [markdown]
# Two or three times the error of the definition, and still about one part in a million: far below the noise of the gradients. minigan's
# tiles of 4 lose more, some parts in a million, because their matrices contain numbers other than 0 and 1. With still larger tiles it gets
# worse quickly.
#
# ## Break it
#
# ### Exercise 14.10: make it lose its digits   *(10 minutes)*
#
# *About one part in a million* holds for ordinary numbers. It is a promise about the largest value of a tile, not about each. Find
# three inputs and two taps for which F(2,2) in float32 is wrong by more than a **tenth** in one of the outputs, while the definition gets
# them right.

# %% tags=["exercise"]
# Three numbers and two: such as d = (1, 2, 4), g = (3, 5), which is a bad guess.
# --- your code: d, g = None, None
d, g = (1, 1e8, 1), (1, 1e-9)
# --- end

# %% tags=["check"]
check("lost_digits", d, g)

# %% [markdown]
# That is why `minigan/fast/cpu/winograd.py` looks at its own result, and where a number is not finite computes those images once more, with
# im2col. (What about large but finite ones? After batch normalisation there are none.)
#
# ### Exercise 14.11: five suspects   *(10 minutes)*
#
# `lesson14.SUSPECTS` has five fast transposed convolutions, called with `(x, w)`. Some of them are wrong. Here is where each
# differs from the right result: pale is no difference, dark the largest of that picture (see its title).

# %% tags=["picture"]
hunt_rng = np.random.default_rng(5)
hunt_x = hunt_rng.standard_normal((1, 6, 6, 8)).astype(np.float32)
hunt_w = hunt_rng.standard_normal((4, 4, 2, 8)).astype(np.float32)
hunt_right = lesson14.transposed_loops(hunt_x.astype(float), hunt_w.astype(float))
results = {name: suspect(hunt_x, hunt_w) for name, suspect in lesson14.SUSPECTS.items()}
notebook.show(
    figures.speed.suspects({name: y[0, :, :, 0] for name, y in results.items()}, hunt_right[0, :, :, 0]),
    "Five maps of differences. A differs in most pixels but not in every second row and column; B along the border only; C in a "
    "pattern of period four; D everywhere, by a millionth; E in a checkerboard.",
)

# %%
for number, cause in lesson14.CAUSES.items():
    print(number, cause)

# %% [markdown]
# Name the cause for each by its number. Experiment: compare phases, `results["A"][:, 0::2, 0::2]` with `hunt_right[:, 0::2, 0::2]`;
# exchange some; call a suspect with an image that has a single 1 in it.

# %% tags=["exercise"]
# --- your code: suspects = {"A": None, "B": None, "C": None, "D": None, "E": None}
suspects = {"A": 2, "B": 3, "C": 4, "D": 7, "E": 5}
# --- end

# %% tags=["check"]
check("slow_and_wrong", suspects)

# %% [markdown]
# ## The same on a GPU
#
# A GPU is a second computer, with its own memory and thousands of small cores. CuPy gives it NumPy's names, and code that asks its arrays
# for their module, `xp = xp_of(x)` (lesson 1), runs on both. The reasoning of this lesson holds there unchanged: a roof, a ridge, bytes and
# FLOP. Three things are new.
#
# * **Two memories.** An array lives on one side. Mixing sides is an error; copying is slow (the way between them is some fifty times
#   narrower than the GPU's own memory). So: copy once, stay there.
# * **Python runs ahead.** `y = x @ w` returns *before* the product is done: it only puts it into a queue. Good, as long as nobody asks for a
#   value. `float(y.sum())` must wait for everything before it. And a stopwatch must wait too, or it measures only how long that takes.
# * **Launches.** Each operation costs some five millionths of a second before it begins. At a hundred thousand million operations a
#   millisecond, a small array is done long before. Many small steps leave the GPU idle: this is why minigan's
#   `minigan/fast/cuda/kernels.py` does the transforms of a whole layer in one kernel of its own, and its products in one call.
#
# ### Exercise 14.12: six lines   *(5 minutes)*
#
# Here are six lines, run with x, w, y and loss on the GPU. What does each do?

# %%
for letter, line in lesson14.GPU_LINES.items():
    print(letter, " ", line)
print()
for answer, meaning in lesson14.GPU_ANSWERS.items():
    print(f"{answer:6}", meaning)

# %% tags=["exercise"]
# --- your code: gpu = {"A": None, "B": None, "C": None, "D": None, "E": None, "F": None}
gpu = {"A": "fine", "B": "fails", "C": "fine", "D": "waits", "E": "crawls", "F": "waits"}
# --- end

# %% tags=["check"]
check("gpu_lines", gpu)

# %% [markdown]
# If this machine has a GPU and CuPy, the next cell runs this lesson's reference on it: the same source, `lessons/exercises/lesson14.py`,
# with `xp` in place of `np`. If not, it says so in a line, and you have missed no exercise.

# %%
try:
    import cupy

    on_gpu = cupy.cuda.runtime.getDeviceCount() > 0
except Exception as error:  # not installed, or no driver
    on_gpu = False
    print(f"no GPU here, skipped ({type(error).__name__})")

if on_gpu:
    from minigan.nn.backend import get_backend

    backend = get_backend("cupy")
    x_gpu, w_gpu = backend.asarray(x), backend.asarray(w)
    kernels_gpu = lesson14.phase_kernels(w_gpu)
    tiles_gpu = lesson14.all_tiles(w_gpu)
    runs = {
        "phases, im2col": lambda: lesson14.upsample(x_gpu, kernels_gpu),
        "phases, Winograd": lambda: lesson14.upsample(x_gpu, tiles_gpu, lesson14.winograd),
        "minigan": lambda: conv_input_grad(x_gpu, w_gpu, stride=2, pad=1, size=(2 * H, 2 * W)),
    }
    for name, run in runs.items():
        run()
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        for _ in range(20):
            y_gpu = run()
        end.record()
        end.synchronize()  # the stopwatch waits for the queue
        t = cupy.cuda.get_elapsed_time(start, end) / 20 / 1e3
        assert np.allclose(backend.to_host(y_gpu), right, atol=1e-2)
        print(f"{name:18} {t * 1e3:8.3f} ms   {FLOP / t / 1e12:6.2f} TFLOP/s")

# %% [markdown]
# ## Three questions
#
# 1. A friend doubles the number of channels, C and O, of our layer. What happens to the FLOP, to the bytes of x and y, and to
#    the arithmetic intensity? Is Winograd worth more or less then?
#
# <details><summary>Answer</summary>
#
# FLOP grow with C·O: four times. x and y grow with C or O: twice (w grows four times, but is small beside many images). The intensity
# about doubles. The products are four times the work and the transforms twice, so the part that Winograd saves grows, and what
# it pays becomes smaller beside it: worth more. With 3 channels, at the ends of the networks, it is the other way round, and minigan
# does not use it there (`winograd.pays`).
#
# </details>
#
# 2. Our four phases each make their own V from X: four times 9/4 of the input. Look at the formulas of V, and find out why most of
#    these numbers are the same, up to a sign.
#
# <details><summary>Answer</summary>
#
# Along one axis V has three kinds of numbers: $d_0 - d_1$, $d_1$, $d_2 - d_1$. All are either a pixel of X or the difference of two
# neighbours. The even phase has tiles that begin at even pixels, the odd phase at odd ones, so one takes the odd pixels as $d_1$ and the
# other the even ones; and $X_1 - X_2$ of the one is $-(X_2 - X_1)$ of the other. All phases together need each pixel and each difference
# once: 2 numbers for a pixel along one axis, 4 in two dimensions, instead of 9. minigan goes another way, with the same end: it
# runs the discriminator's products backwards, and transforms x once.
#
# </details>
#
# 3. Somebody measures a new function like this: `t = time.time(); y = f(x); print(time.time() - t)`, once, and finds it 30 % slower than
#    the old one. Name three reasons not to believe it yet.
#
# <details><summary>Answer</summary>
#
# It was the first call (memory not yet fetched, caches cold, on a GPU kernels not compiled). It was one call: the
# machine may have been busy with something else; measure in turn, old, new, old, new, and compare the shortest or the medians.
# `time.time` is the clock on the wall, which may be set; `time.perf_counter` is the stopwatch. On a GPU: nobody waited for the result. And:
# was it the same number of cores, the same dtype (did a float64 slip in)?
#
# </details>
#
# ## What comes next
#
# This was the last lesson. You have written every part of a GAN by hand, forwards and backwards, checked it, trained it, looked inside, and
# made it fast. From here:
#
# * read `minigan/fast/cpu/winograd.py`: it is exercise 14.9 with those three matrices, with the gradients, which are the same lines read
#   backwards, and with memory that is used again;
# * read `docs/performance.md` for the rest of the story: ranks, memory, one walk in place of many, and all that was tried and did *not*
#   help;
# * run `make bench` on your machine, and see which layer is now the slowest. That is where step 5 begins.

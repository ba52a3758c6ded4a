# %% [markdown]
# # Lesson 14: Make it fast
#
# Everything you have written so far is right. Is it fast? The same operations can take minutes or a hundredth of a second on
# the same computer. This lesson takes **one layer** of the discriminator from the first to the second, and you measure every
# step of the way.
#
# There are three ideas in it: *let the processor do what it does best*, *do fewer multiplications*, and *do not carry numbers
# about*. The third is the one that people forget.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 14.1 | count the work: FLOP and bytes of a layer | 10 |
# | 14.2, 14.3 | stride 2 as stride 1: blocks, and a convolution of 2 x 2 in one product | 20 |
# | 14.4, 14.5 | Winograd's trick, in one dimension and in two | 20 |
# | 14.6 to 14.8 | the same for whole images | 30 |
# | 14.9, 14.10 | break it: make it lose its digits; five suspects | 20 |
# | 14.11 | six lines on a GPU | 5 |
# | 14.12, 14.13 | appendix: the generator's layer, as four small convolutions | 25 |
#
# With reading, two and a half hours; the appendix can be left out. You need lesson 7 (`im2col`), and lesson 9 for the
# appendix. No GPU is needed.
#
# **Times differ**, from machine to machine and from run to run. So this page says no times of its own: the cells print yours.
# Compare *within* one table. Nothing here is graded by the clock.

# %% tags=["setup"]
# setup

# %%
import time

import numpy as np

from lessons import figures, notebook
from lessons.exercises import lesson14
from lessons.notebook import check
from minigan.fast.cpu.winograd import minimal_filter
from minigan.nn.conv import conv_forward, conv_input_grad
from minigan.system.errors import UserError
from minigan.system.workers import using_workers

# %% [markdown]
# ## The idea
#
# ### Measure first
#
# Speed is measured, and measured against something: how fast *could* this machine be? A processor does two things: it computes,
# and it moves numbers.
#
# * A **FLOP** is one operation, an addition or a multiplication, on floating-point numbers. What a processor does fastest is
#   a product of two large matrices: if both are n x n, each of the n² results takes n multiplications and n additions: $2n^3$ FLOP.
#   The routine that does it in float32 is called `sgemm`; its rate is our *peak*.
# * A **byte** is a quarter of a float32. Copying a large array reads each byte and writes it again.
#
# Our stopwatch takes the *shortest* of several times, since what disturbs a measurement only makes it longer. It measures methods
# **in turn**, so that a disturbance meets all of them alike, and on **one core**.


# %%
def in_turn(methods, turns=None):
    """The shortest time of each method, on one core: each once, then each once again, and so on."""
    turns = turns or notebook.fast(7, 2)
    best = dict.fromkeys(methods, np.inf)
    with using_workers(1):
        for method in methods.values():
            method()  # first calls are slow: memory is fetched, caches are cold
        for _ in range(turns):
            for name, method in methods.items():
                start = time.perf_counter()
                method()
                best[name] = min(best[name], time.perf_counter() - start)
    return best


n = notebook.fast(1024, 128)
square = np.ones((n, n), np.float32)
source = np.ones(notebook.fast(1 << 24, 1 << 16), np.float32)
target = np.empty_like(source)


def product():
    return square @ square


machine = in_turn({"product": product, "copy": lambda: np.copyto(target, source)})
peak, bandwidth = 2 * n**3 / machine["product"], 2 * source.nbytes / machine["copy"]
ridge = peak / bandwidth
print(f"one core multiplies matrices at {peak / 1e9:6.1f} GFLOP/s (10^9 operations a second)")
print(f"          and moves memory at   {bandwidth / 1e9:6.1f} GB/s")
print(f"in the time of one byte it could do {ridge:.1f} operations, in that of one float32 {4 * ridge:.0f}")

# %% [markdown]
# The first number of the last line is the *ridge*. The second one says the same of a float32: fetched from memory, it has to be used
# about so many times before computing, and not fetching, takes the time. $y = 2x$ uses it once.
#
# ### One layer, by hand
#
# Our layer is the discriminator's second: 32 x 32 pixels of 64 channels become 16 x 16 of 128, a convolution with K = 4, S = 2
# and one pixel of padding. We take N = 32 images.
#
# **Operations.** Every output pixel sees 4 x 4 pixels, and one tap is C numbers times a C x O matrix: C·O multiplications and
# as many additions.
#
# $$ 2 \cdot N \cdot \tfrac H2 \cdot \tfrac W2 \cdot K^2 \cdot C \cdot O \;=\; 2 \cdot 32 \cdot 16 \cdot 16 \cdot 16 \cdot 64 \cdot 128
#    \;=\; 2^{31} \;\approx\; 2.1 \text{ GFLOP}. $$
#
# **Bytes.** What must be moved whatever the method: read x, read w, write y.
#
# | | shape | values | bytes |
# |---|---|---|---|
# | x | (32, 32, 32, 64) | 2,097,152 | 8.4 MB |
# | w | (4, 4, 64, 128) | 131,072 | 0.5 MB |
# | y | (32, 16, 16, 128) | 1,048,576 | 4.2 MB |
# | | | 3,276,800 | **13.1 MB** |
#
# **Arithmetic intensity** is the one divided by the other: $2^{31} / 13{,}107{,}200 = 164$ FLOP for every byte. If that is far
# above the ridge, the layer *can* run at the rate of the matrix product. Both limits in one picture are the machine's
# **roofline** (Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009): a program of intensity $I$ does at
# most $\min(\text{peak},\, I \cdot \text{bandwidth})$ operations a second.

# %% tags=["picture"]
notebook.show(
    figures.speed.roofline(peak, bandwidth, {"y = 2x": (1 / 8, np.nan), "this layer": (164, np.nan)}),
    "The roofline on logarithmic axes: it rises with the arithmetic intensity up to the ridge and is flat beyond it. "
    "y = 2x, at an eighth of a FLOP per byte, meets the slanted part; the layer, at 164, the flat part.",
)

# %% [markdown]
# ### Exercise 14.1: count the work   *(10 minutes)*
#
# Write the count for any such layer (K = 4, S = 2, so y has half the height and width of x, which are even): return a pair
# `(flop, bytes)`, for float32.


# %% tags=["exercise"]
def work(N, H, W, C, O):
    """FLOP of the definition, and bytes of x, w and y, of a convolution with K = 4 and S = 2."""
    # --- your code
    pixels = N * (H // 2) * (W // 2)  # of y
    values = N * H * W * C + 16 * C * O + pixels * O
    return 2 * pixels * 16 * C * O, 4 * values
    # --- end


# %% tags=["check"]
check("work", work)  # hint=1, hint=2, hint=3 say more

# %%
print("layer                              FLOP    bytes   FLOP per byte")
count = notebook.yours(work, lesson14.work, alike=True)
for side, C, O in ((64, 3, 64), (32, 64, 128), (16, 128, 256), (8, 256, 512)):
    flop, moved = count(32, side, side, C, O)
    layer = f"{side:2} x {side:2} x {C:3} to {side // 2:2} x {side // 2:2} x {O:3}"
    print(f"{layer} {flop / 1e9:8.2f} G {moved / 1e6:5.1f} MB {flop / moved:9.0f}")

# %% [markdown]
# The first layer, the one that sees the image, has only 3 channels in: little work for each byte. We stay with the second.
#
# ## The derivation, in four steps
#
# ### Step 0: loops, and one product
#
# First the definition, one multiplication at a time. We run it on a crumb of the layer and work out how long the whole would take.


# %%
def every_number(x, w):
    """A convolution, K = 4, S = 2, P = 1, one multiplication at a time."""
    N, H, W, C = x.shape
    O = w.shape[3]
    X = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.zeros((N, H // 2, W // 2, O), x.dtype)
    for n, i, j, o, p, q, c in np.ndindex(*y.shape, 4, 4, C):
        y[n, i, j, o] += X[n, 2 * i + p, 2 * j + q, c] * w[p, q, c, o]
    return y


rng = np.random.default_rng(14)
N, H, W, C, O = LAYER = notebook.fast((32, 32, 32, 64, 128), (4, 8, 8, 8, 16))
x = rng.standard_normal((N, H, W, C)).astype(np.float32)
w = (rng.standard_normal((4, 4, C, O)) / np.sqrt(16 * C)).astype(np.float32)
FLOP, BYTES = lesson14.work(*LAYER)

crumb = x[:1, :4, :4, :8], w[:, :, :8, :4]
rate = lesson14.work(1, 4, 4, 8, 4)[0] / in_turn({"crumb": lambda: every_number(*crumb)}, turns=2)["crumb"]
print(f"one number at a time: {rate / 1e6:.2f} MFLOP/s; the whole layer would take {FLOP / rate:,.0f} s")
print(f"that is one part in {peak / rate:,.0f} of what the core can do")

# %% [markdown]
# Not the arithmetic is slow here but Python, between one multiplication and the next. Two better ways you know from lesson 7:
# loops over pixels and taps, with a product over the channels inside; and `im2col`, **one** product of all windows.


# %%
def loops(x, w):
    """For every output pixel and tap, a product over the channels."""
    N, H, W, _ = x.shape
    X = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.zeros((N, H // 2, W // 2, w.shape[3]), x.dtype)
    for i, j, p, q in np.ndindex(H // 2, W // 2, 4, 4):
        y[:, i, j] += X[:, 2 * i + p, 2 * j + q] @ w[p, q]  # (N, C) @ (C, O)
    return y


def one_product(x, w):
    """Lesson 7's im2col."""
    N, H, W, C = x.shape
    X = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.empty((N, H // 2, W // 2, 4, 4, C), x.dtype)
    for p, q in np.ndindex(4, 4):
        patches[:, :, :, p, q] = X[:, p : p + H - 1 : 2, q : q + W - 1 : 2]
    return (patches.reshape(-1, 16 * C) @ w.reshape(16 * C, -1)).reshape(N, H // 2, W // 2, -1)


def report(times):
    """Time, rate, and share of the rate of a matrix product that was measured in the same turns."""
    peak = 2 * n**3 / times["sgemm"]
    for name, t in times.items():
        if name != "sgemm":
            print(f"{name:20} {t * 1e3:8.2f} ms {FLOP / t / 1e9:7.1f} GFLOP/s {FLOP / t / peak:5.0%} of sgemm")


right = conv_forward(x.astype(float), w.astype(float), stride=2, pad=1)
assert np.allclose(loops(x, w), right, atol=1e-4)
assert np.allclose(one_product(x, w), right, atol=1e-4)
report(in_turn({"loops": lambda: loops(x, w), "one product": lambda: one_product(x, w), "sgemm": product}))

# %% [markdown]
# Where is the rest, up to 100 %? In the patches. Every pixel of x is in four windows, so the patch matrix is four times x, 33.6 MB,
# written once and read once: 67 MB beside the 13.1 MB that have to be moved. None of that is arithmetic.
#
# ### Step 1: stride 2 as stride 1
#
# The trick that is to come wants a stride of 1. See each block of 2 x 2 pixels as *one* pixel with 4C channels. A kernel of
# 4 x 4 taps is then 2 x 2 blocks, and it moves from block to block: its stride is 1.
#
# By hand, one row, one channel: $x = (5, 6, 7, 8)$, padded $(0, 5, 6, 7, 8, 0)$, and $w = (1, 10, 100, 1000)$. With stride 2,
#
# $$ y_0 = 0 + 50 + 600 + 7000 = 7650, \qquad y_1 = 6 + 70 + 800 + 0 = 876 . $$
#
# In blocks of two, $x$ is $(0, 5), (6, 7), (8, 0)$ and $w$ is $(1, 10), (100, 1000)$: the same sums, now of neighbouring blocks,
# $y_0 = (0, 5)\cdot(1, 10) + (6, 7)\cdot(100, 1000)$.
#
# The kernel's 4 x 4 taps are sorted in the same way: tap $(2u + a,\; 2v + b)$ is place $(a, b)$ of block $(u, v)$.
#
# ### Exercise 14.2: blocks   *(10 minutes)*
#
# Write `to_blocks(x)`, from (N, H, W, C) with even H and W to (N, H/2+1, W/2+1, 4C): pad one zero on every side, then make blocks.
# The 4C channels of a block are its pixels (0, 0), (0, 1), (1, 0), (1, 1), each with its C channels.


# %% tags=["exercise"]
def to_blocks(x):
    """Padded by one, and blocks of 2 x 2 pixels as one: (N, H, W, C) to (N, H/2+1, W/2+1, 4*C)."""
    # --- your code
    N, H, W, C = x.shape
    X = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    blocks = X.reshape(N, H // 2 + 1, 2, W // 2 + 1, 2, C).transpose(0, 1, 3, 2, 4, 5)  # (N, rows, columns, a, b, C)
    return blocks.reshape(N, H // 2 + 1, W // 2 + 1, 4 * C)
    # --- end


# %% tags=["check"]
check("to_blocks", to_blocks)

# %% [markdown]
# ### Exercise 14.3: one product for 2 x 2   *(10 minutes)*
#
# Now the smallest convolution there is: a kernel of 2 x 2, stride 1, no padding, as one product. By hand, one channel:
#
# $$ x = \begin{pmatrix} 1&2&4\\ 3&5&6 \end{pmatrix} \quad w = \begin{pmatrix} 1&10\\ 100&1000 \end{pmatrix} \qquad
#    \text{patches} = \begin{pmatrix} 1&2&3&5\\ 2&4&5&6 \end{pmatrix} \qquad
#    y = \text{patches} \cdot \begin{pmatrix} 1\\10\\100\\1000 \end{pmatrix} = \begin{pmatrix} 5321\\ 6542 \end{pmatrix} $$
#
# x is (N, H, W, C), w is (2, 2, C, O), the result (N, H-1, W-1, O). Loops over the four *taps* are fine; no loops over pixels.


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

# %%
blocks_of = notebook.yours(to_blocks, lesson14.to_blocks, alike=True)
fast_conv = notebook.yours(conv2x2, lesson14.conv2x2, alike=True)


def block_kernel(w):
    """The taps sorted as the pixels are: (4, 4, C, O) to (2, 2, 4*C, O)."""
    C, O = w.shape[2:]
    return w.reshape(2, 2, 2, 2, C, O).transpose(0, 2, 1, 3, 4, 5).reshape(2, 2, 4 * C, O)


in_blocks = block_kernel(w)
print("largest difference:", np.abs(fast_conv(blocks_of(x), in_blocks) - right).max())
methods = {"one product": lambda: one_product(x, w), "blocks, one product": lambda: fast_conv(blocks_of(x), in_blocks)}
report(in_turn(methods | {"sgemm": product}))

# %% [markdown]
# The patch matrix is as large as before, and the blocks have to be made too: do not expect much of this step alone. But for a
# convolution of 2 x 2 with stride 1 there is a trick.
#
# ### Step 2: fewer multiplications
#
# #### One dimension, by hand
#
# Two taps $g_0, g_1$, and two neighbouring outputs. They see three inputs:
#
# $$ y_0 = d_0 g_0 + d_1 g_1, \qquad y_1 = d_1 g_0 + d_2 g_1 . $$
#
# Four multiplications. With $d = (1, 2, 4)$ and $g = (3, 5)$: $y_0 = 3 + 10 = 13$, $y_1 = 6 + 20 = 26$.
#
# The input in the middle, $d_1$, meets *both* taps: once in $y_0$, once in $y_1$. Let both meetings be one product,
# $m_1 = d_1\,(g_0 + g_1)$. It contains what $y_0$ needs of $d_1$, namely $d_1 g_1$, and too much, $d_1 g_0$. What is missing then?
#
# $$ y_0 - m_1 \;=\; d_0 g_0 + d_1 g_1 - d_1 g_0 - d_1 g_1 \;=\; (d_0 - d_1)\, g_0 , $$
# $$ y_1 - m_1 \;=\; d_1 g_0 + d_2 g_1 - d_1 g_0 - d_1 g_1 \;=\; (d_2 - d_1)\, g_1 . $$
#
# So three products do the work of four:
#
# $$ m_0 = (d_0 - d_1)\,g_0, \quad m_1 = d_1\,(g_0 + g_1), \quad m_2 = (d_2 - d_1)\,g_1, \qquad y_0 = m_0 + m_1, \quad y_1 = m_1 + m_2 . $$
#
# With the numbers: $m_0 = -1 \cdot 3 = -3$, $m_1 = 2 \cdot 8 = 16$, $m_2 = 2 \cdot 5 = 10$. $y_0 = 13$ and $y_1 = 26$. It is exact.
#
# This is called F(2,2): two outputs, two taps. In general F(m, r) needs $m + r - 1$ products and no fewer (S. Winograd,
# "Arithmetic complexity of computations", SIAM, 1980). A. Lavin and S. Gray brought it to neural networks (arXiv:1509.09308).

# %% tags=["picture"]
notebook.show(
    figures.speed.products_1d(),
    "From left to right: three inputs d0, d1, d2; the differences d0 - d1, d1, d2 - d1; three products m0, m1, m2 with g0, "
    "g0 + g1 and g1; and two outputs, of which each is a sum of m1 and one other product.",
)

# %% [markdown]
# ### Exercise 14.4: three products   *(5 minutes)*
#
# d has three elements, g two; return the two outputs. The checker *counts* your multiplications: it calls you with numbers that
# remember them. (Elements may be numbers or whole arrays, which the next exercise will use: write with `d[0]`, `g[1]`, and
# `np.stack`.)


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
# Call the *rows* of the inputs $d_0, d_1, d_2$, the rows of the taps $g_0, g_1$, the rows of the outputs $y_0, y_1$. Let
# $d \ast g$ be the convolution of a row of three inputs with a row of two taps, which gives two outputs. Then
#
# $$ y_0 = d_0 \ast g_0 + d_1 \ast g_1, \qquad y_1 = d_1 \ast g_0 + d_2 \ast g_1 : $$
#
# the lines we began with, with $\ast$ in the place of the product. The derivation used that one may multiply out,
# $d_1 \ast (g_0 + g_1) = d_1 \ast g_0 + d_1 \ast g_1$, and nothing else; convolution may be multiplied out too. So
#
# $$ m_0 = (d_0 - d_1) \ast g_0, \quad m_1 = d_1 \ast (g_0 + g_1), \quad m_2 = (d_2 - d_1) \ast g_1, \qquad y_0 = m_0 + m_1, \quad y_1 = m_1 + m_2 , $$
#
# three convolutions of rows, each of which takes three products by exercise 14.4. **3 x 3 = 9 instead of 16.**
#
# ### Exercise 14.5: nine products   *(15 minutes)*
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
# A multiplication saved is nothing if it costs an addition: on today's processors both take the same time. The gain is in the
# **channels**, C' = 4C of them in and O out:
#
# * the differences of the inputs: once for each input channel, *whatever O is*;
# * the sums of the taps: once for each kernel, *whatever the number of pixels*;
# * the sums $m_0 + m_1$: they may be done *after* the sum over channels. Once for each output channel, *whatever C' is*;
# * the products: for each input channel *and* each output channel.
#
# With C' = 256 and O = 128 the products are nearly everything. And for each of the nine, "sum over channels, for every tile and
# every output channel" is a matrix product, $M_{rs} = V_{rs}\, U_{rs}$, of (tiles, C') with (C', O). V are the transformed inputs, U the
# transformed taps: $r$ says which of the three combinations of rows, $s$ which of columns.

# %% tags=["picture"]
notebook.show(
    figures.speed.nine_products(lesson14.input_tiles, lesson14.kernel_tiles),
    "Nine pairs of small grids, for r and s from 0 to 2. Of the inputs, the corner products take four pixels with alternating "
    "signs, the middle ones two, and V[1,1] the central pixel alone. Of the taps, the corner products take one, the middle ones "
    "the sum of two, and U[1,1] the sum of all four.",
)

# %% [markdown]
# Yellow (+1) and dark blue (-1) are added and subtracted, grey is not used.
#
# ### Exercise 14.6: the taps   *(5 minutes)*
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
# ### Exercise 14.7: the inputs   *(10 minutes)*
#
# Tiles are two pixels apart and three wide, so neighbours share a row: tile k takes rows 2k, 2k+1, 2k+2. The $d_0$ of *all* tiles
# are the rows 0, 2, 4 ..., one slice; their $d_1$ and $d_2$ are two more.
#
# From x (N, 2·Th+1, 2·Tw+1, C) make V (3, 3, N, Th, Tw, C): along rows $d_0 - d_1,\; d_1,\; d_2 - d_1$, and the same along columns.
# Make V first, empty, and write each part where it belongs, with `np.subtract(a, b, out=V[...])`: `np.stack` of differences gives
# the same numbers, but writes them twice.


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
# ### Exercise 14.8: the convolution   *(15 minutes)*
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
# ### Step 3: do not carry numbers about
#
# A processor keeps what it has used last in a **cache**: some million bytes for each core, and much faster than memory. What we
# make on the way, patches or V and M, is larger than that for 32 images, so it is written to memory and read back. But nobody
# says that the whole batch has to go through a step before the next begins. Take a few images, do *everything* to them, then
# the next few:


# %%
fast_winograd = notebook.yours(winograd, lesson14.winograd, alike=True)
tiles = notebook.yours(kernel_tiles, lesson14.kernel_tiles, alike=True)(in_blocks)  # once for each step of training


def in_chunks(function, x, size):
    """The same results, for `size` images at a time."""
    return np.concatenate([function(x[n : n + size]) for n in range(0, len(x), size)])


ways = {
    "one product": lambda part: one_product(part, w),
    "blocks, one product": lambda part: fast_conv(blocks_of(part), in_blocks),
    "blocks, Winograd": lambda part: fast_winograd(blocks_of(part), tiles),
}
for name, way in ways.items():
    print(f"{name:20} largest difference: {np.abs(way(x) - right).max():.1e}")

# %% [markdown]
# **Before you look at the picture: what do you expect** for very small chunks, and for very large ones?

# %% tags=["picture"]
sizes = [size for size in (1, 2, 4, 8, 16, 32) if size <= N]
calls = {
    (name, size): (lambda way=way, size=size: in_chunks(way, x, size)) for name, way in ways.items() for size in sizes
}
chunked = in_turn(calls)
by_chunk = {name: [chunked[name, size] for size in sizes] for name in ways}
best = {name: sizes[int(np.argmin(times))] for name, times in by_chunk.items()}
print("fastest with so many images at once:", ", ".join(f"{name}: {size}" for name, size in best.items()))
one = 4 * H * W * C  # bytes of an input image
scratch = {
    "one product": 4 * one,
    "blocks, one product": 5 * one,
    "blocks, Winograd": one + 9 / 4 * (one + one * O / C / 4),
}
notebook.show(
    figures.speed.chunks(sizes, by_chunk, scratch),
    "Time for the batch against the number of images worked on at once, a curve for each of three methods. On many "
    "machines the curves are lowest somewhere between one image and the whole batch.",
)

# %% [markdown]
# Two forces. Small chunks stay in the cache, but their products are small, and each call of NumPy has a fixed cost. Large chunks
# have long products and miss the cache. Where the best lies is different on every machine.
#
# ### The bill
#
# All methods once more, in turn. Beside the times, what each moves: x, w and y once, and what it makes on the way twice, since
# that is written *and* read. (In chunks it is as many bytes, but most of them stay in the cache.)

# %%
methods = {
    "loops": lambda: loops(x, w),
    "one product": lambda: one_product(x, w),
    "blocks, one product": lambda: ways["blocks, one product"](x),
    "blocks, Winograd": lambda: ways["blocks, Winograd"](x),
    "one product, chunks": lambda: in_chunks(ways["one product"], x, best["one product"]),
    "Winograd, chunks": lambda: in_chunks(ways["blocks, Winograd"], x, best["blocks, Winograd"]),
    "minigan": lambda: conv_forward(x, w, stride=2, pad=1, kernel="winograd"),
}
times = in_turn(methods | {"sgemm": product})
report(times)
peak = 2 * n**3 / times.pop("sgemm")
V_and_M = N * scratch["blocks, Winograd"]
made = [0, 4 * x.nbytes, 5 * x.nbytes, V_and_M, 4 * x.nbytes, V_and_M, x.nbytes + 25 / 36 * (V_and_M - x.nbytes)]
moved = {name: BYTES + 2 * on_the_way for name, on_the_way in zip(methods, made, strict=True)}

# %% tags=["picture"]
notebook.show(
    figures.speed.bars(times, moved, FLOP, peak, title="A layer of the discriminator"),
    "Three rows of bars for each method: the time, the bytes moved, and the rate, counted in operations of the "
    "definition. The rate of a large matrix product is a dashed line, 16/9 times that a dotted one.",
)

# %% [markdown]
# V has 9 numbers for 4 inputs, the patch matrix 16: so here Winograd makes fewer multiplications **and** moves fewer bytes.
#
# **May a rate be above the peak?** The right-hand bars count the operations *of the definition* and divide by the time: the same useful
# work, done in so many seconds. But Winograd's method does 9/16 of the multiplications, so its bar may pass the dashed line, up to
# the dotted one at 16/9 = 1.78 times (minigan's, with the larger tiles that come now, up to 2.56 times). Why is it not there? The rest
# of the time is transforms: additions that use each number once, on the slanted side of the roof.
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
# There are such matrices for larger tiles. F(4,2) takes five products in place of eight; in two dimensions 25 in place of 64, that is
# 2.56 times fewer. The price stands in its $B^T$: done as we have done it, each number in it that is not 0 is a walk through memory.
# But "apply $B^T$ to five rows" is a matrix product, which makes all these additions in **one** walk.

# %%
BT = minimal_filter(4, 2)[2].astype(np.float32)
print(BT)
rows = rng.standard_normal((notebook.fast(400, 100), 5, 1024), np.float32)  # five rows of blocks, many times


def one_at_a_time():
    out = np.zeros_like(rows)
    for i, j in zip(*np.nonzero(BT), strict=True):
        out[:, i] += BT[i, j] * rows[:, j]
    return out


print("largest difference:", np.abs(one_at_a_time() - BT @ rows).max())
both = in_turn({"one addition at a time": one_at_a_time, "as a product": lambda: BT @ rows})
for name, t in both.items():
    print(f"{name:24} {t * 1e3:8.2f} ms")
print(f"{both['one addition at a time'] / both['as a product']:.1f} times as fast")

# %% [markdown]
# With that, tiles of 4 came into minigan (docs/performance.md has what they save). The moral is that of this whole lesson: *get the
# work into the shape of a matrix product*, even when it does not look like one.
#
# ### And several cores
#
# Threads inside every operation would wait for each other at the end of each. minigan runs **the whole program once on every core**
# instead. These processes are called *ranks*, and each takes its share of the images. They meet only where a formula has a sum over
# the *whole batch*: in batch normalisation, in the loss, and for the gradients of the parameters. Again the question is how many bytes
# have to be moved for how many operations; `docs/scaling.md` works it out, for many machines too.
#
# ### What does it cost in accuracy?
#
# F(2,2) is exact in algebra. In float32 every operation rounds, and Winograd adds and subtracts more. Here is the largest error of
# each method, against the same layer computed in float64:

# %% tags=["picture"]
largest = np.abs(right).max()
lost = {
    name: float(np.abs(method() - right).max() / largest) for name, method in methods.items() if "chunks" not in name
}
notebook.show(
    figures.speed.errors(lost, float(np.finfo(np.float32).eps)),
    "A bar for each method on a logarithmic axis: the largest error in float32 as a share of the largest value. Winograd with "
    "tiles of 2 loses a little more than the definition, minigan's tiles of 4 more again; all stay below a hundred-thousandth.",
)

# %% [markdown]
# minigan's tiles of 4 lose more than ours, because their matrices have numbers other than 0 and 1. All of it is far below the noise
# of the gradients. With still larger tiles it gets worse quickly.
#
# ## Break it
#
# ### Exercise 14.9: make it lose its digits   *(10 minutes)*
#
# Such errors are small beside the largest value of a tile, not beside each. Find three inputs and two taps for which F(2,2) in
# float32 is wrong by more than a **tenth** in one of the outputs, while the definition gets them right.

# %% tags=["exercise"]
# Three numbers and two: such as d = (1, 2, 4), g = (3, 5), which is a bad guess.
# --- your code: d, g = None, None
d, g = (1, 1e8, 1), (1, 1e-9)
# --- end

# %% tags=["check"]
check("lost_digits", d, g)

# %% [markdown]
# ### Exercise 14.10: five suspects   *(10 minutes)*
#
# `lesson14.SUSPECTS` has five fast convolutions for our layer, called with `(x, w)`. Some of them are wrong. Here is where each
# differs from the right result: pale is no difference, dark the largest of that picture (see its title).

# %% tags=["picture"]
hunt_x, hunt_w = lesson14.hunted()
hunt_right = conv_forward(hunt_x.astype(float), hunt_w.astype(float), stride=2, pad=1)
results = {name: suspect(hunt_x, hunt_w) for name, suspect in lesson14.SUSPECTS.items()}
notebook.show(
    figures.speed.suspects({name: y[0, :, :, 0] for name, y in results.items()}, hunt_right[0, :, :, 0]),
    "Five maps of differences of 6 x 6 pixels. A and E differ everywhere; B along the border only; C in every second row and "
    "column; D everywhere, by a millionth.",
)

# %%
for number, cause in lesson14.CAUSES.items():
    print(number, cause)

# %% [markdown]
# Name the cause for each by its number. Experiment: call a suspect with an image that has a single 1 in it, with a kernel that has
# a single 1, with an image whose border is 0.

# %% tags=["exercise"]
# --- your code: suspects = {"A": None, "B": None, "C": None, "D": None, "E": None}
suspects = {"A": 2, "B": 3, "C": 4, "D": 7, "E": 5}
# --- end

# %% tags=["check"]
check("slow_and_wrong", suspects)

# %% [markdown]
# ## The same on a GPU
#
# CuPy gives a GPU NumPy's names, and code that asks its arrays for their module, `xp = xp_of(x)` (lesson 1), runs on both. Three
# things are new.
#
# * **Two memories.** An array lives on one side. Mixing sides is an error, and copying between them is slow.
# * **Python runs ahead.** `y = x @ w` returns *before* the product is done: it only puts it into a queue. But `float(y.sum())` must
#   wait for everything before it. And a stopwatch must wait too.
# * **Launches.** Each operation costs some time before it begins. Many small ones leave the GPU idle.
#
# ### Exercise 14.11: six lines   *(5 minutes)*
#
# Here are six lines, each run on its own, with all its arrays (x, w, y, loss, scale, and in C patches) on the GPU. What does each do?

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
# If this machine has a GPU that minigan can use, the next cell runs this lesson's reference on it. If not, it says so in a line, and you
# have missed no exercise.

# %%
try:
    from minigan.nn.backend import get_backend

    gpu_backend = get_backend("cupy")
    x_gpu, w_gpu = gpu_backend.asarray(x), gpu_backend.asarray(w)
except UserError as error:
    gpu_backend = None
    print(f"no GPU here, skipped: {error}")

if gpu_backend is not None:
    cupy = gpu_backend.xp
    kernel_gpu = lesson14.block_kernel(w_gpu)
    tiles_gpu = lesson14.kernel_tiles(kernel_gpu)
    on_gpu = {
        "blocks, one product": lambda: lesson14.conv2x2(lesson14.to_blocks(x_gpu), kernel_gpu),
        "blocks, Winograd": lambda: lesson14.winograd(lesson14.to_blocks(x_gpu), tiles_gpu),
        "minigan": lambda: conv_forward(x_gpu, w_gpu, stride=2, pad=1),
    }
    for name, method in on_gpu.items():
        y_gpu = method()
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        for _ in range(20):
            y_gpu = method()
        end.record()
        end.synchronize()  # the stopwatch waits for the queue
        t = cupy.cuda.get_elapsed_time(start, end) / 20 / 1e3
        assert np.allclose(gpu_backend.to_host(y_gpu), right, atol=1e-2)
        print(f"{name:20} {t * 1e3:8.3f} ms   {FLOP / t / 1e12:6.2f} TFLOP/s")

# %% [markdown]
# ## Three questions
#
# 1. A friend doubles the number of channels, C and O, of our layer. What happens to the FLOP, to the bytes of x and y, and to
#    the arithmetic intensity? Is Winograd worth more or less then?
#
# <details><summary>Answer</summary>
#
# FLOP grow with C·O: four times. x and y grow with C or O: twice. The intensity about doubles. The products are four times the work
# and the transforms twice: worth more. With 3 channels it is the other way round, and minigan does not use it there (`winograd.pays`).
#
# </details>
#
# 2. The layer's gradient for x is a transposed convolution (lesson 9). Do its products get faster too?
#
# <details><summary>Answer</summary>
#
# Yes. The method is linear in x: a transform, nine products with U, a transform. Its adjoint is the same three steps backwards, with
# the matrices transposed: dM from dy, $dV_{rs} = dM_{rs} U_{rs}^T$, dx from dV. Nine products again. So minigan's generator, whose
# layers are adjoints of the discriminator's, has the same savings.
#
# </details>
#
# 3. Somebody measures a new function by `t = time.time(); y = f(x); print(time.time() - t)`, and finds it 30 % slower than the old one.
#    Name three reasons not to believe it yet.
#
# <details><summary>Answer</summary>
#
# It was the first call. It was one call: measure in turn, and compare the shortest or the medians. `time.time` is the clock on the
# wall, which may be set; `time.perf_counter` is the stopwatch. On a GPU nobody waited for the result. And: the same number of cores, the
# same dtype?
#
# </details>
#
# ## Appendix: the generator's layer
#
# G doubles its images by a transposed convolution, K = 4, S = 2. Lesson 9 makes it of stamps that overlap. Can each output pixel be
# computed once, whole? Take one axis: input $x_i$ puts $x_i w_p$ onto place $2i + p$ of a long output, of which one place is cropped
# on each side. So
#
# $$ y_r \;=\; \sum_{2i + p \,=\, r + 1} x_i\, w_p . $$
#
# $2i$ is even, so **p is odd when r is even, and even when r is odd**: of four taps every output sees only two, and which two depends
# only on whether it is even or odd.
#
# $$ y_{2u} \;=\; x_{u-1}\, w_3 + x_u\, w_1, \qquad y_{2u+1} \;=\; x_u\, w_2 + x_{u+1}\, w_0 . $$
#
# Each is **a convolution with two taps and stride 1**. With $x = (1, 2)$ and $w = (1, 10, 100, 1000)$: 10, 102, 1020, 200. Put a zero
# before and after x and call that $X$. With $a = 0$ for even and $a = 1$ for odd outputs both lines become one,
# $y_{2u+a} = X_{u+a}\, w_{3-a} + X_{u+a+1}\, w_{1-a}$: *phase a takes taps 3-a and 1-a, in this order, and its windows begin at padded
# pixel a.* An image has a phase $a$ for rows and $b$ for columns: four convolutions of 2 x 2, to which the 16 taps are dealt out.

# %% tags=["picture"]
notebook.show(
    figures.speed.four_phases(),
    "Four panels. The output's pixels in four colours, lettered A and B in even rows, C and D in odd ones; the sixteen taps "
    "of the kernel with the letter of the phase that uses them; the four kernels of 2 x 2 gathered from them, with taps in "
    "falling order; and the windows on the padded input which four neighbouring output pixels see, each shifted by one.",
)

# %% [markdown]
# ### Exercise 14.12: deal out the taps   *(10 minutes)*
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
# ### Exercise 14.13: four convolutions, put together   *(15 minutes)*
#
# Write the whole layer. `kernels` is what `phase_kernels` returns. `conv(part, kernel)` is a convolution like `conv2x2`, from
# (N, H+1, W+1, C) to (N, H, W, O); that it is an argument lets us put in a better one.


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

# %%
fast_upsample = notebook.yours(upsample, lesson14.upsample, alike=True)
z = rng.standard_normal((N, H // 2, W // 2, O)).astype(np.float32)
kernels = np.ascontiguousarray(notebook.yours(phase_kernels, lesson14.phase_kernels, alike=True)(w))
four_tiles = np.stack([[lesson14.kernel_tiles(kernels[a, b]) for b in range(2)] for a in range(2)])
backwards = {
    "phases, one product": lambda: fast_upsample(z, kernels, fast_conv),
    "phases, Winograd": lambda: fast_upsample(z, four_tiles, fast_winograd),
    "minigan": lambda: conv_input_grad(z, w, stride=2, pad=1, size=(H, W), kernel="winograd"),
}
expected = conv_input_grad(z.astype(float), w.astype(float), stride=2, pad=1, size=(H, W))
assert all(np.allclose(method(), expected, atol=1e-3) for method in backwards.values())
report(in_turn(backwards | {"sgemm": product}))

# %% [markdown]
# Each phase makes patches, or a V, of its own, so twice as many bytes are made and moved as in D's layer, which has as many FLOP.
# minigan runs D's products backwards instead (question 2). **Measure before you believe in an elegant idea.**
#
# ## What comes next
#
# This was the last lesson. You have written every part of a GAN by hand, checked it, trained it, looked inside, and made it fast. From
# here, read `minigan/fast/cpu/winograd.py`: it is exercise 14.8 with those three matrices, with the gradients, and with memory that is
# used again. `docs/performance.md` has the rest of the story, and all that was tried and did *not* help.

# %% [markdown]
# # Lesson 9: Transposed convolution
#
# The generator starts with a map of 4 x 4 and has to end with 64 x 64. It needs a layer that makes maps **larger**, and
# that can learn how. You have written it already: it is what lesson 8 did to dy.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 9.1 | four stamps, by hand | 8 |
# | 9.2 | `conv2d_transpose_forward` | 15 |
# | 9.3 | `conv2d_transpose_backward` | 15 |
# | 9.4 | which kernels make checkerboards, and which do not | 10 |
# | 9.5, 9.6 | break it: five pictures, and one layer with three bugs | 20 |
#
# With reading, about an hour and a half. You need lesson 7 (`im2col`, a forward pass as a product) and lesson 8 (`col2im`,
# adjoints); do these first, their solutions stand below.

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook
from lessons.exercises import lesson09
from lessons.notebook import check
from minigan.gan.models import generator
from minigan.nn import ops
from minigan.nn.layers import Conv2DTranspose

# %% [markdown]
# Do lessons 7 and 8 first: this cell holds their solutions, `im2col` and `col2im`. Paste your own over them if you have them.


# %%
def output_size(H, K, stride, pad):
    """Number of places of a window of K pixels on H pixels with `pad` zeros at both ends."""
    return (H + 2 * pad - K) // stride + 1


def im2col(x, K, stride=1, pad=0):
    """Every patch of x (N, H, W, C) as one row, in the order p, q, c: (N*Ho*Wo, K*K*C)."""
    N, H, W, C = x.shape
    Ho, Wo = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    cols = np.empty((N, Ho, Wo, K, K, C), x.dtype)
    for p in range(K):
        for q in range(K):
            cols[:, :, :, p, q] = padded[:, p : p + stride * Ho : stride, q : q + stride * Wo : stride]
    return cols.reshape(N * Ho * Wo, K * K * C)


def col2im(cols, shape, K, stride=1, pad=0):
    """Add every row of cols to the patch it belongs to: (N*Ho*Wo, K*K*C) to shape (N, H, W, C)."""
    N, H, W, C = shape
    Ho, Wo = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    cols = cols.reshape(N, Ho, Wo, K, K, C)
    padded = np.zeros((N, H + 2 * pad, W + 2 * pad, C), cols.dtype)
    for p in range(K):
        for q in range(K):
            padded[:, p : p + stride * Ho : stride, q : q + stride * Wo : stride] += cols[:, :, :, p, q]
    return padded[:, pad : pad + H, pad : pad + W]


# %% [markdown]
# ## The idea
#
# Take two numbers, $x = (1, 3)$, and a kernel of three, $w = (1, 2, 1)$. **Each number stamps the kernel, times its own
# value, onto an empty row.** The stamps' beginnings lie S = 2 apart:
#
# $$ \begin{array}{lccccc}
#    \text{from } x_0 = 1: & 1 & 2 & 1 & & \\
#    \text{from } x_1 = 3: &   &   & 3 & 6 & 3 \\ \hline
#    y: & 1 & 2 & 4 & 6 & 3
#    \end{array} $$
#
# Where stamps overlap they add up: $1 + 3 = 4$ in the middle. Two numbers have become five. Cut one off at each end,
# P = 1, and (2, 4, 6) is left. Half of it, (1, 2, 3), is the two numbers from the beginning **with their mean between
# them**: this kernel interpolates. A kernel that has been *learned* will do whatever makes better images.
#
# In two dimensions the stamps are squares. Here are four of them, on a map of 5 x 5:

# %% tags=["picture"]
notebook.show(
    figures.transposed.stamping(np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 0, 1], [0, 1, 0], [1, 0, 1]]), stride=2),
    "Filmstrip of four steps: each number of a 2 by 2 map, 1, 2, 3 and 4, stamps a 3 by 3 kernel times its value onto a 5 "
    "by 5 map, two pixels apart; where stamps overlap, the numbers add up.",
)

# %% [markdown]
# ### Exercise 9.1: four stamps   *(8 minutes)*
#
# By hand, on paper, and only then here. Another image and a kernel without symmetry:
#
# $$ x = \begin{pmatrix} 1&2\\ 0&3 \end{pmatrix} \qquad w = \begin{pmatrix} 1&2&1\\ 0&1&0\\ 1&0&2 \end{pmatrix} \qquad
#    S = 2,\; P = 0 $$
#
# Give y as five rows of five numbers.

# %% tags=["exercise"]
# --- your code: by_hand = None  # five rows: [[.., .., .., .., ..], ...]
by_hand = [
    [1, 2, 3, 4, 2],
    [0, 1, 0, 2, 0],
    [1, 0, 7, 6, 7],
    [0, 0, 0, 3, 0],
    [0, 0, 3, 0, 6],
]
# --- end

# %% tags=["check"]
check("stamps_by_hand", by_hand)  # hint=1, hint=2, hint=3 say more

# %% [markdown]
# ## The derivation
#
# ### How large is y?
#
# The stamps begin at $0, S, 2S, \dots, S(H-1)$. The last one is K long and ends at $S(H-1) + K$. Then P rows are cut off at
# the top and P at the bottom:
#
# $$ H_o \;=\; S\,(H-1) + K - 2P. $$
#
# Compare it with lesson 7. There, an image of $H_o$ pixels gave $\lfloor (H_o + 2P - K)/S \rfloor + 1$ places. Put this
# $H_o$ in: $\lfloor S(H-1)/S \rfloor + 1 = H$. **The transposed convolution goes back to where the convolution came from.**
#
# The generator's layers:
#
# | layer | H | K, S, P | S(H-1) + K - 2P |
# |---|---|---|---|
# | first | 1 | 4, 1, 0 | 0 + 4 - 0 = 4 |
# | second | 4 | 4, 2, 1 | 6 + 4 - 2 = 8 |
# | third | 8 | 4, 2, 1 | 14 + 4 - 2 = 16 |
# | fourth | 16 | 4, 2, 1 | 30 + 4 - 2 = 32 |
# | last | 32 | 4, 2, 1 | 62 + 4 - 2 = 64 |
#
# ### Forward
#
# With channels: place (i, j) has C numbers, and the stamp has O channels. Tap (p, q) is a matrix from C to O channels. It
# is kept as `w[p, q]` of shape **(O, C)**, output first; in a moment you will see why.
#
# $$ y_{\,n,\;Si+p-P,\;Sj+q-P,\;o} \;\mathrel{+}=\; \sum_{c} x_{n,i,j,c}\; w_{p,q,o,c} \qquad \text{for all } i, j, p, q, $$
#
# what falls off the edge is dropped, and $b_o$ is added once, to every pixel. Solved for a single pixel (r, s):
#
# $$ y_{n,r,s,o} \;=\; b_o + \sum_{\substack{(i,p)\,:\;Si+p-P=r\\ (j,q)\,:\;Sj+q-P=s}} \;\;\sum_{c} x_{n,i,j,c}\; w_{p,q,o,c}. $$
#
# Now put lesson 8's last formula beside it, the gradient of a convolution for its input:
#
# $$ dx_{n,r,s,c} \;=\; \sum_{\substack{(i,p)\,:\;Si+p-P=r\\ (j,q)\,:\;Sj+q-P=s}} \;\;\sum_{o} dy_{n,i,j,o}\; w_{p,q,c,o}. $$
#
# It is the same formula. Only the names differ:
#
# | lesson 8, the convolution's backward | | lesson 9, forward |
# |---|---|---|
# | dy, small, O channels | is | x, small, C channels |
# | dx, large, C channels | is | y, large, O channels |
# | w (K, K, C, O) | is | w (K, K, O, C), **the same array** |
#
# That is why Keras, and minigan, keep a transposed kernel as (K, K, O, C): it is the kernel of the convolution that this
# layer is the transpose of, with not a number moved.
#
# As matrices, then, we copy from lesson 8. It had $dX = dY\,W^{\mathsf T}$ and then col2im. With
# $W$ = `w.reshape(K*K*O, C)` and x as a matrix of shape $(NHW,\, C)$:
#
# $$ \text{cols} = x\,W^{\mathsf T} \quad (NHW,\; KKO), \qquad y = \operatorname{col2im}(\text{cols}) + b. $$
#
# A row of cols is one whole stamp; col2im puts the stamps onto the map.
#
# **Why "transposed".** A convolution of one channel is a matrix T applied to the pixels. Here it is for six pixels, K = 4,
# S = 2, P = 1; beside it the same matrix, turned over. Left, each *row* is the kernel laid onto one window. Right, each
# *column* is the kernel stamped from one number.

# %% tags=["picture"]
notebook.show(
    figures.transposed.matrices(H=6, K=4, stride=2, pad=1),
    "Left, the 3 by 6 matrix of a convolution: each row holds the taps w0 to w3, two columns further right than the row above, "
    "cut off at the edges. Right, its 6 by 3 transpose: each column holds the taps from top to bottom.",
)

# %% [markdown]
# (It is not the *inverse*: $T^{\mathsf T} T$ is not the identity. "Deconvolution", a name you will meet, promises what the
# layer does not do.)
#
# ### Exercise 9.2: forward   *(15 minutes)*
#
# Write `conv2d_transpose_forward`. You have `col2im`; the rest is one product and some shapes. Return y and a cache.


# %% tags=["exercise"]
def conv2d_transpose_forward(x, w, b, stride=1, pad=0):
    """Transposed convolution: x (N, H, W, C), w (K, K, O, C), b (O,) to y (N, stride*(H-1)+K-2*pad, ..., O), and a cache."""
    # --- your code
    N, H, W, C = x.shape
    K, _, O, _ = w.shape
    size = (N, stride * (H - 1) + K - 2 * pad, stride * (W - 1) + K - 2 * pad, O)
    cols = x.reshape(N * H * W, C) @ w.reshape(K * K * O, C).T  # (N*H*W, K*K*O): one stamp in each row
    y = col2im(cols, size, K, stride, pad) + b
    return y, (x, w, stride, pad)
    # --- end


# %% tags=["check"]
check("conv2d_transpose", conv2d_transpose_forward)  # forward alone

# %%
forward = notebook.yours(conv2d_transpose_forward, ops.conv2d_transpose_forward, alike=True)
y, _ = forward(lesson09.HAND_X[None, :, :, None], lesson09.HAND_W[:, :, None, None], np.zeros(1), 2, 0)
print("your drawing of exercise 9.1, computed:")
print(y[0, :, :, 0])

# %% [markdown]
# ### Backward
#
# For once there is nothing to derive, only to notice. Without the bias, forward is $y = T^{\mathsf T} x$. The backward of a
# matrix is its transpose, and the transpose of $T^{\mathsf T}$ is T:
#
# $$ dx \;=\; \big(T^{\mathsf T}\big)^{\mathsf T} dy \;=\; T\, dy. $$
#
# T is a convolution. **The backward pass of a transposed convolution is a convolution of dy**, with the same kernel, stride
# and padding: lesson 7's forward pass, without its bias.
#
# If that is too quick, do it with indices. The number $x_{n,i,j,c}$ has touched the pixels of its own stamp, pixel
# $(Si+p-P,\, Sj+q-P)$ with strength $w_{p,q,o,c}$:
#
# $$ \begin{aligned}
#    dx_{n,i,j,c} &= \sum_{r,s,o} dy_{n,r,s,o}\; \frac{\partial y_{n,r,s,o}}{\partial x_{n,i,j,c}} && \text{(chain rule)}\\
#    &= \sum_{p,q,o} dy_{\,n,\;Si+p-P,\;Sj+q-P,\;o}\; w_{p,q,o,c} && \text{(only its own stamp)}\\
#    &= \sum_{p,q,o} \overline{dy}_{\,n,\;Si+p,\;Sj+q,\;o}\; w_{p,q,o,c} && \text{(}\overline{dy}\text{: with P zeros around)}
#    \end{aligned} $$
#
# and the last line is lesson 7's definition, with dy as the image.
#
# **dw.** The tap $w_{p,q,o,c}$ was used by every place (i, j) of every image, and touched one pixel each time, with
# strength $x_{n,i,j,c}$:
#
# $$ \begin{aligned}
#    dw_{p,q,o,c} &= \sum_{n,i,j} \overline{dy}_{\,n,\;Si+p,\;Sj+q,\;o}\;\, x_{n,i,j,c}. \\[4pt]
#    \text{Lesson 8 had}\quad dw_{p,q,c,o} &= \sum_{n,i,j} \bar x_{\,n,\;Si+p,\;Sj+q,\;c}\;\, dy_{n,i,j,o}.
#    \end{aligned} $$
#
# The same, with **the roles of x and dy exchanged**: the large one is cut into patches, the small one stands beside it.
# As matrices, with Q = im2col(dy), of shape $(NHW,\, KKO)$:
#
# $$ dx = Q\,W, \qquad dW = Q^{\mathsf T} x, \qquad db = \text{sum of } dy \text{ over all places}. $$
#
# Both layers in one table. Three operations are all there is:
#
# | | convolution (discriminator) | transposed convolution (generator) |
# |---|---|---|
# | forward | patches times w | stamps: col2im |
# | dx | stamps: col2im | patches times w |
# | dw | patches of **x**, with dy | patches of **dy**, with x |
# | image | large to small | small to large |
#
# The generator's layer is the discriminator's backward pass. That is how `minigan/nn/conv.py` is built: three primitives,
# both networks.
#
# ### Exercise 9.3: backward   *(15 minutes)*
#
# From dy and your cache to dx, dw, db, in the shapes of x, w, b.


# %% tags=["exercise"]
def conv2d_transpose_backward(dy, cache):
    """Gradients of conv2d_transpose_forward: dx, dw, db."""
    # --- your code
    x, w, stride, pad = cache
    K, _, O, C = w.shape
    cols = im2col(dy, K, stride, pad)  # (N*H*W, K*K*O)
    dx = (cols @ w.reshape(K * K * O, C)).reshape(x.shape)
    dw = (cols.T @ x.reshape(-1, C)).reshape(w.shape)
    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
    # --- end


# %% tags=["check"]
check("conv2d_transpose", conv2d_transpose_forward, conv2d_transpose_backward)
notebook.keep("conv2d_transpose", conv2d_transpose_forward, conv2d_transpose_backward)

# %% [markdown]
# Lesson 8's identity, now across the two layers: for the same array w,
# $\langle \operatorname{conv}(u),\, x\rangle = \langle u,\, \operatorname{convT}(x)\rangle$.

# %%
rng = np.random.default_rng(9)
u, x = rng.standard_normal((2, 8, 8, 3)), rng.standard_normal((2, 4, 4, 5))  # large, 3 channels; small, 5 channels
w = rng.standard_normal((4, 4, 3, 5))  # (K, K, C, O) of the convolution, (K, K, O, C) of its transpose
left = np.sum(ops.conv2d_forward(u, w, np.zeros(5), 2, 1)[0] * x)
right = np.sum(u * forward(x, w, np.zeros(3), 2, 1)[0])
print(f"<conv(u), x> = {left:.10f}\n<u, convT(x)> = {right:.10f}")

# %% [markdown]
# ### From 4 x 4 to 64 x 64
#
# Your layer, with the generator's own shapes and its starting weights: a hundred random numbers become a map of 4 x 4 with
# 512 channels, and then each layer doubles the side and halves the channels (the last one makes three colours). (Between the layers we divide every channel by
# its standard deviation and apply LeakyReLU, as lesson 10 will do properly; the generator's 3 x 3 convolution at 32 x 32 is
# left out.)

# %%
kernels = [layer.params["kernel"] for layer in generator(seed=9).layers if isinstance(layer, Conv2DTranspose)]
noise = rng.standard_normal((4, 1, 1, 100)).astype(np.float32)  # four noise vectors


def grow(h, kernels, scales):
    """One map after the other. Where `scales` has no entry for a layer yet, it is measured and written there."""
    maps = []
    for w in kernels:
        stride, pad = (1, 0) if len(h[0]) == 1 else (2, 1)
        h, _ = forward(h, w, np.zeros(w.shape[2], np.float32), stride, pad)
        h = h / scales.setdefault(w.shape, h.std(axis=(0, 1, 2)))
        h = np.tanh(h) if w.shape[2] == 3 else np.maximum(0.2 * h, h)
        maps.append(h)
    return maps


scales = {}
maps = grow(noise, kernels, scales)
for before, w, after in zip([noise, *maps[:-1]], kernels, maps, strict=True):
    print(f"{before.shape!s:18} w {w.shape!s:17}  ->  {after.shape}")

# %% [markdown]
# The image is noise, of course: nobody has taught the layers anything. But one thing is settled before any training. Change
# a *single* place of the 4 x 4 map, grow everything again, and see what has become different:

# %% tags=["picture"]
changed = maps[0].copy()
changed[0, 1, 1] += 1
again = [changed, *grow(changed, kernels[1:], scales)]
differences = [np.abs(a[0] - b[0]).mean(axis=-1) for a, b in zip(maps, again, strict=True)]
notebook.show(
    figures.transposed.growth([m[0] for m in maps], differences),
    "Upper row: maps of 4 by 4, 8 by 8, 16 by 16, 32 by 32, one channel of each, and the 64 by 64 image, coloured noise. "
    "Lower row: what changes when one place of the 4 by 4 map changes: 1 pixel, then 4 by 4, 10 by 10, 22 by 22, and at last "
    "46 by 46 pixels.",
)

# %% [markdown]
# One of sixteen places decides over 46 x 46 of the 64 x 64 pixels, and its neighbours' areas overlap with its own. (Can you
# derive 1, 4, 10, 22, 46? Each layer doubles the side and adds K - S = 2.) A place of the last map before the image decides
# over 4 x 4 pixels. So early layers have to settle where the face is, and late ones where a lash ends.
#
# ### Checkerboards
#
# Remember the uneven map of lesson 8. There it was a gradient; here it is **the image itself**. How many stamps does a
# pixel get? Pixel r gets one from every pair (i, p) with $Si + p - P = r$. In other words, from every tap p for which
# $r + P - p$ is a multiple of S:
#
# $$ p \;\equiv\; r + P \pmod S, \qquad 0 \le p < K. $$
#
# With K = 3 and S = 2, the even remainder has the taps p = 0 and p = 2, and the odd one has only p = 1. So pixels get
# 2, 1, 2, 1, ... stamps; in two dimensions the numbers multiply, 4, 2, 1. With K = 4 and S = 2 both remainders have two taps,
# and every pixel gets 4.
#
# Below, in the upper row, is the count: a map of ones, stamped with a kernel of ones, by your layer. In the lower row is a
# measurement: a constant map, stamped with 20,000 **random** kernels, as at the start of training, and how much the results
# scatter at each pixel.

# %% tags=["picture"]
pairs = ((3, 2), (4, 2), (5, 2), (3, 3))
counts, spreads = [], []
for K, S in pairs:
    counts.append(forward(np.ones((1, 6, 6, 1)), np.ones((K, K, 1, 1)), np.zeros(1), S, 0)[0][0, :, :, 0])
    many = rng.standard_normal((K, K, 20000, 1))
    spreads.append(forward(np.ones((1, 6, 6, 1)), many, np.zeros(20000), S, 0)[0][0].std(axis=-1))
notebook.show(
    figures.transposed.checkerboards(counts, spreads, [f"K = {K}, S = {S}" for K, S in pairs]),
    "Upper row, numbers of stamps: K 3 stride 2 alternates between 1, 2 and 4; K 4 stride 2 is 4 everywhere inside; K 5 "
    "stride 2 alternates between 4, 6 and 9; K 3 stride 3 is 1 everywhere. Lower row, the measured scatter shows the same patterns.",
)

# %% [markdown]
# Generators with uneven stamps tend to paint such a chequered grain over everything, most visibly on plain colours. A. Odena, V.
# Dumoulin and C. Olah described where it comes from ("Deconvolution and checkerboard artifacts", Distill, 2016,
# <https://distill.pub/2016/deconv-checkerboard/>). The article that minigan follows uses **K = 4 with S = 2**: four stamps
# for every pixel.
#
# Here is what it looks like. One smooth map of 6 x 6 is doubled three times, by your layer, with kernels that are 1 on average and
# vary by chance around it:

# %% tags=["picture"]
smooth = np.exp(-((np.arange(6) - 2.5) ** 2) / 8)
grown = {}
for K in (3, 4):
    z = np.outer(smooth, smooth)[None, :, :, None]
    for _ in range(3):
        kernel = 1 + 0.15 * np.random.default_rng(9).standard_normal((K, K, 1, 1))
        z, _ = forward(z, kernel, np.zeros(1), 2, 1)
    grown[f"K = {K}, S = 2"] = z[0, :, :, 0] / z.max()
notebook.show(
    figures.transposed.grown(np.outer(smooth, smooth), grown),
    "A smooth bright spot of 6 by 6 pixels, and what three doublings make of it. With K = 3 it is covered by a coarse "
    "grid of bright and dark pixels; with K = 4 the spot is whole, with a faint grain.",
)

# %% [markdown]
# To be honest about it: even stamps remove the *built-in* checkerboard, not every one. A pixel at an even place and its
# neighbour at an odd place still get their stamps through different taps, and training has to bring these into agreement.
# Odena and his co-authors advise enlarging the map by repetition and using an ordinary convolution instead, which costs more
# multiplications. minigan stays with the article.
#
# ### Exercise 9.4: which kernels are even?   *(10 minutes)*
#
# Write `covers_evenly(K, stride)`: True if every pixel away from the border gets equally many stamps.


# %% tags=["exercise"]
def covers_evenly(K, stride):
    """Whether all pixels away from the border get equally many stamps. True or False."""
    # --- your code
    return K % stride == 0
    # --- end


# %% tags=["check"]
check("covers_evenly", covers_evenly)

# %% [markdown]
# ## Break it
#
# ### Exercise 9.5: five pictures   *(10 minutes)*
#
# Five layers with one fault each have stamped the same four dots with the same kernel (K = 3, stride 2, pad 1, a bias
# of 0.5), with the right one beside them. Tell the faults from the pictures alone; one
# word is left over:
#
# | word | fault |
# |---|---|
# | `"overwritten"` | where stamps overlap, the last one erases the others |
# | `"flipped"` | the kernel is stamped upside down and left to right |
# | `"exchanged"` | rows and columns of the kernel are exchanged |
# | `"every-bias"` | the bias is added with every stamp |
# | `"crop"` | the crop takes everything from the bottom and the right |
# | `"close"` | stamps lie one pixel apart, whatever the stride |

# %% tags=["picture"]
dots = np.zeros((1, 5, 5, 1))
dots[0, [0, 1, 3, 3], [0, 3, 1, 2], 0] = 1
hook = np.array([[4.0, 3, 2], [0, 0, 1], [0, 0, 1]])[:, :, None, None]
bias = np.array([0.5])
right = lesson09.stamped(dots, hook, bias, 2, 1)
shown = {"right": right} | {name: fault(dots, hook, bias, 2, 1) for name, fault in lesson09.SUSPECTS.items()}
notebook.show(
    figures.transposed.suspects(
        dots[0, :, :, 0], hook[:, :, 0, 0], {name: y[0, :, :, 0] for name, y in shown.items()}, 0.5
    ),
    "The four dots, the kernel, which looks like a hook, the right result, and five wrong ones, A to E, as maps of numbers.",
)

# %% tags=["exercise"]
# --- your code: faults = None  # such as {"A": "crop", "B": "flipped", ...}
faults = {"A": "every-bias", "B": "exchanged", "C": "crop", "D": "close", "E": "overwritten"}
# --- end

# %% tags=["check"]
check("stamp_faults", faults)

# %% [markdown]
# ### Exercise 9.6: three bugs in four lines   *(10 minutes)*
#
# This one has been tried with K = 4, stride 2, pad 1 and a bias of zeros. The shape was right, an image came out, and nobody
# compared the numbers.


# %%
def broken_transpose(x, w, b, stride=1, pad=0):
    """Somebody's conv2d_transpose_forward."""
    N, H, W, C = x.shape
    K, _, O, _ = w.shape
    cols = x.reshape(N * H * W, C) @ w.reshape(C, K * K * O)
    cols = cols + np.tile(b, K * K)
    return col2im(cols, (N, stride * H, stride * W, O), K, stride, pad), (x, w, stride, pad)


# check("conv2d_transpose", broken_transpose)  # what does the checker mind first? Take away the # and see.

# %% [markdown]
# The checker tells the first thing that it minds. Repair that, check again, and it will tell the next. It goes faster if
# you find all three before you ask.
#
# <details><summary>What the checker says</summary>
#
# ```
# conv2d_transpose   FAIL   E30   conv2d_transpose_forward: the result is wrong
#   worst at (0, 1, 0, 2): yours -14.7781, right +6.30276
#   on x (1, 3, 2, 2), w (3, 3, 3, 2), b (3,), stride=1, pad=1
# ```
#
# No "Probably": it knows each of the three bugs, but three at once look like none of them. With the shape and the product
# mended, only the third is left, and that it knows:
#
# ```
# conv2d_transpose   FAIL   E32   conv2d_transpose_forward: the result is wrong
#   worst at (0, 0, 2, 0): yours +0, right -1.35795
#   on x (2, 2, 3, 1), w (2, 2, 2, 1), b (2,), stride=3, pad=0
#   Probably: the bias is added with every stamp: where stamps overlap, several times.
# ```
#
# A checker helps most with the last bug. Change one thing at a time.
#
# </details>


# %% tags=["exercise"]
def repaired_transpose(x, w, b, stride=1, pad=0):
    """broken_transpose, repaired."""
    # --- your code
    N, H, W, C = x.shape
    K, _, O, _ = w.shape
    cols = x.reshape(N * H * W, C) @ w.reshape(K * K * O, C).T  # reshape is not a transpose: same shape, other numbers
    size = (N, stride * (H - 1) + K - 2 * pad, stride * (W - 1) + K - 2 * pad, O)  # stride*H is right for 4, 2, 1 only
    return col2im(cols, size, K, stride, pad) + b, (x, w, stride, pad)  # the bias once, not with every stamp
    # --- end


# %% tags=["check"]
check("conv2d_transpose", repaired_transpose)

# %% [markdown]
# <details><summary>The three, and what hid them</summary>
#
# `w.reshape(C, K*K*O)` has the shape of a transpose and is none: it cuts the same row of numbers into other pieces. Only
# comparing numbers shows it. The bias is added to every stamp, so a pixel gets it as often as it is stamped; with b = 0
# nothing is to be seen, and every bias starts at 0. And `stride * H` is $S(H-1) + K - 2P$ only if $K - 2P = S$, as it is for
# 4, 2, 1.
#
# </details>
#
# ## Three questions
#
# **1.** You want to double a map exactly with K = 3 and S = 2. Which P does it take?
#
# <details><summary>Answer</summary>
#
# $2(H-1) + 3 - 2P = 2H + 1 - 2P$ is odd whatever P is, so no P does. Keras cuts nothing off at the top and one row at the
# bottom. With K = 4 it is $2H + 2 - 2P$, and P = 1 does it, the same on all sides. One more reason for 4.
#
# </details>
#
# **2.** The DCGAN paper ([arXiv:1511.06434](https://arxiv.org/abs/1511.06434)) calls this layer a *fractionally-strided
# convolution*: put S - 1 zeros between the pixels of x, pad, and convolve with stride 1 and the flipped kernel. The result is
# the same. What is wrong with computing it so?
#
# <details><summary>Answer</summary>
#
# With S = 2, three of four pixels of the enlarged map are zeros that we put there, so three of four multiplications are by
# zero. Stamping does only the fourth. (And there is the flip of lesson 8 again: this way *collects*.)
#
# </details>
#
# **3.** The generator's first layer has a 1 x 1 map with 100 channels, K = 4, S = 1, P = 0. Which lesson's layer is it in
# disguise? Is there any overlap?
#
# <details><summary>Answer</summary>
#
# One place, one stamp, nothing overlaps, nothing is cut off: y is x, of shape (N, 100), times a matrix of 100 x 8192. It is
# lesson 3's dense layer, and minigan computes it as one.
#
# </details>
#
# ## What comes next
#
# Both kinds of layer are yours now, forwards and backwards, and they are nearly all the multiplications of a DCGAN. What you
# had to do by hand above, dividing by the standard deviation between the layers, is lesson 10: without it, networks
# as deep as these two are very hard to train.
#
# ### To read
#
# * A. Odena, V. Dumoulin and C. Olah, "Deconvolution and checkerboard artifacts", Distill, 2016,
#   [doi:10.23915/distill.00003](https://doi.org/10.23915/distill.00003): with pictures that you can play with.
# * V. Dumoulin and F. Visin, [arXiv:1603.07285](https://arxiv.org/abs/1603.07285), chapter 4.
# * A. Radford, L. Metz and S. Chintala, [arXiv:1511.06434](https://arxiv.org/abs/1511.06434): the DCGAN.
# * `minigan/nn/conv.py`: the three primitives; `minigan/nn/ops/conv_pairs.py`: both layers made of them.

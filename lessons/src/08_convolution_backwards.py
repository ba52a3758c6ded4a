# %% [markdown]
# # Lesson 8: Convolution backwards
#
# A convolution's backward pass has a bad name. It need not: it answers one question, three times. *Who has touched this
# number?* For a bias, everybody. For a tap of the kernel, every place, once. For a pixel of the image, a handful of
# places, **each through another tap**, and that is the whole difficulty.
#
# At the end you will have a convolution that learns, and you will have written the generator's layer by accident.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 8.1 | who touched this pixel? | 10 |
# | 8.2 | `col2im`: the copying of `im2col`, turned around | 15 |
# | 8.3 | `conv2d_backward` | 15 |
# | 8.4 | a test of your own, which needs no numeric gradient | 15 |
# | 8.5, 8.6 | break it: four culprits, and a friend's backward | 20 |
#
# With reading, about an hour and three quarters. You need lesson 7 (`im2col`; do it first, its solution
# stands below) and lesson 3 (`dense_backward`).

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook
from lessons.exercises import lesson08
from lessons.notebook import check
from minigan.data.drawn.faces import draw_face
from minigan.nn.im2col import col2im as minigans_col2im

# %% [markdown]
# Do lesson 7 first: this cell is its solution. If you wrote your own, paste it over this one: what you keep at the end should
# be yours.


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


def conv2d_forward(x, w, b, stride=1, pad=0):
    """Convolution: x (N, H, W, C), w (K, K, C, O), b (O,) to y (N, Ho, Wo, O), and a cache for backward."""
    N, H, W, _ = x.shape
    K, _, C, O = w.shape
    Ho, Wo = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    cols = im2col(x, K, stride, pad)  # (N*Ho*Wo, K*K*C)
    y = cols @ w.reshape(K * K * C, O) + b  # (N*Ho*Wo, O)
    return y.reshape(N, Ho, Wo, O), (x, w, stride, pad)


# %% [markdown]
# ## The idea
#
# One row of four pixels, a kernel of two taps, stride 1, no padding, no bias:
#
# $$ x = (1,\,2,\,0,\,3), \qquad w = (2,\,-1), \qquad y_i = 2\,x_i - x_{i+1}. $$
#
# So $y_0 = 2\cdot1 - 2 = 0$, $y_1 = 2\cdot2 - 0 = 4$, $y_2 = 2\cdot0 - 3 = -3$.
#
# The layers above us have done their backward already and hand us $dy$: how much the loss L grows per unit of each
# output. Say $dy = (1,\,-2,\,3)$. Now, **by how much does L grow if pixel $x_1$ grows a little?**
#
# Who has touched $x_1$? Place 0 did, with its second tap: $y_0$ contains $w_1 x_1 = -x_1$. And place 1 did, with its
# first: $y_1$ contains $w_0 x_1 = 2x_1$. Nobody else. So
#
# $$ dx_1 \;=\; dy_0\, w_1 + dy_1\, w_0 \;=\; 1\cdot(-1) + (-2)\cdot 2 \;=\; -5. $$
#
# Do not believe it: try it. Make $x_1$ larger by 0.1. Then $y_0$ falls by 0.1 and $y_1$ rises by 0.2, and L changes by
# $1\cdot(-0.1) + (-2)\cdot 0.2 = -0.5$. That is $-5$ per unit.
#
# **Your turn**: $dx_0$, $dx_2$ and $dx_3$. One of the ends is easier than the middle. Why?
#
# <details><summary>Answer</summary>
#
# $dx_0 = dy_0 w_0 = 2$ (place 0 only), $dx_2 = dy_1 w_1 + dy_2 w_0 = 2 + 6 = 8$, $dx_3 = dy_2 w_1 = -3$ (place 2 only).
# At the ends fewer windows overlap.
#
# </details>
#
# Notice how the taps run: in $dx_1$ **the place index goes up while the tap index goes down**, because place + tap = pixel,
# and the pixel stays. People who collect a pixel's gradient say "convolve with the flipped kernel" for it. People who
# *hand out* from the places, as we shall, never flip anything.
#
# In two dimensions it is the same, in rows and in columns. Here is lesson 7's image again, and who has touched the 3:

# %% tags=["picture"]
notebook.show(
    figures.convolution_backwards.who_touched(
        np.array([[1.0, 0, 2, 1], [0, 3, 1, 0], [2, 1, 0, 1], [1, 0, 1, 2]]), 2, (1, 1)
    ),
    "A 4 by 4 image with pixel (1, 1) framed and the four 2 by 2 windows that contain it; the 3 by 3 output with these four "
    "places marked: place (0, 0) used tap (1, 1), place (0, 1) tap (1, 0), place (1, 0) tap (0, 1), place (1, 1) tap (0, 0).",
)

# %% [markdown]
# ## The derivation
#
# The forward pass, with $\bar x$ for the padded image:
#
# $$ y_{n,i,j,o} \;=\; b_o + \sum_{p,q,c} \bar x_{\,n,\;Si+p,\;Sj+q,\;c}\; w_{p,q,c,o} $$
#
# Given is $dy_{n,i,j,o} = \partial L/\partial y_{n,i,j,o}$. Wanted are $db$, $dw$, $dx$. The chain rule is the same for
# all three: *sum, over everything that a number has touched, of dy times how strongly it touched.*
#
# ### db
#
# How strongly does $b_{o}$ touch $y_{n,i,j,o}$? With strength 1, in every place of every image:
#
# $$ db_o \;=\; \sum_{n,i,j} dy_{n,i,j,o}\cdot 1. $$
#
# A sum, not a mean. If the loss is a mean over the batch, the 1/N is in dy already.
#
# ### dw
#
# $w_{p,q,c,o}$ touches $y_{n,i,j,o'}$ only for $o' = o$, and there with strength $\bar x_{n,\,Si+p,\,Sj+q,\,c}$:
#
# $$ \begin{aligned}
#    dw_{p,q,c,o} &= \sum_{n,i,j,o'} dy_{n,i,j,o'}\; \frac{\partial y_{n,i,j,o'}}{\partial w_{p,q,c,o}} \\
#                 &= \sum_{n,i,j} dy_{n,i,j,o}\;\, \bar x_{\,n,\,Si+p,\,Sj+q,\,c}.
#    \end{aligned} $$
#
# In the small example $dw_0 = 1\cdot1 + (-2)\cdot2 + 3\cdot0 = -3$ and $dw_1 = 1\cdot2 + (-2)\cdot0 + 3\cdot3 = 11$.
#
# ### dx
#
# First for the padded image. $\bar x_{n,r,s,c}$ touches $y_{n,i,j,o}$ through tap (p, q) if they meet, that is, if
# $Si+p = r$ and $Sj+q = s$; then with strength $w_{p,q,c,o}$:
#
# $$ \begin{aligned}
#    d\bar x_{n,r,s,c} &= \sum_{i,j,o} dy_{n,i,j,o}\; \frac{\partial y_{n,i,j,o}}{\partial \bar x_{n,r,s,c}} \\
#    &= \sum_{i,j,o}\;\; \sum_{\substack{p\,:\;Si+p=r\\ q\,:\;Sj+q=s}} dy_{n,i,j,o}\; w_{p,q,c,o} \\
#    &= \sum_{\substack{(i,p)\,:\;Si+p=r\\ (j,q)\,:\;Sj+q=s}} \;\;\sum_{o} dy_{n,i,j,o}\; w_{p,q,c,o}.
#    \end{aligned} $$
#
# And dx is what remains when the padding is cut off, $dx_{n,r,s,c} = d\bar x_{n,\,r+P,\,s+P,\,c}$. The gradient of the
# zeros themselves is thrown away: they are constants.
#
# The outer sum of the last line runs over *who touched the pixel*. Let us get hold of it before we go on.
#
# ### Exercise 8.1: who touched this pixel?   *(10 minutes)*
#
# Rows and columns are independent of each other, so one dimension will do. Write `touches(r, K, stride, pad, Ho)`: all
# pairs (i, p) of a place, $0 \le i < H_o$, and a tap, $0 \le p < K$, that meet at pixel r of the **unpadded** row. A list
# of tuples, by rising i. By hand first: K = 4, stride 2, pad 1, pixel 3.


# %% tags=["exercise"]
def touches(r, K, stride, pad, Ho):
    """Every (place, tap) that meets pixel r of a row, as a list of tuples, by rising place."""
    # --- your code
    return [(i, r + pad - stride * i) for i in range(Ho) if 0 <= r + pad - stride * i < K]
    # --- end


# %% tags=["check"]
check("touches", touches)  # hint=1, hint=2, hint=3 say more

# %%
listed = notebook.yours(touches, lesson08.touches)
print("K = 4, stride 2, pad 1 on 8 pixels, as in the discriminator:")
for r in range(8):
    print(f"  pixel {r}: " + ", ".join(f"place {i} with tap {p}" for i, p in listed(r, 4, 2, 1, 4)))

# %% [markdown]
# Every inner pixel is touched twice in each direction: K/S = 2 times, by taps that are S apart. Remember the regularity;
# lesson 9 is about what happens when K/S is not a whole number.
#
# ### The same as matrices
#
# Lesson 7 split the forward pass into three steps, and backward goes through them in reverse:
#
# $$ x \;\xrightarrow{\;\text{copy patches}\;}\; X \;\xrightarrow{\;\text{affine}\;}\; Y = XW + b
#    \;\xrightarrow{\;\text{reshape}\;}\; y $$
#
# **Reshape.** Moves nothing, so its gradient moves nothing: $dY$ is dy as a matrix of shape $(N H_o W_o,\, O)$.
#
# **Affine.** Lesson 3, word for word:
#
# $$ db = \text{sum of } dY \text{ over rows}, \qquad dW = X^{\mathsf T}\, dY, \qquad dX = dY\, W^{\mathsf T}. $$
#
# Check them against the sums above. $dW_{k,o} = \sum_m X_{m,k}\, dY_{m,o}$ is the formula for dw, with k for (p, q, c)
# and m for (n, i, j). And $dX_{m,k} = \sum_o dY_{m,o}\, W_{k,o}$ is the *inner* sum of the formula for dx. In code it is
# called `dcols`.
#
# **Copy patches.** This is the new step. `im2col` computes nothing, it copies: every entry of X is one pixel of
# $\bar x$. So we may write it as a matrix too, $\operatorname{vec} X = A \operatorname{vec} \bar x$ (vec writes all numbers of an
# array below each other, as one long column), where A is full of zeros and has a single 1 in each row, which says *which pixel is copied here*. Then, as for every matrix,
#
# $$ \operatorname{vec} d\bar x \;=\; A^{\mathsf T} \operatorname{vec} dX. $$
#
# What does $A^{\mathsf T}$ do? Row r of $A^{\mathsf T}$ is column r of A. It has a 1 for **every copy that was made of pixel
# r**. So $A^{\mathsf T}$ adds up the gradients of all copies of a pixel:
#
# > The gradient of a thing that was copied is the sum of the gradients of its copies.
#
# That is `col2im`, and it is the outer sum of the formula for dx. By hand, with $w = (2, -1)$ and $dy = (1, -2, 3)$ from three
# places, S = 1. Each place hands out its dy times the kernel, which is a row of `dcols`, and `col2im` lays the rows onto the
# pixels that they were copied from:
#
# | place | row of dcols | pixel 0 | pixel 1 | pixel 2 | pixel 3 |
# |---|---|---|---|---|---|
# | 0 | $1 \cdot (2, -1) = (2, -1)$ | 2 | -1 | | |
# | 1 | $-2 \cdot (2, -1) = (-4, 2)$ | | -4 | 2 | |
# | 2 | $3 \cdot (2, -1) = (6, -3)$ | | | 6 | -3 |
# | added up | | **2** | **-5** | **8** | **-3** |
#
# Here is A for a row of six pixels, K = 3, S = 2, P = 0.
# Read it by rows and you have im2col; read it by columns, and each column tells who touched its pixel. (Pixel 5 has an
# empty column. Nobody ever looked at it, so its gradient is 0.)

# %% tags=["picture"]
notebook.show(
    figures.convolution_backwards.selection(H=6, K=3, stride=2, pad=0),
    "The 6 by 6 zero-one matrix of im2col for six pixels, K = 3, stride 2: each row has one 1; column 2 has two, because "
    "place 0 and place 1 both contain pixel 2; column 5 is empty. Beside it the transposed matrix, whose row 2 has two ones.",
)

# %% [markdown]
# ### Exercise 8.2: col2im   *(15 minutes)*
#
# Nobody builds A; it would be mostly zeros. Write `col2im(cols, shape, K, stride, pad)`: cols of shape
# $(N H_o W_o,\; K K C)$ in the order of your `im2col`, `shape` = (N, H, W, C) of the image, and add every entry to the
# pixel that it was copied from. Result: an array of that shape, the padding cut off.
#
# Put your `im2col` beside it. Every line of it has its mirror image here.


# %% tags=["exercise"]
def col2im(cols, shape, K, stride=1, pad=0):
    """Add every row of cols to the patch it belongs to: (N*Ho*Wo, K*K*C) to shape (N, H, W, C)."""
    # --- your code
    N, H, W, C = shape
    Ho, Wo = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    cols = cols.reshape(N, Ho, Wo, K, K, C)
    padded = np.zeros((N, H + 2 * pad, W + 2 * pad, C), cols.dtype)
    for p in range(K):
        for q in range(K):
            padded[:, p : p + stride * Ho : stride, q : q + stride * Wo : stride] += cols[:, :, :, p, q]
    return padded[:, pad : pad + H, pad : pad + W]
    # --- end


# %% tags=["check"]
check("col2im", col2im)

# %% [markdown]
# A picture of who touches how often: give every copy the value 1 and add them up, `col2im(im2col(ones))`. Each number is
# the number of patches that contain the pixel.

# %% tags=["picture"]
scatter = notebook.yours(col2im, lesson08.col2im, alike=True)
ones = np.ones((1, 8, 8, 1))
geometries = ((3, 1, 1), (4, 2, 1), (3, 2, 1), (2, 3, 0))
maps = [scatter(im2col(ones, K, S, P), ones.shape, K, S, P)[0, :, :, 0] for K, S, P in geometries]
notebook.show(
    figures.convolution_backwards.counts(maps, [f"K = {K}, S = {S}, P = {P}" for K, S, P in geometries]),
    "Four 8 by 8 maps of counts: K 3 stride 1 is 9 inside and less at the border; K 4 stride 2 is 4 inside, even; K 3 stride 2 "
    "alternates between 1, 2 and 4 like a checkerboard; K 2 stride 3 has gaps of zeros.",
)

# %% [markdown]
# Look at the third map. Some pixels have four times the influence of their neighbours, for no other reason than where they
# lie. Keep this in mind as well.
#
# minigan has a `col2im`, too (`minigan/nn/im2col.py`), and its heart is the same two loops. It is given the rows with their
# axes apart, (N, Ho, Wo, K, K, C), and the padding of each side. On a matrix of random numbers:

# %%
cols = np.random.default_rng(8).standard_normal((2 * 4 * 4, 4 * 4 * 3))  # 2 images of 8 x 8 x 3, K = 4, S = 2, P = 1
one_way = scatter(cols, (2, 8, 8, 3), 4, 2, 1)
other_way = minigans_col2im(cols.reshape(2, 4, 4, 4, 4, 3), 2, ((1, 1), (1, 1)), (8, 8))
print("largest difference:", np.abs(one_way - other_way).max())

# %% [markdown]
# ### Exercise 8.3: conv2d_backward   *(15 minutes)*
#
# Everything is there. From dy and the cache of `conv2d_forward` to dx, dw, db, in the shapes of x, w, b: one `reshape` of
# dy, three formulas, one `col2im`.


# %% tags=["exercise"]
def conv2d_backward(dy, cache):
    """Gradients of conv2d_forward: dx, dw, db."""
    # --- your code
    x, w, stride, pad = cache
    K, _, C, O = w.shape
    dy2 = dy.reshape(-1, O)  # (N*Ho*Wo, O)
    db = dy2.sum(axis=0)
    dw = (im2col(x, K, stride, pad).T @ dy2).reshape(w.shape)
    dcols = dy2 @ w.reshape(K * K * C, O).T  # (N*Ho*Wo, K*K*C)
    dx = col2im(dcols, x.shape, K, stride, pad)
    return dx, dw, db
    # --- end


# %% tags=["check"]
check("conv2d", conv2d_forward, conv2d_backward)
notebook.keep("conv2d", conv2d_forward, conv2d_backward)

# %% [markdown]
# (`notebook.keep` has written your layer into `lessons/my_layers.py`. Lesson 11 builds the discriminator from it.)
#
# What does dx look like? Take a face, and the edge kernels of lesson 7. Ask a single output number: *what would have to
# change in the image so that you grow?* The answer is dx for a dy that is 0 everywhere but for a 1 at that place. Then ask
# five of them at once, and then all those at which the edge is strong.

# %% tags=["picture"]
face = draw_face(11)[0] / 127.5 - 1
g = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 12
w = np.repeat(g[:, :, None, None], 3, axis=2)  # (3, 3, 3, 1)
back = notebook.yours(conv2d_backward, lesson08.conv2d_backward, alike=True)
y, cache = conv2d_forward(face[None], w, np.zeros(1), 1, 1)
single, several = np.zeros_like(y), np.zeros_like(y)
single[0, 20, 20], several[0, [12, 20, 30, 41, 50], [20, 44, 12, 31, 50]] = 1, 1
strong = np.where(np.abs(y) > 0.25, y, 0)
gradients = [back(dy, cache)[0][0].sum(axis=-1) for dy in (single, several, strong)]
notebook.show(
    figures.convolution_backwards.answers(face, g, [dy[0, :, :, 0] for dy in (single, several, strong)], gradients),
    "Top row: three gradients dy, with one place (enlarged), five places and all strong edges marked. Bottom row: the face, and dx for the "
    "three: one kernel stamped at the place, five stamps, and the outlines of the face built from stamps.",
)

# %% [markdown]
# Each place **stamps the kernel** onto the image, times its dy, and overlapping stamps add up. Small map in, large map
# out, with a kernel in between. Does that remind you of something the generator does?
#
# ### Exercise 8.4: a test of your own   *(15 minutes)*
#
# Back to the small example: $x = (1,2,0,3)$, $w = (2,-1)$, $y = (0,4,-3)$, $dy = (1,-2,3)$, $dx = (2,-5,8,-3)$. Multiply y
# with dy and add up, and do the same with x and dx:
#
# $$ \langle y, dy\rangle = 0\cdot1 + 4\cdot(-2) + (-3)\cdot3 = -17, \qquad
#    \langle x, dx\rangle = 1\cdot2 + 2\cdot(-5) + 0\cdot8 + 3\cdot(-3) = -17. $$
#
# No accident. Without a bias, forward is a matrix applied to x, $y = Tx$, and backward applies its transpose,
# $dx = T^{\mathsf T} dy$. For any two vectors
#
# $$ \begin{aligned}
#    \langle T x,\, dy\rangle &= \sum_m \Big(\sum_k T_{mk}\, x_k\Big)\, dy_m && \text{(written out)}\\
#    &= \sum_k x_k \Big(\sum_m T_{mk}\, dy_m\Big) && \text{(sums exchanged)}\\
#    &= \langle x,\, T^{\mathsf T} dy\rangle.
#    \end{aligned} $$
#
# $T^{\mathsf T}$ is called the **adjoint** of T. The identity holds for *every* dy, so it is a test: one forward, one backward,
# two sums. No numeric gradient, no step size h to choose, and it is exact up to rounding.
#
# Write `is_adjoint(forward, backward, x, w, stride, pad)`, which says True if the functions pass it. `forward(x, w, b,
# stride, pad)` and `backward(dy, cache)` are as above. Three traps:
#
# * with a bias, forward is not linear: what must b be?
# * which dy would look right for too many wrong backwards?
# * a difference of 0.000001 is nothing between numbers around $10^9$, and everything between numbers around $10^{-9}$. What
#   should it be compared with?
#
# check() tries your test on right and on wrong backwards. A test that cannot fail is no test.


# %% tags=["exercise"]
def is_adjoint(forward, backward, x, w, stride=1, pad=0):
    """Whether <forward(x), dy> = <x, dx>, dx being the first result of backward, up to rounding. True or False."""
    # --- your code
    y, cache = forward(x, w, np.zeros(w.shape[3]), stride, pad)
    dy = np.random.default_rng(0).standard_normal(y.shape)  # random: ones would hide a wrong order
    dx = backward(dy, cache)[0]
    left, right = np.sum(y * dy), np.sum(x * dx)
    return bool(abs(left - right) <= 1e-9 * np.linalg.norm(y) * np.linalg.norm(dy))
    # --- end


# %% tags=["check"]
check("is_adjoint", is_adjoint)

# %% [markdown]
# What it cannot see: a *forward* that is wrong with a backward that belongs to it. If both flip the kernel, they are
# adjoint to each other. That is why the checker always tries forward by itself first.
#
# The identity holds for w as well, because y is linear in w too: $\langle w, dw\rangle = 2\cdot(-3) + (-1)\cdot11 = -17$.
#
# ## Break it
#
# ### Exercise 8.5: four culprits   *(12 minutes)*
#
# Four people have written `col2im`. Each is yours but for one line:
#
# | | the line that differs |
# |---|---|
# | A | `padded[...] = cols[:, :, :, p, q]` (no +) |
# | B | `return padded[:, pad:-pad, pad:-pad]` |
# | C | `padded = np.zeros((N, stride*(Ho - 1) + K, stride*(Wo - 1) + K, C))`, and all of it but `pad` on each side is returned |
# | D | `Wo, Ho = output_size(H, K, stride, pad), output_size(W, K, stride, pad)` |
#
# All four have been tried with an image of 6 x 6, K = 2, stride 2, pad 1, and all four **were right**. A nice round
# example is where bugs hide.
#
# For each of them find a geometry (H, W, K, stride, pad) that convicts it **and nobody else**. That takes knowing exactly
# what each one gets wrong, and when it does not matter.

# %% tags=["exercise"]
# --- your code: geometry = None  # {"A": (H, W, K, stride, pad), "B": ..., "C": ..., "D": ...}
geometry = {
    "A": (6, 6, 3, 1, 1),  # windows overlap
    "B": (6, 6, 2, 2, 0),  # [0:-0] is empty
    "C": (7, 7, 2, 2, 1),  # a row and a column are left over
    "D": (6, 4, 2, 2, 1),  # not square
}
# --- end

# %% tags=["check"]
check("culprits", geometry)

# %% [markdown]
# Those four lines are why the checker's cases have all sizes different, with stride 2, without padding, and with rows left
# over.
#
# ### Exercise 8.6: a friend's backward   *(8 minutes)*
#
# A friend has read two things on the internet: "the gradient of a convolution is a convolution with the flipped kernel", and
# "gradients are averaged over the batch". Both sentences are true of something. Neither is true here.


# %%
def broken_backward(dy, cache):
    """A friend's."""
    x, w, stride, pad = cache
    K, _, C, O = w.shape
    dy2 = dy.reshape(-1, O)
    db = dy2.sum(axis=0)
    dw = (im2col(x, K, stride, pad).T @ dy2).reshape(w.shape) / len(x)
    dcols = dy2 @ w[::-1, ::-1].reshape(K * K * C, O).T
    dx = notebook.yours(col2im, lesson08.col2im, alike=True)(dcols, x.shape, K, stride, pad)
    return dx, dw, db


# check("conv2d", conv2d_forward, broken_backward)  # take away the # when you know what it will say

# %% [markdown]
# Write down what the checker will say before you ask it. Then say what each sentence *is* true of, and repair it.
#
# <details><summary>What the checker says</summary>
#
# ```
# conv2d   FAIL   E54   conv2d_backward: dx is wrong in 6 of 7 cases tried
#   right so far: forward
#   db right
#   dw wrong too
#   100% of dx wrong; worst at (0, 3, 3, 0): yours +6.13832, numeric -2.09676
#   on x (2, 4, 5, 1), w (2, 2, 1, 2), b (2,), stride=1, pad=0
#   Probably: the kernel is flipped. dx as a convolution of dy needs a flip; dx as a sum of patches (col2im)
#     does not: here is one flip too many, or too few.
# ```
#
# It names one thing at a time, in the order dx, dw, db. When the flip is gone, the other sentence is next:
#
# ```
# conv2d   FAIL   E57   conv2d_backward: dw is wrong in 6 of 7 cases tried
#   right so far: forward
#   dx, db right
#   100% of dw wrong; worst at (0, 0, 0, 1): yours -9.18713, numeric -18.3743
#   on x (2, 4, 5, 1), w (2, 2, 1, 2), b (2,), stride=1, pad=0
#   Probably: it is 1/N times the right one: a mean where a sum belongs, or a division that does not belong there.
# ```
#
# </details>


# %% tags=["exercise"]
def repaired_backward(dy, cache):
    """broken_backward, repaired."""
    # --- your code
    x, w, stride, pad = cache
    K, _, C, O = w.shape
    dy2 = dy.reshape(-1, O)
    db = dy2.sum(axis=0)
    dw = (im2col(x, K, stride, pad).T @ dy2).reshape(w.shape)  # the loss has divided by N already
    dcols = dy2 @ w.reshape(K * K * C, O).T  # we hand out from the places: no flip
    dx = col2im(dcols, x.shape, K, stride, pad)
    return dx, dw, db
    # --- end


# %% tags=["check"]
check("conv2d", conv2d_forward, repaired_backward)

# %% [markdown]
# <details><summary>What the two sentences are true of</summary>
#
# *Flipped kernel*: a program that **collects** dx for a pixel, with stride 1, walks over the places around it, and meets
# the taps in reverse order: that is a convolution of dy with the kernel turned upside down and left to right. A program
# that **hands out** from the places, as col2im does, meets them in their own order. Flipping in col2im is doing it twice.
#
# *Averaged*: if the loss is the mean over the batch, then dy carries the 1/N. It comes in once, at the loss, not at every
# layer.
#
# </details>
#
# ## Three questions
#
# **1.** Is `col2im(im2col(x))` equal to x? When?
#
# <details><summary>Answer</summary>
#
# It is x times the map of counts that you have seen: every pixel comes back as often as it was copied. Equal to x only if
# every pixel lies in exactly one window, K = S with nothing left over. col2im is the transpose of im2col, not its inverse.
#
# </details>
#
# **2.** The cache of `conv2d_forward` holds x, and backward makes the patch matrix anew. It could have kept it. What does
# each choice cost, for the discriminator's second layer (64 x 32 x 32 x 64, K = 4, S = 2)?
#
# <details><summary>Answer</summary>
#
# x takes 16 MiB and is there anyway, as the output of the layer before. The patch matrix takes 64 MiB and would have to
# live until backward. Making it again costs a copy of 64 MiB, some milliseconds; the product with it takes many times as
# long. minigan makes it again.
#
# </details>
#
# **3.** The first layer of the discriminator has no layer before it. Does anybody need its dx?
#
# <details><summary>Answer</summary>
#
# When the discriminator learns, nobody: an image is not going to be improved, and minigan does not compute it (half of
# that layer's backward saved). When the **generator** learns, it is all that matters. dx of the first layer says, for every
# pixel of a fake, which way it should change to look more real. It is the only thing the generator ever hears from the
# discriminator.
#
# </details>
#
# ## What comes next
#
# dx hands a small map out to a large one: each place stamps the kernel, overlaps add up, the border is cut off. The
# generator has to do exactly that, from 4 x 4 up to 64 x 64, *as its forward pass*. In lesson 9 you will write it, and find
# that you have nearly nothing left to write.
#
# ### To read
#
# * The notes on backpropagation of Stanford's CS231n, <https://cs231n.github.io/optimization-2/>: "gradients add up at
#   forks" is our sentence about copies.
# * V. Dumoulin and F. Visin, [arXiv:1603.07285](https://arxiv.org/abs/1603.07285), section 4.1: a convolution as one matrix,
#   and its transpose.
# * `minigan/nn/loops.py`: forward, dx and dw over *the same list* of meetings (i, j, p, q, r, s), each solved for
#   another letter. If you read one file of minigan, read this one.
# * `minigan/nn/im2col.py`: forward, dx and dw as you have written them, for a few images at a time.

# %% [markdown]
# # Lesson 10: Batch normalisation
#
# Take the mean and the scale out of everything that passes through: forward that is two lines. Backward it is the layer
# that most people get wrong, because in it every value of a batch has a hand in every other's output, through the mean
# and through the variance.
#
# You send a gradient back through it by hand, then node by node, then in one line. You see how much of the gradient its
# three paths cancel, and find out why the most popular gradient check accepts a batch normalisation whose gradient is all
# zeros.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 10.1 | three numbers, normalised by hand | 10 |
# | 10.2 | `batch_norm_forward` | 10 |
# | 10.3 | backward by graph, node by node | 30 |
# | 10.4 | the three paths of the gradient, and backward in one line | 20 |
# | 10.5 | blind probes: a `dy` with which a check sees nothing | 10 |
# | 10.6 | inference, and the moving average that it uses | 15 |
# | 10.7 | who normalises with what, in each phase of a GAN | 10 |
# | 10.8, 10.9 | break it: five suspects, and a colleague's backward | 25 |
#
# With reading, about three hours, a good half of it with a pencil. Nothing here takes the computer more than a few
# seconds. You need the chain rule on a graph (lesson 2), `dense` (lesson 3), and sums over axes of an array
# `(N, H, W, C)` (lesson 1).

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook, recorded_runs
from lessons.exercises import lesson10
from lessons.notebook import check

# %% [markdown]
# ## The idea
#
# The networks of lesson 11 are five and six kernels deep. What a layer gets depends on all layers below it, and those
# move at every step. If one layer doubles its output, the next one's inputs double, and so on upwards: the scales
# multiply. Sergey Ioffe and Christian Szegedy ([arXiv:1502.03167](https://arxiv.org/abs/1502.03167)) put a layer in
# between that takes the scale away: it looks at all the values that a channel has in this batch, subtracts their
# mean, and divides by their standard deviation. Then two trained numbers per channel, gamma and beta, give it the
# scale and the offset that *training* wants.
#
# ### Three numbers
#
# One channel, three values, with an $\varepsilon$ chosen so that the root comes out even:
#
# $$x = (1,\; 6,\; 8), \qquad \gamma = 3,\quad \beta = 2,\quad \varepsilon = \tfrac13 .$$
#
# | step | | numbers |
# |---|---|---|
# | mean | $\mu = (1 + 6 + 8)/3$ | $5$ |
# | centred | $c = x - \mu$ | $(-4,\; 1,\; 3)$ |
# | variance | $v = (16 + 1 + 9)/3$ | $26/3$ |
# | standard deviation | $s = \sqrt{v + \varepsilon} = \sqrt{26/3 + 1/3}$ | $3$ |
# | normalised | $\hat x = c / s$ | $(-\tfrac43,\; \tfrac13,\; 1)$ |
# | output | $y = \gamma \hat x + \beta$ | $(-2,\; 3,\; 5)$ |
#
# Three things to notice.
#
# * The variance is divided by $N = 3$, not by $N - 1 = 2$: we describe this batch, we do not estimate a population.
#   (Statisticians call it *biased*. It is NumPy's `var`.)
# * $\varepsilon$ stands **under the root, with the variance**. It is there for a channel whose values are all equal:
#   $0/\sqrt{\varepsilon}$ is 0, while $0/0$ is NaN. Real programs take a small one; Keras, and minigan with
#   it, takes $10^{-3}$. Ours is huge so that the root comes out even.
# * Add 100 to all of $x$: nothing changes in $y$. Multiply $x$ by 10: almost nothing changes (only $\varepsilon$
#   notices). Keep this in mind. It is the whole secret of the backward pass.
#
# In an image batch `(N, H, W, C)` a channel's values are all its pixels in all images, $N \cdot H \cdot W$ of
# them: **all axes but the last**. In this lesson $N$ in a formula means that number of values.

# %% [markdown]
# ### Exercise 10.1: your three numbers   *(10 minutes, with a pencil)*
#
# $x = (2, 2, 5)$, $\gamma = 3$, $\beta = 1$, $\varepsilon = \tfrac14$. What are the mean, the variance, the standard
# deviation $s$, and $y$?

# %% tags=["exercise"]
# --- your code: mean, var, s, y = None, None, None, None
mean, var, s, y = 3, 2, 1.5, (-1, -1, 5)
# --- end

# %% tags=["check"]
check("three_numbers", mean, var, s, y)

# %% [markdown]
# `check(..., hint=1)`, `hint=2` and `hint=3` say more, here and in all exercises below.
#
# ### Exercise 10.2: forward   *(10 minutes)*
#
# Write `batch_norm_forward(x, gamma, beta, eps=1e-3)` for `x` of shape `(N, C)` or `(N, H, W, C)`, `gamma` and `beta`
# of shape `(C,)`. It returns `y`, of the shape of `x`, and a cache. What you keep in a cache is your affair, but the
# cells below are written for `(xhat, gamma, s)`, with `s` of shape `(C,)`: three things are all that backward will
# need.


# %% tags=["exercise"]
def batch_norm_forward(x, gamma, beta, eps=1e-3):
    """Normalise every channel over all axes but the last, then times gamma plus beta.

    x (N, C) or (N, H, W, C), gamma (C,), beta (C,) -> y like x, cache (xhat, gamma, s)
    """
    # --- your code
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)  # (C,)
    s = np.sqrt(x.var(axis=axes) + eps)  # (C,)
    xhat = (x - mean) / s
    return gamma * xhat + beta, (xhat, gamma, s)
    # --- end


# %% tags=["check"]
check("batch_norm", batch_norm_forward)

# %% [markdown]
# Now three channels of quite different habits: one narrow and far from 0, one skewed, and one with two peaks, half of its
# values between -6 and -5, the other half between 2 and 3.
#
# **Predict before you run**: does the third become a bell? Where will its peaks be, and how wide?
#
# <details><summary>Answer</summary>
#
# No bell: batch normalisation moves and stretches, no more, and two peaks stay two peaks. Their middles are at -5.5 and 2.5,
# so the mean is -1.5, and nearly all values are 4 away from it: the deviation is 4. The peaks come to lie at
# $(-5.5 + 1.5)/4 = -1$ and at $+1$, and each is a quarter as wide as before.
#
# </details>

# %% tags=["picture"]
rng = np.random.default_rng(0)
narrow, skewed = 5 + 0.4 * rng.standard_normal(4000), rng.exponential(3.0, 4000)
channels = np.stack([narrow, skewed, rng.choice([-6, 2], 4000) + rng.random(4000)], axis=1)
forward = notebook.yours(batch_norm_forward, lesson10.batch_norm_forward, alike=True)
normalised, _ = forward(channels, np.ones(3), np.zeros(3))
notebook.show(
    figures.batchnorm.histograms(channels, normalised),
    "Histograms of three channels before and after: narrow far from 0, skewed and wide, with two peaks. "
    "Afterwards all three have mean 0 and standard deviation 1 and have kept their shapes.",
)

# %% [markdown]
# ## The derivation
#
# ### The graph
#
# The forward pass in its smallest steps, one operation each, for one channel.
#
# | | forward | how many | the three numbers |
# |---|---|---|---|
# | 1 | $\mu = \frac1N \sum_j x_j$ | one | $5$ |
# | 2 | $c_i = x_i - \mu$ | $N$ | $(-4, 1, 3)$ |
# | 3 | $q_i = c_i^2$ | $N$ | $(16, 1, 9)$ |
# | 4 | $v = \frac1N \sum_j q_j$ | one | $26/3$ |
# | 5 | $s = \sqrt{v + \varepsilon}$ | one | $3$ |
# | 6 | $r = 1/s$ | one | $1/3$ |
# | 7 | $\hat x_i = c_i\, r$ | $N$ | $(-\frac43, \frac13, 1)$ |
# | 8 | $y_i = \gamma \hat x_i + \beta$ | $N$ | $(-2, 3, 5)$ |
#
# Now look for arrows that *split*. $x_i$ goes into lines 1 and 2. $c_i$ goes into lines 3 and 7. Where an arrow
# splits on the way forward, gradients **add up** on the way back. And where one number is used for all (lines 2, 7,
# 8: $\mu$, $r$, $\gamma$, $\beta$), its gradient is a **sum over all** its users. That is all we need.
#
# ### Backward, line by line, from the bottom
#
# We write `dy` for the gradient of the loss for $y$, and so on. As an example take $dy = (3, 0, 0)$: the loss cares
# for $y_1$ alone.
#
# **Predict before you read on**: which of the three $x$ get a gradient other than 0? And that of $x_1$: with $\mu$ and $s$
# taken for constants it would be $\gamma\, dy_1 / s = 3$. Is the true one larger or smaller?
#
# <details><summary>Answer</summary>
#
# All three get one, since each $x$ has a share in $\mu$ and in $s$, and so in $y_1$. The true one is smaller: raise $x_1$ and
# the mean rises after it, which takes a part back; and $x_1$ lies below the mean, so raising it narrows the batch, a smaller
# $s$ pushes everything outwards, and $y_1$ down again. How much smaller, you will see in a minute.
#
# </details>
#
# **Line 8.** $y_i = \gamma \hat x_i + \beta$. Every $i$ uses the same $\beta$ with factor 1, the same $\gamma$ with
# factor $\hat x_i$; and $\hat x_i$ is used once, with factor $\gamma$:
#
# $$d\beta = \sum_i dy_i, \qquad d\gamma = \sum_i dy_i\, \hat x_i, \qquad d\hat x_i = \gamma\, dy_i .$$
#
# Numbers: $d\beta = 3$, $d\gamma = 3\cdot(-\frac43) = -4$, $d\hat x = (9, 0, 0)$.
#
# **Line 7.** $\hat x_i = c_i r$. A product: each factor's gradient is the other factor times what comes in. $r$ is
# one number for all:
#
# $$dr = \sum_i d\hat x_i\, c_i, \qquad dc_i = d\hat x_i\, r \quad\text{(the first of two contributions to } dc_i).$$
#
# Numbers: $dr = 9\cdot(-4) = -36$, $dc = (3, 0, 0)$ so far.
#
# **Line 6.** $r = 1/s$, so $\partial r/\partial s = -1/s^2$:
#
# $$ds = -\,dr / s^2 .$$
#
# Numbers: $ds = 36/9 = 4$.
#
# **Line 5.** $s = (v+\varepsilon)^{1/2}$, so $\partial s/\partial v = \frac12 (v+\varepsilon)^{-1/2} = 1/(2s)$:
#
# $$dv = ds/(2s) .$$
#
# Numbers: $dv = 4/6 = \frac23$.
#
# **Line 4.** A mean: every $q_i$ has a share of $1/N$ in it.
#
# $$dq_i = dv/N .$$
#
# Numbers: $dq = (\frac29, \frac29, \frac29)$. *All three get something now, although the loss asks only about* $y_1$.
#
# **Line 3.** $q_i = c_i^2$, so $\partial q_i/\partial c_i = 2c_i$. This is the second contribution to $dc_i$: it is
# **added**.
#
# $$dc_i \mathrel{+}= 2 c_i\, dq_i .$$
#
# Numbers: $2c\,dq = (-\frac{16}9, \frac49, \frac{12}9)$; together $dc = (\frac{11}9, \frac49, \frac{12}9)$.
#
# **Line 2.** $c_i = x_i - \mu$. $x_i$ gets $dc_i$ as it is. $\mu$ is one number for all, with factor $-1$:
#
# $$dx_i = dc_i \quad\text{(first contribution)}, \qquad d\mu = -\sum_i dc_i .$$
#
# Numbers: $d\mu = -\frac{27}9 = -3$.
#
# **Line 1.** A mean again, and the second contribution to $dx_i$:
#
# $$dx_i \mathrel{+}= d\mu/N .$$
#
# Numbers: $d\mu/N = -1$, so
# $dx = (\frac{11}9 - 1,\; \frac49 - 1,\; \frac{12}9 - 1) = (\frac29,\; -\frac59,\; \frac39)$.
#
# Look at what is left. Had we taken $\mu$ and $s$ for constants, $dx_1$ would have been $\gamma\, dy_1 / s = 3$. It
# is $\frac29$: **more than nine tenths of the gradient is cancelled** by the other two paths. Leaving them out is not
# a small inaccuracy.

# %% tags=["picture"]
notebook.show(
    figures.batchnorm.graph(x=(1, 6, 8), dy=(3, 0, 0), gamma=3, beta=2, eps=1 / 3),
    "The graph of batch normalisation from x at the left to y at the right: x, mean, c, q, v, s, r, xhat, y. Each "
    "node shows its values and below them its gradient for the worked example. x splits towards the mean and "
    "towards c; c splits towards q and towards xhat.",
)

# %% [markdown]
# ### Exercise 10.3: backward by graph   *(30 minutes)*
#
# Write `batch_norm_backward_graph(dy, cache)`: the lines above, in code, **one node at a time**. It returns `dx`
# (like `dy`), `dgamma (C,)`, `dbeta (C,)`. The cache is the one that your forward made; for the one above, $c$ is
# `xhat * s`. Sums run over all axes but the last; what is one number in the table is `(C,)` here, and broadcasting
# does the rest.
#
# Do not jump to the formula that you may remember: the point is to see the chain rule do it.


# %% tags=["exercise"]
def batch_norm_backward_graph(dy, cache):
    """Gradients of batch_norm_forward, node by node. dy (..., C) -> dx (..., C), dgamma (C,), dbeta (C,)"""
    # --- your code
    xhat, gamma, s = cache
    axes = tuple(range(dy.ndim - 1))
    N = dy.size // dy.shape[-1]
    c, r = xhat * s, 1 / s
    # line 8
    dbeta = dy.sum(axis=axes)
    dgamma = (dy * xhat).sum(axis=axes)
    dxhat = dy * gamma
    # line 7
    dr = (dxhat * c).sum(axis=axes)
    dc = dxhat * r
    # line 6
    ds = -dr / s**2
    # line 5
    dv = ds / (2 * s)
    # line 4
    dq = dv / N
    # line 3: c was used twice
    dc = dc + 2 * c * dq
    # line 2
    dx = dc
    dmu = -dc.sum(axis=axes)
    # line 1: x was used twice
    dx = dx + dmu / N
    return dx, dgamma, dbeta
    # --- end


# %% tags=["check"]
check("batch_norm", batch_norm_forward, batch_norm_backward_graph, method="graph")

# %% [markdown]
# ### In one line
#
# A line of code for every node. With a pencil they become one. Start from lines 3 and 7, which together give
#
# $$dc_i = \frac{d\hat x_i}{s} + \frac{2 c_i}{N}\, dv. \tag{a}$$
#
# Put lines 7, 6 and 5 into each other to get $dv$:
#
# $$dv = \frac{ds}{2s} = -\frac{dr}{2 s^3} = -\frac{1}{2 s^3} \sum_j d\hat x_j\, c_j .$$
#
# Every $c_j$ is $s\,\hat x_j$, and $s$ can leave the sum:
#
# $$dv = -\frac{1}{2 s^3}\, s \sum_j d\hat x_j\, \hat x_j = -\frac{1}{2 s^2} \sum_j d\hat x_j\, \hat x_j =
#     -\frac{N}{2 s^2}\, \overline{d\hat x\, \hat x},$$
#
# where the bar is a mean over the $N$ values. Into (a), with $c_i = s\,\hat x_i$ once more:
#
# $$dc_i = \frac{d\hat x_i}{s} + \frac{2 s \hat x_i}{N} \left( -\frac{N}{2 s^2}\, \overline{d\hat x\, \hat x} \right)
#        = \frac{1}{s} \left( d\hat x_i - \hat x_i\, \overline{d\hat x\, \hat x} \right). \tag{b}$$
#
# Now the mean. From line 2, and because the $\hat x_j$ add up to 0 (they are centred):
#
# $$d\mu = -\sum_j dc_j = -\frac1s \Big( \sum_j d\hat x_j - \overline{d\hat x\, \hat x} \underbrace{\sum_j \hat
#     x_j}_{0} \Big) = -\frac{N}{s}\, \overline{d\hat x} .$$
#
# (The underbrace is a small mercy: $\mu$ enters the variance too, but moving $\mu$ a little does not change
# $\sum c_j^2$, because $\sum c_j = 0$. The paper's formula carries that term along; it is always zero.) Lines 2 and
# 1:
#
# $$dx_i = dc_i + \frac{d\mu}{N} = \frac1s \left( d\hat x_i - \overline{d\hat x} - \hat x_i\, \overline{d\hat x\,
#     \hat x} \right).$$
#
# Last, line 8: $d\hat x_i = \gamma\, dy_i$, and $\gamma$ leaves every mean:
#
# $$\boxed{\; dx_i = \frac{\gamma}{s} \Big( \underbrace{dy_i}_{\text{directly}} -
#     \underbrace{\overline{dy}}_{\text{through the mean}} - \underbrace{\hat x_i\, \overline{dy\, \hat
#     x}}_{\text{through the variance}} \Big) \;}$$
#
# Check it on the three numbers: $\gamma/s = 1$, $\overline{dy} = 1$, $\overline{dy\,\hat x} = -\frac43$. So
# $dx = (3, 0, 0) - (1, 1, 1) + \frac43(-\frac43, \frac13, 1) = (\frac29, -\frac59, \frac39)$. The same as before. And
# the two means are already known: $\overline{dy} = d\beta/N$, $\overline{dy\,\hat x} = d\gamma/N$.
#
# ### Exercise 10.4: the three paths, and the one line   *(20 minutes)*
#
# First `three_paths(dy, xhat, gamma, s)`: three arrays like `dy`, the shares of `dx` that come directly, through the
# mean, and through the variance (with their signs, so that the three add up to `dx`). Then
# `batch_norm_backward(dy, cache)` with their sum, or shorter.


# %% tags=["exercise"]
def three_paths(dy, xhat, gamma, s):
    """Shares of dx: directly, through the mean, through the variance. Each of the shape of dy."""
    # --- your code
    axes = tuple(range(dy.ndim - 1))
    scale = gamma / s
    direct = scale * dy
    through_mean = -scale * dy.mean(axis=axes) + np.zeros_like(dy)
    through_variance = -scale * xhat * (dy * xhat).mean(axis=axes)
    return direct, through_mean, through_variance
    # --- end


def batch_norm_backward(dy, cache):
    """Gradients of batch_norm_forward. dy (..., C) -> dx (..., C), dgamma (C,), dbeta (C,)"""
    # --- your code
    xhat, gamma, s = cache
    axes = tuple(range(dy.ndim - 1))
    N = dy.size // dy.shape[-1]
    dbeta = dy.sum(axis=axes)
    dgamma = (dy * xhat).sum(axis=axes)
    return gamma / s * (dy - dbeta / N - xhat * dgamma / N), dgamma, dbeta
    # --- end


# %% tags=["check"]
check("three_paths", three_paths)
check("batch_norm", batch_norm_forward, batch_norm_backward)
notebook.keep("batch_norm", batch_norm_forward, batch_norm_backward)

# %% [markdown]
# The three paths of the worked example, one group of bars per value. The loss asked for $y_1$ only; still $x_2$ and
# $x_3$ get a gradient, and that of $x_1$ nearly vanishes.

# %% tags=["picture"]
paths = notebook.yours(three_paths, lesson10.three_paths, alike=True)
example = np.array([[3.0], [0.0], [0.0]])
xhat = np.array([[-4.0], [1.0], [3.0]]) / 3
notebook.show(
    figures.batchnorm.three_paths(paths(example, xhat, np.array([3.0]), np.array([3.0]))),
    "For each of the three values four bars: direct 3, 0, 0; through the mean -1, -1, -1; through the variance "
    "-1.78, 0.44, 1.33; their sum 0.22, -0.56, 0.33.",
)

# %% [markdown]
# ### Why it looks like that
#
# The formula can be *seen*. Add one number to all $x$: $y$ does not change. So the slope of any loss in the direction
# $(1, 1, \dots, 1)$ is zero, and a slope in a direction is the dot product with the gradient:
#
# $$\sum_i dx_i = 0 .$$
#
# Multiply all $c_i$ by the same factor: $y$ does not change either (as long as $\varepsilon$ is too small to matter).
# So the slope in the direction of $\hat x$ is zero:
#
# $$\sum_i dx_i\, \hat x_i = 0 .$$
#
# Both from the formula, line by line. With $\sum \hat x_i = 0$ and, for $\varepsilon = 0$, $\overline{\hat x^2} = 1$:
#
# $$\sum_i dx_i = \frac{\gamma}{s} \Big( N\,\overline{dy} - N\,\overline{dy} - \overline{dy\,\hat x} \sum_i \hat x_i
#     \Big) = 0,$$
#
# $$\sum_i dx_i\, \hat x_i = \frac{\gamma}{s} \Big( N\,\overline{dy\,\hat x} - \overline{dy} \sum_i \hat x_i -
#     \overline{dy\,\hat x} \sum_i \hat x_i^2 \Big)
#   = \frac{\gamma}{s} \, N\, \overline{dy\,\hat x} \, \big(1 - \overline{\hat x^2}\big) = 0 .$$
#
# (With $\varepsilon > 0$: $\overline{\hat x^2} = v/(v+\varepsilon)$, so a share of $\varepsilon/(v+\varepsilon)$ is
# left. In the worked example that is $\frac{1/3}{9} = \frac1{27}$, and indeed
# $\sum dx_i\,\hat x_i = -\frac8{27} - \frac5{27} + \frac9{27} = -\frac4{27}$. The first sum is exactly zero for every
# $\varepsilon$.)
#
# So backward takes from $dy$ whatever could not matter: its part along $(1,\dots,1)$, its part along $\hat x$. What
# remains is a step *along* the sphere on which all normalised batches lie. For three values that can be drawn: all
# centred triples form a plane, and in it the normalised ones form a circle.

# %% tags=["picture"]
notebook.show(
    figures.batchnorm.tangent(np.array([-4.0, 1.0, 3.0]), np.array([3.0, 0.0, 0.0])),
    "The plane of centred triples with the circle of normalised ones. From the point xhat starts the arrow of dy "
    "without its mean; its part along the radius is taken off, and what is left, dx, is a tangent of the circle.",
)

# %% [markdown]
# ### A probe that sees nothing
#
# Lesson 2 warned of gradient checks with `dy = 1`, which is what you get from `loss = y.sum()`. Here is the proof.
# With $dy_i = 1$:
#
# $$dx_i = \frac{\gamma}{s} \Big( 1 - 1 - \hat x_i\, \overline{\hat x} \Big) = 0 .$$
#
# The true gradient *is* zero, and a backward that returns `np.zeros_like(x)` passes. So does every backward that is
# wrong by any factor whatever.
#
# ### Exercise 10.5: blind probes   *(10 minutes)*
#
# There are more of them. Write `blind_probes(x)`, which returns **two** upstream gradients `dy`, each of the shape of
# `x (N, C)`, for which the right `dx` is zero in every channel (for $\varepsilon = 0$ and $\gamma = 1$). The second
# must not be a multiple of the first, nor may either be zero.


# %% tags=["exercise"]
def blind_probes(x):
    """Two different dy (N, C), not zero in any channel, for which batch normalisation's dx is zero."""
    # --- your code
    return np.ones_like(x), x.copy()  # x is s * xhat + mean: a sum of both directions that backward removes
    # --- end


# %% tags=["check"]
check("blind_probes", blind_probes)

# %% [markdown]
# The second probe is no curiosity: `loss = (y**2).sum()`, a favourite of tests, has
# $dy = 2y = 2\gamma\hat x + 2\beta$. Blind as well.
#
# Six wrong backward passes are about to meet a `dy` of ones: all zeros, the wrong sign, no gamma, divided by $s$ twice, no
# path through the variance, no path through the mean. **Predict before you run**: which of them does it catch?
#
# <details><summary>Answer</summary>
#
# Only the last. The right $dx$ is 0, and 0 with another sign, or times any factor, is still 0. Without the variance's path it
# is $\frac{\gamma}{s}(1 - 1)$: 0 as well. Without the mean's path it is $\frac{\gamma}{s}\cdot 1$, and that shows.
#
# </details>
#
# Here they are, with the right one and three more probes. A cell shows the error that the check sees, relative
# to the direct path; where it is below $10^{-3}$ (hatched) the bug passes. The two popular probes are nearly blind.
# Anything that is not a mixture of $1$ and $\hat x$ sees, and a **random** `dy` practically never is one: that is why
# `check` uses nothing else.

# %% tags=["picture"]
notebook.show(
    figures.batchnorm.probes(lesson10.WRONG_BACKWARDS, np.random.default_rng(1)),
    "A table of seven backward passes by four probes. With dy of ones five of the six wrong ones pass, with dy = "
    "y four; with a single 1 and with a random dy all six are seen. The right one passes everywhere.",
)

# %% [markdown]
# ## When training is over
#
# A generator that has finished training must make *one* face from *one* noise vector. There is no batch to take a
# mean from, and the face must not depend on which others are asked for at the same time. So during training the layer
# keeps a running record of its statistics, and afterwards uses the record:
#
# $$y = \gamma\, \frac{x - m}{\sqrt{V + \varepsilon}} + \beta$$
#
# with fixed $m$ and $V$. (That is just a multiplication and an addition per channel.)
#
# ### The record, by hand
#
# A moving average with momentum $\frac12$ forgets half at each step:
# $b \leftarrow \frac12 b + \frac12\,\text{value}$. It has to start somewhere. Say it starts at 0, and the value is
# always 10:
#
# | update $t$ | value | biased $b$ | what 0 still weighs, $(\frac12)^t$ | $b / (1 - (\frac12)^t)$ |
# |---|---|---|---|---|
# | 1 | 10 | 5 | 1/2 | **10** |
# | 2 | 10 | 7.5 | 1/4 | **10** |
# | 3 | 10 | 8.75 | 1/8 | **10** |
#
# The plain average creeps up from 0; it is *biased* towards where it began. But we know exactly how much weight the
# zero still has: $(\frac12)^t$. Divide by the weight that is not the zero's, and the bias is gone, from the very
# first update on. It is the correction of Adam's moments (lesson 5;
# [arXiv:1412.6980](https://arxiv.org/abs/1412.6980), section 3).
#
# In general, with momentum $\rho$ and values $u_1, \dots, u_t$:
#
# $$b_t = (1-\rho) \sum_{k=1}^{t} \rho^{\,t-k} u_k, \qquad (1-\rho) \sum_{k=1}^{t} \rho^{\,t-k} =
#     (1-\rho)\,\frac{1-\rho^t}{1-\rho} = 1 - \rho^t,$$
#
# so $b_t/(1-\rho^t)$ is a true weighted mean: weights that add up to 1.
#
# ### Exercise 10.6: inference and the moving average   *(15 minutes)*
#
# `batch_norm_inference(x, gamma, beta, mean, var, eps=1e-3)` returns `y`.
# `moving_average(moving, biased, t, value, momentum=0.5)` makes one update and returns the new `moving, biased, t`.
# `t` counts the updates, 0 before the first; return new arrays and leave the old ones alone.


# %% tags=["exercise"]
def batch_norm_inference(x, gamma, beta, mean, var, eps=1e-3):
    """Batch normalisation with given statistics mean (C,) and var (C,)."""
    # --- your code
    return gamma * (x - mean) / np.sqrt(var + eps) + beta
    # --- end


def moving_average(moving, biased, t, value, momentum=0.5):
    """One update of a zero-debiased moving average -> moving, biased, t"""
    # --- your code
    biased = momentum * biased + (1 - momentum) * value
    t = t + 1
    return biased / (1 - momentum**t), biased, t
    # --- end


# %% tags=["check"]
check("batch_norm_inference", batch_norm_inference)
check("moving_average", moving_average)
notebook.keep("batch_norm_inference", batch_norm_inference)
notebook.keep("moving_average", moving_average)

# %% [markdown]
# Three records of one channel's variance, which is really 4 and looks a little different in each batch: started at 0,
# started at 1 (what PyTorch and today's Keras do), and debiased. With momentum 0.5 the start is forgotten in eight
# steps anyway. **Predict before you run**: with momentum 0.99, where is the record that started at 0 after 60 updates?
#
# <details><summary>Answer</summary>
#
# The 0 still weighs $0.99^{60} = 0.55$, so it has come to $4 \cdot 0.45 = 1.8$, not half of the way. To forget nine tenths of
# its start takes it 230 updates. A network that is looked at before then is looked at through wrong glasses.
#
# </details>

# %% tags=["picture"]
average = notebook.yours(moving_average, lesson10.moving_average, alike=True)
values = 4 + 0.6 * np.random.default_rng(2).standard_normal(60)
notebook.show(
    figures.batchnorm.records(values, average, momenta=(0.5, 0.9, 0.99)),
    "Three panels for momentum 0.5, 0.9 and 0.99. The debiased average is near 4 from the first update; those "
    "started at 0 and at 1 creep up, the slower the larger the momentum.",
)

# %% [markdown]
# One oddity for those who compare numbers with the original program: the variance that minigan puts into the record
# is $v \cdot \frac{N}{N-1} \cdot \frac{N}{N-1.001}$. TensorFlow 1.8 corrects the biased variance once, and Keras
# 2.2.4 corrects it once more. With 64 images of 4 x 4 pixels, $N = 1024$, the factor is 1.00196. It is in
# `BatchNormalization.update`, not in your function.
#
# And a consequence of momentum 0.5: the latest batch makes up half of the record, the one before a quarter. A generator
# that is saved carries the record of its last few batches. So one saved generator is a draw, and two runs should not be
# compared by one of each. `python -m minigan.evaluate RUN --fresh-statistics 50` measures the record anew, over 50
# batches of noise, before it draws; docs/metrics.md shows what that is worth.

# %% [markdown]
# ## Batch normalisation in a GAN
#
# A batch's members see each other through $\mu$ and $v$. In a GAN that raises a question no other network has: **who
# shares a batch with whom?**
#
# Take one feature of the discriminator. On reals it is around $+1$, on fakes around $-1$. Three ways to normalise:
#
# * **Together**, 64 reals and 64 fakes in one batch: the gap between the two groups survives. That sounds good, and D
#   learns it quickly. But in the generator's step there are no reals. The batch is all fakes, its mean is theirs, and
#   the same fakes now land in the middle, where D learned to expect neither. G is judged by an instrument that has
#   been knocked out of adjustment.
# * **Each on its own** (what the original does: two steps of D, one on the real batch and one on the fake batch):
#   both groups come out with mean 0 and deviation 1. This feature alone tells nothing any more; D must look for what
#   differs *beyond* mean and scale. And in the generator's step the fakes are treated just as in D's own fake step.
#   That is what counts: **D judges under the conditions in which it was trained.**
# * **With D's moving statistics** in the generator's step: they are a blend of reals and fakes (after a real step and
#   a fake step with momentum 0.5: half the fakes, a quarter the reals, the rest older). D has never been trained with
#   that blend either.

# %% tags=["picture"]
notebook.show(
    figures.batchnorm.company(np.random.default_rng(3)),
    "Histograms of one feature for reals and fakes. Raw: apart. Normalised together: still apart. In the "
    "generator's step, fakes alone: they move to the middle, between where the two groups were. Normalised each "
    "on its own: both at 0, and the generator's step shows the fakes where they were.",
)

# %% [markdown]
# The advice "one batch of reals, one of fakes, never mixed" is number 4 of Soumith Chintala and others' list of
# [GAN tricks](https://github.com/soumith/ganhacks) (2016); what the mixture of statistics does to a GAN is one reason
# why later networks left batch normalisation (see "What comes next").
#
# So a call of the layer has three modes, not two:
#
# | mode | normalises with | moving statistics | in minigan |
# |---|---|---|---|
# | `"moving"` | the record | unchanged | `training=False` |
# | `"batch"` | this batch | updated | `training=True` |
# | `"batch, still"` | this batch | unchanged | `training=True, update_stats=False` |
#
# The third is needed for a discriminator that is **frozen**. Frozen means: its weights and its record stay as they
# are. It does *not* mean that it changes the way it normalises. (In Keras from 2.1.3 to 2.2.4 a frozen layer went on
# using the batch; in TensorFlow 2 `trainable = False` silently switches batch normalisation to the record. The same
# GAN program trains differently on the two.)
#
# To be honest about its weight: D always trains with the batch's statistics, so its record is not used by any
# training step. Updating it in G's step would not change one image. But somebody who *uses* D afterwards, to score
# faces, would get scores from a record in which fakes count twice, and "the generator's step leaves D as it is" would
# no longer be true. The generator's record is another matter: the fakes that D is shown are made with it, at every
# step.
#
# ### Exercise 10.7: who normalises with what?   *(10 minutes)*
#
# One training step has five forward passes, in this order: G makes fakes for D, by Keras's `predict`; D takes a step
# on reals, then one on fakes; then the generator's step, in which G learns from what the frozen D says. Fill in the
# mode of each, one of `"moving"`, `"batch"`, `"batch, still"`.

# %% tags=["exercise"]
# --- your code: modes = {"G predicts": None, "D real": None, "D fake": None, "G learns": None, "D frozen": None}
modes = {
    "G predicts": "moving",
    "D real": "batch",
    "D fake": "batch",
    "G learns": "batch",
    "D frozen": "batch, still",
}
# --- end

# %% tags=["check"]
check("norm_modes", modes)

# %% [markdown]
# How much does it matter? A small discriminator is trained on drawn faces, reals and fakes each on their own, and
# then asked about fresh fakes in three ways: among fakes, as it was trained; mixed with as many reals; and with its
# record. Same weights, same images: each point is one fake.

# %% tags=["picture"]
judged = lesson10.three_opinions(steps=notebook.fast(150, 20))
notebook.show(
    figures.batchnorm.opinions(judged),
    "Two scatter plots of D's logits for the same fakes: among fakes on the horizontal axis, mixed with reals or "
    "by the record on the vertical one. The points lie around the diagonal, most of them a little above.",
)

# %% [markdown]
# In so small a network, after so short a training, the verdicts move by a few tenths, most of them upwards: to D, out
# of its usual company, the fakes look more real, and it would tell G to be content sooner. Not a catastrophe. But it
# is a difference between two programs that look the same, and the kind that takes a week to find.

# %% [markdown]
# ## Does it help?
#
# Measure it where it should count most: in a *deep* discriminator, of twelve convolutions in place of four. It is shown
# drawn faces and fixed fakes, each the left half of one face and the right half of another, for 150 steps; five seeds, with
# batch normalisation behind every convolution but the first, and without. And all of it three times: with kernels from
# Glorot's distribution (lesson 11), through which a signal keeps about three quarters of its size in each layer and its
# LeakyReLU; with kernels of a third of that, through which it keeps a quarter; and with Glorot's kernels and three times the
# learning rate. These runs are recorded, since they take some minutes; `lessons/runs/record_deep_d.py` made them, and can
# make them again.
#
# **Predict before you look**: a D that has learned nothing has the loss $2 \ln 2 = 1.386$, on reals and fakes together. Where
# will the six be?

# %% tags=["picture"]
deep = recorded_runs.deep_discriminators()
for name, curves in deep.items():
    ends = np.mean(curves[:, -25:], axis=1)
    print(f"{name:47} loss at the end, five seeds:", "  ".join(f"{end:.3f}" for end in ends))
notebook.show(
    figures.batchnorm.deep(deep),
    "Three panels of losses over 150 steps, five seeds each with and without batch normalisation. Glorot's kernels: those with "
    "it fall evenly to about 0.9, those without begin to fall at very different steps and end between 0.6 and 1.3. A third of "
    "them: without, all five lie flat at 1.386; with, all five fall to about 0.1. Glorot's kernels at three times the rate: "
    "with it all fall to about 0.1, without to about 0.7.",
)

# %% [markdown]
# What comes out:
#
# * **With Glorot's kernels it makes learning more even, and not better** after these 150 steps. With it, all five fall at
#   about the same rate. Without it, one begins at step 40 and another only at 130; but in three of five seeds the one without
#   ends lower.
# * **With kernels that are too small it makes all the difference.** A quarter for each of twelve layers is $0.25^{12}$, less
#   than a ten-millionth: nothing of the signal arrives, and nothing of the gradient, and all five learn nothing. With batch
#   normalisation it does not matter to $y$ how large a kernel is.
#
# It even learns *faster* with the small kernels than with Glorot's. Question 3 below has the reason, and the third panel is the
# test of it: behind a batch normalisation, a kernel of a third is turned three times as far by the same step. Give Glorot's
# kernels three times the step, and they end at the same 0.1, where D without batch normalisation stays at 0.7.
#
# ## Break it
#
# ### Exercise 10.8: five suspects   *(15 minutes)*
#
# `lesson10.SUSPECTS` holds five backward passes, `"a"` to `"e"`. Each takes `(dy, (xhat, gamma, s))` and returns `dx`
# alone. One is right; each of the others lacks something: the `"mean"` path, the `"variance"` path, `"both"` paths,
# or `"gamma"`. Do not read their source: the numbers betray them. Take what is missing,
#
# $$\text{residual} = dx_\text{right} - dx_\text{suspect},$$
#
# and draw it against $\hat x$, one channel at a time. By the boxed formula, a missing mean path leaves
# $-\frac{\gamma}{s}\overline{dy}$: the same number for every $i$. What does a missing variance path leave?

# %% tags=["picture"]
notebook.show(
    figures.batchnorm.residuals(lesson10.SUSPECTS, np.random.default_rng(4)),
    "Five panels, one for each suspect: residual against xhat for one channel. One shows a horizontal line, one a "
    "sloping line through the origin, one a sloping line beside the origin, one a scattered cloud, one is zero "
    "throughout.",
)

# %% tags=["exercise"]
# --- your code: missing = {"a": None, "b": None, "c": None, "d": None, "e": None}
missing = {"a": "variance", "b": "nothing", "c": "gamma", "d": "mean", "e": "both"}
# --- end

# %% tags=["check"]
check("missing_path", missing)

# %% [markdown]
# ### Exercise 10.9: mend it   *(10 minutes)*
#
# A colleague has written the graph in another way. It runs, its shapes are right, `dgamma` and `dbeta` are right, and
# with `dy = 1` it passes. `check` says otherwise. Copy it, find the line (or lines), and mend it.


# %% [markdown]
# <details><summary>A nudge</summary>
#
# Compare with the graph: which letter is used twice on the way forward, and what has to happen to its two gradients?
#
# </details>


# %%
def colleagues_backward(dy, cache):
    xhat, gamma, s = cache
    axes = tuple(range(dy.ndim - 1))
    N = dy.size // dy.shape[-1]
    dxhat = dy * gamma
    dv = -(dxhat * xhat).sum(axis=axes) / (2 * s**2)
    dc = dxhat / s
    dc = 2 * xhat * s * dv / N
    dx = dc - dc.mean(axis=axes)
    return dx, (dy * xhat).sum(axis=axes), dy.sum(axis=axes)


# %% tags=["exercise"]
def mended(dy, cache):
    """The colleague's backward, mended."""
    # --- your code
    xhat, gamma, s = cache
    axes = tuple(range(dy.ndim - 1))
    N = dy.size // dy.shape[-1]
    dxhat = dy * gamma
    dv = -(dxhat * xhat).sum(axis=axes) / (2 * s**2)
    dc = dxhat / s
    dc = dc + 2 * xhat * s * dv / N  # it was overwritten: c is used twice, so its gradients add
    dx = dc - dc.mean(axis=axes)
    return dx, (dy * xhat).sum(axis=axes), dy.sum(axis=axes)
    # --- end


# %% tags=["check"]
check("batch_norm", batch_norm_forward, mended, method="graph")

# %% [markdown]
# ## Three questions
#
# **1.** In both networks a convolution with a bias stands in front of every batch normalisation. What gradient does
# that bias get, and what does it do?
#
# <details><summary>Answer</summary>
#
# The bias adds one number to its whole channel, and the mean takes it away again: it does nothing. Its gradient is
# the sum of $dx$ over the channel, which is 0 (up to rounding). With plain gradient descent it
# would stay at its first value, 0. Adam divides by the root of a tiny second moment, so rounding errors make it wander (in the generator
# that comes with minigan, to 0.008 at most), to no effect: the mean takes it away. The
# original has these biases (Keras's default), so minigan has them too, and counts them.
#
# </details>
#
# **2.** Why does minigan refuse to train with one value per channel ($N \cdot H \cdot W = 1$)? What about two?
#
# <details><summary>Answer</summary>
#
# One value minus its own mean is 0, whatever it was: $y = \beta$, and no gradient reaches $x$. With two values,
# $\hat x$ is $(-1, +1)$ or $(+1, -1)$ (for $\varepsilon \to 0$): only the *order* is left. For two values the sphere
# of the picture above has shrunk to two points, and a point has no tangent: $dx = 0$ up to $\varepsilon$. Batch
# normalisation needs a good many values, which is why it does well on images, where every pixel counts.
#
# </details>
#
# **3.** A kernel in front of a batch normalisation is made ten times as large. What happens to $y$, and to the
# kernel's gradient? What follows for the learning rate?
#
# <details><summary>Answer</summary>
#
# $y$ stays the same (up to $\varepsilon$). In the boxed formula $s$ is ten times as large, so $dx$ is a tenth, and
# with it the kernel's gradient. A kernel ten times as large with gradients a tenth as large turns a hundred times
# more slowly (under plain gradient descent). Training tends to make such kernels grow, since every step at a right
# angle makes them longer, and so lowers its own learning rate. Under Adam, which divides the scale of the gradient
# out, it is a factor of ten.
#
# </details>
#
# ## What comes next
#
# You have every layer now. Lesson 11 puts them together: two networks of eleven kernels, counted, started, and tested
# as a whole.
#
# If you want to read on: why batch normalisation helps is still debated. The paper's own reason (the inputs of a
# layer keep shifting) was put to the test by Santurkar and others
# ([arXiv:1805.11604](https://arxiv.org/abs/1805.11604)), who found that the smoother loss matters more. In generative
# networks, layer normalisation ([arXiv:1607.06450](https://arxiv.org/abs/1607.06450)) and its relatives, where no
# sample sees another, have taken its place; and spectral normalisation
# ([arXiv:1802.05957](https://arxiv.org/abs/1802.05957)) that of the discriminator's.
#
# * `minigan/nn/ops/normalization.py`: the functions of this lesson as minigan has them. `minigan.nn.layers.BatchNormalization` calls
#   them in its three modes.

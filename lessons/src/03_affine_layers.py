# %% [markdown]
# # Lesson 3: Affine layers and activations
#
# Every network of this course, like nearly every one you have heard of, alternates two kinds of steps: one that mixes
# numbers and one that bends them. Mixing is a matrix product, the **affine** (or dense) layer. Bending is a curve, the
# **activation**, applied to each number by itself. Neither gets far alone. Together they can draw a heart, and at the
# end of this lesson yours will.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 3.1 | **a dense layer**, forward and backward | 25 |
# | 3.2 | ReLU and LeakyReLU, both ways | 15 |
# | 3.3 | tanh, and a sigmoid that does not overflow, both ways | 20 |
# | 3.4 | flatten, both ways | 5 |
# | 3.5 | four layers become a network, and it learns a heart | 20 |
# | 3.6, 3.7 | break it: a layer that passed its author's test, and inputs that show four bugs | 20 |
#
# With reading, about two and a half hours. You need lesson 1, and from lesson 2 what `dy` and `dx` are: `dy` says how
# much the loss rises when each output rises, `dx` the same of each input. Everything runs in seconds.
#
# What you write here is kept: lessons 11 and 12 build the face-drawing network out of it.

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook
from lessons.exercises import lesson03
from lessons.notebook import check

# %% [markdown]
# ## The idea
#
# ### Mixing, by hand
#
# A dense layer has two inputs and two outputs, say. Each output is a weighted sum of all inputs, plus a number of its
# own, the bias:
#
# $$y_0 = x_0 w_{00} + x_1 w_{10} + b_0 \qquad y_1 = x_0 w_{01} + x_1 w_{11} + b_1$$
#
# `w[c, o]` is the weight with which channel `c` of the input goes into output `o`. Take one sample, $x = (1, 2)$, and
#
# $$w = \begin{pmatrix} 3 & -1 \\ 0 & 2 \end{pmatrix} \qquad b = (1, 0)$$
#
# $$y_0 = 1 \cdot 3 + 2 \cdot 0 + 1 = 4 \qquad y_1 = 1 \cdot (-1) + 2 \cdot 2 + 0 = 3$$
#
# ### The way back, by hand
#
# Somebody behind this layer says `dy = (1, -2)`: the loss rises by 1 when $y_0$ rises by 1, and falls by 2 when $y_1$
# does.
#
# *What does $x_0$ do to the loss?* It reaches $y_0$ with weight 3, and $y_1$ with weight $-1$. Raise it by a little:
# $y_0$ rises three times as much, and $y_1$ falls by as much. The loss feels both:
#
# $$dx_0 = 1 \cdot 3 + (-2) \cdot (-1) = 5 \qquad dx_1 = 1 \cdot 0 + (-2) \cdot 2 = -4$$
#
# *What does $w_{10}$ do?* It multiplies $x_1 = 2$, and the product lands in $y_0$ and nowhere else. So its slope is
# $x_1 \cdot dy_0 = 2 \cdot 1$. All four:
#
# $$dw = \begin{pmatrix} 1 \cdot 1 & 1 \cdot (-2) \\ 2 \cdot 1 & 2 \cdot (-2) \end{pmatrix}
# = \begin{pmatrix} 1 & -2 \\ 2 & -4 \end{pmatrix}$$
#
# *What does $b_0$ do?* It is added to $y_0$: slope $dy_0$. So $db = (1, -2)$.
#
# Now a second sample comes along, $x = (0, 1)$ with `dy = (3, 1)`. Its `dx` is its own affair. But `w` and `b` are
# *shared*: the same weights have worked for both samples, so what each sample has to say about them **adds up**:
#
# $$dw = \begin{pmatrix} 1 & -2 \\ 2 & -4 \end{pmatrix} + \begin{pmatrix} 0 \cdot 3 & 0 \cdot 1 \\ 1 \cdot 3 & 1 \cdot 1 \end{pmatrix}
# = \begin{pmatrix} 1 & -2 \\ 5 & -3 \end{pmatrix} \qquad db = (1, -2) + (3, 1) = (4, -1)$$
#
# Not a mean, a sum. If the loss is a mean over the samples, it has divided by $N$ already, and `dy` brings that along.
#
# Remember this: **what is used in several places gathers slopes from all of them.** In lesson 8 it will be the pixels
# of an image that are used in several places, and nothing else about convolution is new.

# %% [markdown]
# ## The derivation
#
# ### Dense, index by index
#
# With samples $n$, channels in $c$ and outputs $o$:
#
# $$y_{no} = \sum_c x_{nc}\, w_{co} + b_o$$
#
# Lesson 2 had the rule: the slope of any input is the sum, over all outputs, of `dy` times the output's derivative.
#
# **dx.** Sum over all outputs $(m, o)$:
#
# $$dx_{nc} = \sum_{m, o} dy_{mo}\, \frac{\partial y_{mo}}{\partial x_{nc}}$$
#
# Sample $n$'s input does not occur in another sample's output, so only $m = n$ is left; and there, $x_{nc}$ is
# multiplied by $w_{co}$:
#
# $$dx_{nc} = \sum_o dy_{no}\, w_{co} = \sum_o dy_{no}\, (w^T)_{oc}$$
#
# That is a matrix product, row by column: **`dx = dy @ w.T`**.
#
# **dw.** Sum over all outputs $(n, p)$:
#
# $$dw_{co} = \sum_{n, p} dy_{np}\, \frac{\partial y_{np}}{\partial w_{co}}$$
#
# Weight $w_{co}$ occurs in output $p = o$ only, in *every* sample, and is multiplied by $x_{nc}$ there:
#
# $$dw_{co} = \sum_n x_{nc}\, dy_{no} = \sum_n (x^T)_{cn}\, dy_{no}$$
#
# Again a matrix product: **`dw = x.T @ dy`**.
#
# **db.** Bias $b_o$ occurs in output $p = o$ of every sample, with derivative 1:
#
# $$db_o = \sum_n dy_{no}$$
#
# **`db = dy.sum(axis=0)`**.
#
# ### The same by shapes
#
# `dx` has the shape of `x`, $(N, C)$, and is made of `dy`, $(N, O)$, and `w`, $(C, O)$. There is only one way in which
# these fit together. The same for `dw`. If you ever forget the formulas, the shapes give them back, on one condition:
# that $N$, $C$ and $O$ are three different numbers. With a square `w`, `dy @ w` fits as well, and is wrong. That is why
# the checker never uses equal sizes.

# %% tags=["picture"]
notebook.show(
    figures.affine.shapes(5, 3, 2),
    "Four products drawn as boxes. x (N, C) times w (C, O) plus b gives y (N, O). dy times w transposed gives dx, x transposed times dy gives dw, "
    "and dy summed over the samples gives db. In each product the letters that meet are marked.",
)

# %% [markdown]
# ### Exercise 3.1: dense   *(25 minutes)*
#
# Write both functions, for `x` (N, C), `w` (C, O), `b` (O,).
#
# * `dense_forward(x, w, b)` returns `y` (N, O) and a `cache`. What is in the cache is up to you: whatever your backward
#   will need.
# * `dense_backward(dy, cache)` returns `dx`, `dw`, `db`.
#
# Every array that you return has the dtype of those that you were given. Networks train in float32, and a single float64
# array makes everything behind it float64.
#
# Work the two samples from above on paper first, if you have not.
#
# **Predict before you write**: which of `x`, `w` and `b` does each of the three gradients depend on? So what has to be in
# the cache, and what need not be?
#
# <details><summary>Answer</summary>
#
# `dx` depends on `w` and not on `x`; `dw` on `x` and not on `w`; `db` on neither; and `b` occurs in none of them. `x` and `w`
# go into the cache. (That is why training needs so much more memory than using a network: every layer has to keep its
# input until the way back.)
#
# </details>


# %% tags=["exercise"]
def dense_forward(x, w, b):
    """Affine map: y (N, O) from x (N, C), w (C, O), b (O,); and a cache."""
    # --- your code
    return x @ w + b, (x, w)
    # --- end


# %% tags=["exercise"]
def dense_backward(dy, cache):
    """Gradients dx (N, C), dw (C, O), db (O,) from dy (N, O)."""
    # --- your code
    x, w = cache
    dx = dy @ w.T  # (N, O) @ (O, C)
    dw = x.T @ dy  # (C, N) @ (N, O)
    db = dy.sum(axis=0)  # (O,)
    return dx, dw, db
    # --- end


# %% [markdown]
# The checker climbs a ladder and stops at the first rung that gives way: shapes first, then side effects, then forward,
# then the laws that every backward obeys, then the slopes. It says what the error looks like, and `hint=2` or `hint=3`
# say more.

# %% tags=["check"]
check("dense", dense_forward, dense_backward)
notebook.keep("dense", dense_forward, dense_backward)

# %% [markdown]
# ### Why mixing is not enough
#
# Two dense layers in a row:
#
# $$(x\, w_1 + b_1)\, w_2 + b_2 = x\, (w_1 w_2) + (b_1 w_2 + b_2)$$
#
# That is one dense layer, with weights $w_1 w_2$. A hundred in a row are still one. The plane is tilted, turned and
# stretched, and never bent. Between two of them something has to happen that is *not* affine, and it does not take
# much: one kink will do.
#
# ### Bending: activations, one number at a time
#
# An activation applies one curve $f$ to every number of an array: $y_i = f(x_i)$, whatever the shape. The way back is
# as simple as it gets. Output $i$ depends on input $i$ only, so of the sum over all outputs one term is left:
#
# $$dx_i = \sum_j dy_j\, \frac{\partial y_j}{\partial x_i} = dy_i\, f'(x_i)$$
#
# The whole art is to know $f'$.
#
# **ReLU** is $\max(x, 0)$: slope 1 above zero, slope 0 below. By hand: $x = (3, -2)$ gives $y = (3, 0)$, and
# `dy = (5, 7)` gives `dx = (5, 0)`. What arrived at the $-2$ is gone. A unit that is below zero for every sample gets
# no gradient at all and never comes back; it is called dead.
#
# **LeakyReLU** is $\max(\alpha x, x)$ with a small $\alpha$, here 0.2 (A. L. Maas and others, "Rectifier nonlinearities
# improve neural network acoustic models", ICML 2013 workshop). Below zero it has the slope $\alpha$, so something
# always gets through: `dx = (5, 1.4)`. In a GAN that matters twice, because the generator learns from nothing but the
# gradient that comes back through the discriminator; the DCGAN paper (Radford, Metz and Chintala, arXiv:1511.06434)
# recommends it there.
#
# **At exactly zero** there is no slope. The curve has a kink, and both sides have their own. Any number between the two
# is defensible; Keras and minigan take the lower one, and the checker keeps away from the place.
#
# **Predict before you write**: $x = (3, -2, 0.5)$ and `dy = (-1, -1, -1)`. What do ReLU and LeakyReLU send back?
#
# <details><summary>Answer</summary>
#
# ReLU $(-1, 0, -1)$, LeakyReLU $(-1, -0.2, -1)$. The sign of `dy` has no say: it is `x` that opens the gate or closes it,
# and a slope passes through an open one whatever its sign.
#
# </details>
#
# ### Exercise 3.2: ReLU and LeakyReLU   *(15 minutes)*
#
# Both for arrays of any shape. `leaky_relu_forward` takes `alpha`, and its backward does not: what it needs has to be
# in the cache.


# %% tags=["exercise"]
def relu_forward(x):
    """y = max(x, 0), element by element; and a cache."""
    # --- your code
    return np.maximum(x, 0), x > 0
    # --- end


def relu_backward(dy, cache):
    """Gradient dx of the shape of dy."""
    # --- your code
    return dy * cache
    # --- end


# %% tags=["exercise"]
def leaky_relu_forward(x, alpha=0.2):
    """y = max(alpha * x, x), element by element; and a cache."""
    # --- your code
    return np.maximum(alpha * x, x), (x > 0, alpha)
    # --- end


def leaky_relu_backward(dy, cache):
    """Gradient dx of the shape of dy."""
    # --- your code
    positive, alpha = cache
    return np.where(positive, dy, alpha * dy)
    # --- end


# %% tags=["check"]
check("relu", relu_forward, relu_backward)
check("leaky_relu", leaky_relu_forward, leaky_relu_backward)
notebook.keep("relu", relu_forward, relu_backward)
notebook.keep("leaky_relu", leaky_relu_forward, leaky_relu_backward)

# %% tags=["picture"]
relu = lesson03.pair("relu", relu_forward, relu_backward)
leaky_relu = lesson03.pair("leaky_relu", leaky_relu_forward, leaky_relu_backward)
notebook.show(
    figures.affine.curves({"ReLU": relu, "LeakyReLU, alpha = 0.2": leaky_relu}),
    "Left: ReLU is 0 below zero and the diagonal above; LeakyReLU has a gentle slope below zero. Right: their slopes jump at "
    "zero, from 0 to 1 and from 0.2 to 1.",
)

# %% [markdown]
# ### Two curves that saturate
#
# **tanh** ends the generator: it puts every pixel between $-1$ and 1.
#
# $$\tanh x = \frac{e^x - e^{-x}}{e^x + e^{-x}}$$
#
# Call the numerator $s$ and the denominator $c$. Then $s' = e^x + e^{-x} = c$ and $c' = e^x - e^{-x} = s$, and by the
# rule for quotients
#
# $$\tanh' x = \frac{s' c - s\, c'}{c^2} = \frac{c^2 - s^2}{c^2} = 1 - \frac{s^2}{c^2} = 1 - \tanh^2 x$$
#
# The slope can be had from the *output* alone. By hand: at $x = 0.5$, $y = 0.462$, and the slope is
# $1 - 0.462^2 = 0.786$. So forward keeps `y`, and nothing has to be computed twice.
#
# **The sigmoid** turns any number into a probability, such as the number with which the discriminator ends.
#
# $$\sigma(x) = \frac{1}{1 + e^{-x}}$$
#
# $$\sigma' = \frac{e^{-x}}{(1 + e^{-x})^2} = \frac{1}{1 + e^{-x}} \cdot \frac{e^{-x}}{1 + e^{-x}} = \sigma\, (1 - \sigma)$$
#
# The last step used $\frac{e^{-x}}{1 + e^{-x}} = 1 - \frac{1}{1 + e^{-x}}$. By hand: $\sigma(0) = \frac12$, slope
# $\frac12 \cdot \frac12 = \frac14$, and that is as steep as it gets.
#
# ### The formula is right and the program is wrong
#
# Type `np.exp(1000.0)`. It is infinite, with a warning; in float64 everything above 709 is, and from 89 on in float32.
# So `1 / (1 + np.exp(-x))` is infinite inside at $x = -1000$ (the result, 0, happens to survive, the warning does not
# look good), and the other way to write it, `np.exp(x) / (1 + np.exp(x))`, is infinity divided by infinity at
# $x = 1000$: NaN (not a number), and a single one is enough to turn a whole network into NaN.
#
# Multiply numerator and denominator by $e^{x/2}$:
#
# $$\sigma(x) = \frac{1}{1 + e^{-x}} = \frac{e^{x/2}}{e^{x/2} + e^{-x/2}}$$
#
# Write the numerator as half of a sum and half of a difference:
#
# $$= \frac12 \cdot \frac{(e^{x/2} + e^{-x/2}) + (e^{x/2} - e^{-x/2})}{e^{x/2} + e^{-x/2}} = \frac12 \Big( 1 + \tanh \frac{x}{2} \Big)$$
#
# A sigmoid *is* a tanh, moved and shrunk. And `np.tanh` cannot overflow: it is built to answer 1 for a million.
#
# ### Exercise 3.3: tanh and sigmoid   *(20 minutes)*
#
# Both for arrays of any shape, right also at $\pm 1000$. The checker lets a warning pass; the form with tanh gives
# none. NumPy has `np.tanh`; use it.


# %% tags=["exercise"]
def tanh_forward(x):
    """Hyperbolic tangent, element by element; and a cache."""
    # --- your code
    y = np.tanh(x)
    return y, y
    # --- end


def tanh_backward(dy, cache):
    """Gradient dx of the shape of dy."""
    # --- your code
    return dy * (1 - cache**2)
    # --- end


# %% tags=["exercise"]
def sigmoid_forward(x):
    """1 / (1 + exp(-x)), element by element, for any x; and a cache."""
    # --- your code
    y = 0.5 * np.tanh(0.5 * x) + 0.5
    return y, y
    # --- end


def sigmoid_backward(dy, cache):
    """Gradient dx of the shape of dy."""
    # --- your code
    return dy * cache * (1 - cache)
    # --- end


# %% tags=["check"]
check("tanh", tanh_forward, tanh_backward)
check("sigmoid", sigmoid_forward, sigmoid_backward)
notebook.keep("tanh", tanh_forward, tanh_backward)
notebook.keep("sigmoid", sigmoid_forward, sigmoid_backward)

# %% tags=["picture"]
tanh = lesson03.pair("tanh", tanh_forward, tanh_backward)
sigmoid = lesson03.pair("sigmoid", sigmoid_forward, sigmoid_backward)
notebook.show(
    figures.affine.curves({"tanh": tanh, "sigmoid": sigmoid}, extent=6),
    "Left: tanh rises from -1 to 1, the sigmoid from 0 to 1. Right: the slope of tanh is 1 at zero, that of the sigmoid a "
    "quarter; both fall to nearly nothing beyond 4.",
)

# %% [markdown]
# Look at the right picture again. At $x = 5$ the slope of tanh is 0.0002. The unit is **saturated**: it gives its
# answer with confidence, and nothing that comes back can change its mind. The sigmoid is worse: even at its best it
# lets through a quarter.
#
# Now chain them. Through twelve layers of sigmoids a gradient is multiplied twelve times by a quarter or less, besides
# what the weights do. They are drawn with a spread of $\sqrt{2/C}$, so that a product with `w.T` makes a gradient about
# $\sqrt 2$ times as long.
#
# **Predict before you run**: what share of the gradient arrives at the first layer, to the nearest power of ten?
#
# <details><summary>Answer</summary>
#
# At best $(\frac14 \cdot 1.41)^{12} = 0.354^{12} = 4 \cdot 10^{-6}$; and not every unit sits at 0, where its sigmoid is
# steepest, so it is a little less: a millionth.
#
# </details>

# %% tags=["picture"]
dense = lesson03.pair("dense", dense_forward, dense_backward)
notebook.show(
    figures.affine.depth({"LeakyReLU": leaky_relu, "ReLU": relu, "tanh": tanh, "sigmoid": sigmoid}, dense),
    "Typical size of the gradient on its way from layer 12 back to layer 0, on a logarithmic scale: level for LeakyReLU, ReLU "
    "and tanh, and falling to a millionth for the sigmoid.",
)

# %% [markdown]
# That is what arrives, measured with your layers, and the reason why sigmoids left the insides of networks. The other three
# stay level, but only because the first weights were drawn with the right spread (He and others, arXiv:1502.01852, work
# $\sqrt{2/C}$ out for ReLU); with half the spread every curve falls. In your networks tanh appears once, at G's very end, where a
# range is needed; and D's sigmoid moves into the loss, in lesson 4.

# %% [markdown]
# ### Exercise 3.4: flatten   *(5 minutes)*
#
# Between an image and a dense layer somebody has to turn (N, H, W, C) into rows `(N, H*W*C)`. Pixel $(h, w)$, channel
# $c$ goes to place $(h W + w)\, C + c$: channels next to each other, then columns, then rows. That is NumPy's own
# order, so nothing moves.
#
# By hand, with $H = 2$, $W = 3$, $C = 2$: pixel $(1, 0)$, channel 1 goes to $(1 \cdot 3 + 0) \cdot 2 + 1 = 7$. Find the
# 7 in the image.
#
# No output is computed from two inputs, every slope is 1, and backward only has to put each number back where it came
# from.


# %% tags=["exercise"]
def flatten_forward(x):
    """Rows (N, H*W*C) from images (N, H, W, C); and a cache."""
    # --- your code
    return x.reshape(len(x), -1), x.shape
    # --- end


def flatten_backward(dy, cache):
    """Gradient dx (N, H, W, C) from dy (N, H*W*C)."""
    # --- your code
    return dy.reshape(cache)
    # --- end


# %% tags=["check"]
check("flatten", flatten_forward, flatten_backward)
notebook.keep("flatten", flatten_forward, flatten_backward)

# %% tags=["picture"]
notebook.show(
    figures.affine.flat(2, 3, 2),
    "The two channels of an image of 2 by 3 pixels, each value with its place in the flat row: pixel (0, 0) holds 0 and 1, pixel "
    "(1, 0) holds 6 and 7. Below, the row of twelve.",
)

# %% [markdown]
# ## A network
#
# Layers in a row are a network. Forward goes through the list, and keeps a cache of every layer. Backward goes through
# the same list from the end, and what one layer returns as its `dx` is the `dy` of the layer before it:
#
# ```
# x  --Dense-->  h  --LeakyReLU-->  a  --Dense-->  z  --tanh-->  y  -->  loss
# dx <--Dense--  dh <--LeakyReLU--  da <--Dense--  dz <--tanh--  dy <--  loss
# ```
#
# That is all of backpropagation. You have derived every arrow of it.
#
# ### Exercise 3.5: two layers   *(20 minutes)*
#
# Write the network above with your own functions.
#
# * `net_forward(x, w1, b1, w2, b2)` returns `y` and a cache;
# * `net_backward(dy, cache)` returns `dx, dw1, db1, dw2, db2`, in this order.


# %% tags=["exercise"]
def net_forward(x, w1, b1, w2, b2):
    """Dense, LeakyReLU, Dense, tanh: y (N, O) from x (N, C); and a cache."""
    # --- your code
    h, c1 = dense_forward(x, w1, b1)
    a, c2 = leaky_relu_forward(h)
    z, c3 = dense_forward(a, w2, b2)
    y, c4 = tanh_forward(z)
    return y, (c1, c2, c3, c4)
    # --- end


def net_backward(dy, cache):
    """Gradients dx, dw1, db1, dw2, db2."""
    # --- your code
    c1, c2, c3, c4 = cache
    dz = tanh_backward(dy, c4)
    da, dw2, db2 = dense_backward(dz, c3)
    dh = leaky_relu_backward(da, c2)
    dx, dw1, db1 = dense_backward(dh, c1)
    return dx, dw1, db1, dw2, db2
    # --- end


# %% tags=["check"]
check("two_layer_net", net_forward, net_backward)

# %% [markdown]
# ### Let it learn something
#
# Eight hundred points of the plane, $+1$ for those inside a heart and $-1$ for those outside. The network gets a point,
# two numbers, and is to answer with the sign. How wrong it is, is told by the mean of the squares of its errors; lesson
# 4 has a better measure.
#
# $$L = \frac1N \sum_n (y_n - t_n)^2 \qquad dy_n = \frac{2}{N} (y_n - t_n)$$
#
# There is the division by $N$. Then every parameter takes a small step against its slope, downhill; lesson 5 has better
# steps.

# %%
rng = np.random.default_rng(0)
points = rng.uniform(-1.6, 1.6, (800, 2))
targets = lesson03.heart(points)
forward, backward = lesson03.pair("two_layer_net", net_forward, net_backward)


def train(hidden, steps, rate=0.1, snapshots=()):
    """Plain gradient descent; the parameters at some steps, and the loss at every step."""
    parameters = list(lesson03.first_weights(hidden, np.random.default_rng(1)))
    kept, losses = {}, []
    for step in range(steps + 1):
        if step in snapshots or step == steps:
            kept[step] = [p.copy() for p in parameters]
        y, cache = forward(points, *parameters)
        losses.append(float(np.mean((y - targets) ** 2)))
        _, *gradients = backward(2 * (y - targets) / len(points), cache)
        for p, g in zip(parameters, gradients, strict=True):
            p -= rate * g
    return kept, losses


def answers(parameters):
    """The network with these parameters, as a function of points."""
    return lambda x: forward(x, *parameters)[0]


def folds(parameters):
    """Where the hidden units have their kinks: x @ w1 + b1 = 0, one line for each."""
    w1, b1 = parameters[:2]
    return np.column_stack([w1.T, b1])


steps = notebook.fast(6000, 400)
moments = [0, steps // 40, steps // 8, steps]
film, losses16 = train(16, steps, snapshots=moments)
right = float(np.mean((forward(points, *film[steps])[0] > 0) == (targets > 0)))
print(f"after {steps} steps, {right:.1%} of the points are on the right side")

# %% tags=["picture"]
notebook.show(
    figures.affine.film(
        [
            *((f"step {moment}", answers(film[moment]), folds(film[moment])) for moment in moments),
            ("what it should be", lesson03.heart, None),
        ],
        points,
        targets,
    ),
    "Maps of the plane while the network learns: at first a slope, then a blob, at the end a heart, beside the one it should be. "
    "Its outline is made of straight pieces that bend where they meet the dashed folds of the hidden units.",
)

# %% [markdown]
# Each dashed line is one hidden unit: on one side of it the unit is above its kink, on the other side below. Along the
# line the plane is **folded**, and anywhere else it is flat. The white outline, where the answer is 0, is made of
# straight pieces, and bends exactly where it crosses a fold. Sixteen folds, moved into place by nothing but slopes,
# make a heart.
#
# How many does it take? And what if there is no kink at all? **Predict before you run**: what shape has the outline with no
# kink, and how many corners can it have with three folds?

# %%
few = {hidden: train(hidden, steps) for hidden in (3, 6)}

# No kink: two dense layers are one, so one will do.
w, b, losses1 = np.zeros((2, 1)), np.zeros(1), []
for _ in range(steps + 1):
    z, c1 = dense[0](points, w, b)
    y, c2 = tanh[0](z)
    losses1.append(float(np.mean((y - targets) ** 2)))
    _, dw, db = dense[1](tanh[1](2 * (y - targets) / len(points), c2), c1)
    w, b = w - 0.1 * dw, b - 0.1 * db

# %% tags=["picture"]
scenes = [("no kink", lambda x: np.tanh(x @ w + b), None)]
scenes += [(f"{hidden} units", answers(few[hidden][0][steps]), folds(few[hidden][0][steps])) for hidden in few]
scenes += [("16 units", answers(film[steps]), folds(film[steps]))]
notebook.show(
    figures.affine.film(scenes, points, targets),
    "Four maps. Without a kink the map is one even slope. With three hidden units the outline has four "
    "corners, with six it is a shield, with sixteen a heart.",
)

# %% tags=["picture"]
notebook.show(
    figures.affine.losses({"16 units": losses16, **{f"{h} units": few[h][1] for h in few}, "no kink": losses1}),
    "The mean squared error over the steps, both axes logarithmic: nearly constant without a kink, and lower and lower for "
    "3, 6 and 16 hidden units.",
)

# %% [markdown]
# Without a kink there is one straight border, and nothing to gain after the first steps. The outline can bend only where it
# crosses a fold. Three folds cut each other into at most three pieces each. The outline crosses a piece at most
# once, and a closed one crosses a whole fold an even number of times: twice or not at all. So it has six corners at most; with
# this seed two of the folds cross it, which makes four, and the third passes outside. Sixteen make a heart. (The thick end of the curve for 3 units is no flaw of the picture: its steps are a little too long,
# and it hops from one side of a valley to the other. Lesson 5 is about that.)
#
# Change something: the number of units, the rate, the seed in `default_rng(1)`. With some seeds the notch at the top is
# never found. Slopes only say what is downhill from *here*.

# %% [markdown]
# ## Break it
#
# ### Exercise 3.6: a layer that passed its author's test   *(10 minutes)*
#
# Its author tried it with one sample and one output, `x` (1, 3) and `w` (3, 1), compared it with a numeric gradient,
# and it was right.


# %%
def borrowed_dense_backward(dy, cache):
    x, w = cache
    dx = dy @ w.reshape(w.shape[1], w.shape[0])
    dw = x.T @ dy / len(x)
    db = dy[0].copy()
    return dx, dw, db


# %% [markdown]
# All three lines are wrong. Copy it here and mend it. (It expects the cache to be `(x, w)`; if your forward keeps
# something else, take that.)


# %% tags=["exercise"]
def repaired_dense_backward(dy, cache):
    """Gradients dx (N, C), dw (C, O), db (O,) from dy (N, O)."""
    # --- your code
    x, w = cache
    dx = dy @ w.T
    dw = x.T @ dy
    db = dy.sum(axis=0)
    return dx, dw, db
    # --- end


# %% tags=["check"]
check("dense", dense_forward, repaired_dense_backward)

# %% [markdown]
# ### Exercise 3.7: an input that shows it   *(10 minutes)*
#
# A test is only as good as its input. Here are four broken functions, each right on some inputs. For each one give an
# input on which it goes wrong: a tuple of arrays, `(x, dy)` for A and D, `(x,)` for B and C. All numbers finite.


# %%
def relu_backward_a(x, dy):
    """ReLU's dx."""
    return dy * (dy > 0)


def sigmoid_b(x):
    """1 / (1 + exp(-x)), with numerator and denominator multiplied by exp(x)."""
    return np.exp(x) / (1 + np.exp(x))


def flatten_c(x):
    """Rows (N, H*W*C) from images (N, H, W, C)."""
    return x.transpose(0, 2, 1, 3).reshape(len(x), -1)


def leaky_relu_backward_d(x, dy):
    """LeakyReLU's dx, alpha = 0.2."""
    return dy if x.sum() > 0 else 0.2 * dy


# %% tags=["exercise"]
# --- your code: witness = {"A": None, "B": None, "C": None, "D": None}
witness = {
    "A": (np.array([1.0]), np.array([-1.0])),  # above the kink, and a negative dy
    "B": (np.array([1000.0]),),  # exp(1000) is infinite
    "C": (np.arange(4.0).reshape(1, 2, 2, 1),),  # two rows and two columns, all different
    "D": (np.array([2.0, -1.0]), np.array([1.0, 1.0])),  # both signs in one array
}
# --- end

# %% tags=["check"]
check("show_the_bug", witness)

# %% [markdown]
# ## Three questions
#
# **1.** You set all weights to zero at the start. What does every hidden unit compute, what are its gradients, and what
# comes of it?
#
# <details><summary>Answer</summary>
#
# With `w2 = 0`, `da = dz @ w2.T` is zero, so nothing reaches the first layer: `dw1` and `db1` are 0. And with
# `w1 = 0, b1 = 0` all hidden units give 0, so `dw2` is 0 as well. Only `b2` learns, and the network answers the mean of
# the targets for ever. With all weights *equal* but not zero it is hardly better: all hidden units compute the same,
# get the same gradient, and stay equal; sixteen units are worth one. That is why first weights are random.
#
# </details>
#
# **2.** In float32, what do `sigmoid` and `1 - sigmoid` give at $x = 20$, and why should a loss not be computed from
# them?
#
# <details><summary>Answer</summary>
#
# $1 - \sigma(20) = 2 \cdot 10^{-9}$, but float32 has seven digits: $\sigma(20)$ is rounded to exactly 1, and
# $1 - \sigma$ to exactly 0. The logarithm of that is minus infinity, and the slope $\sigma (1 - \sigma)$ is 0, so that
# the surest mistakes would be the ones that learn nothing. Lesson 4 computes the loss from $x$ itself, and all of this
# goes away.
#
# </details>
#
# **3.** The check of a dense layer was run with `x` (4, 4) and `w` (4, 4). Which wrong backwards might pass the test of
# shapes?
#
# <details><summary>Answer</summary>
#
# All those with a forgotten or superfluous transposition: `dy @ w` for `dx`, `dy.T @ x` or `x @ dy` for `dw`,
# `dy.sum(axis=1)` for `db`. They have the right shape, so only values tell, and if the test is merely "does it run"
# they pass. With $N$, $C$ and $O$ all different each of them raises an exception or returns a wrong shape.
#
# </details>
#
# ## What comes next
#
# The network answers in $(-1, 1)$ and was scored by squared errors. A discriminator should answer with a *probability*,
# and be scored by how much it is surprised. Written down as in the books, that score explodes in every sense. Lesson 4
# makes it behave.

# %% [markdown]
# # Lesson 11: Assemble the DCGAN
#
# You have all the layers. Here they become two networks, with 2,768,321 and 3,616,771 parameters, **with the layers that
# you have written in lessons 3 to 10 inside**. You work out both, shape by shape and parameter by parameter, see what flows
# through them before the first step, check every gradient of them at once, and make each learn one batch by heart. Then you
# plant a wrong layer, and see which of these tests notices it.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 11.1 | the shapes of both networks | 10 |
# | 11.2, 11.3 | counting parameters, by hand and by program | 20 |
# | 11.4 | Glorot's limit: the kernels' first values | 10 |
# | 11.5 | `Sequential`: forward down a list of layers, backward up it | 25 |
# | 11.6 | both networks, built | 20 |
# | 11.7 | a generator without a discriminator | 20 |
# | 11.8 | how far a unit sees | 10 |
# | 11.9, 11.10 | break it: five patients, and a test that finds a bug no gradient check finds | 30 |
#
# With reading, about three hours. The computer needs well under a minute with minigan's layers, a few minutes if yours are
# loops. You need lessons 3 to 10. If you have skipped one, minigan's own layer stands in for what is missing.

# %% tags=["setup"]
# setup

# %%
import math
from dataclasses import replace

import numpy as np

import minigan
from lessons import figures, notebook
from lessons.exercises import lesson11
from lessons.notebook import check
from minigan.check import check_network

ops = notebook.my_ops()

# %% [markdown]
# The line above says whose functions are used below. Whatever `notebook.keep` has kept is yours.
#
# ## The idea
#
# A network is a list. Forward runs down the list, each layer on the output of the one before. Backward runs up it,
# each layer on the gradient from the one behind. That is all, and the chain rule says no more.
#
# ### Two layers by hand
#
# Take one number through two layers: a dense layer with $w = 2$ and no bias, then a LeakyReLU with slope 0.2.
#
# | | in | layer | out | cache |
# |---|---|---|---|---|
# | forward, layer 0 | $x = -3$ | $2x$ | $-6$ | $x = -3$ |
# | forward, layer 1 | $-6$ | leaky | $-1.2$ | "it was below 0" |
# | backward, layer 1 | $dy = 1$ | slope 0.2 | $0.2$ | |
# | backward, layer 0 | $0.2$ | $dw = -3 \cdot 0.2 = -0.6$, $dx = 2 \cdot 0.2 = 0.4$ | $0.4$ | |
#
# Now suppose the layers keep their caches to themselves, as attributes. You run forward on $x = -3$, then forward on
# $x = 5$, and only then backward for the first one. **Predict before you read on**: which $dw$ comes out?
#
# <details><summary>Answer</summary>
#
# Layer 1 remembers "it was above 0", layer 0 remembers 5. Backward gives
#
# $$dw = 5 \cdot 1 = 5 \quad\text{in place of}\quad -0.6 .$$
#
# </details>
#
# No error, no warning; a wrong gradient. A classifier never does such a thing. A GAN does: the discriminator looks at
# reals and at fakes, the generator's step runs *through* a discriminator that has just been used for something else.
# So in minigan **a layer remembers nothing**: forward returns `(y, cache)`, and the caller hands the cache
# to backward.
#
# One more rule. Gradients of parameters **add up**: a layer's backward adds into its `grads`, and the caller sets
# them to 0 before a new step. A network that is run twice before an update then gets the sum over both, which is what
# the chain rule asks for when a parameter is used twice.

# %% [markdown]
# ### The two networks
#
# Alec Radford, Luke Metz and Soumith Chintala ([arXiv:1511.06434](https://arxiv.org/abs/1511.06434)) found a pair of
# convolutional networks that train stably against each other. The article that minigan follows has this pair for
# images of 64 x 64:
#
# | | discriminator | |
# |---|---|---|
# | 1 | Conv2D, 64 filters, 4 x 4, strides 2, same | LeakyReLU 0.2 |
# | 2 | Conv2D, 128 filters, 4 x 4, strides 2, same | BatchNormalization, LeakyReLU |
# | 3 | Conv2D, 256 filters, 4 x 4, strides 2, same | BatchNormalization, LeakyReLU |
# | 4 | Conv2D, 512 filters, 4 x 4, strides 2, same | BatchNormalization, LeakyReLU |
# | | Flatten, Dense 1 | (the sigmoid is in the loss) |
#
# | | generator, from noise 1 x 1 x 100 | |
# |---|---|---|
# | 1 | Conv2DTranspose, 512 filters, 4 x 4, strides 1, **valid** | BatchNormalization, LeakyReLU |
# | 2 | Conv2DTranspose, 256 filters, 4 x 4, strides 2, same | BatchNormalization, LeakyReLU |
# | 3 | Conv2DTranspose, 128 filters, 4 x 4, strides 2, same | BatchNormalization, LeakyReLU |
# | 4 | Conv2DTranspose, 64 filters, 4 x 4, strides 2, same | BatchNormalization, LeakyReLU |
# | 5 | **Conv2D**, 64 filters, 3 x 3, strides 1, same | BatchNormalization, LeakyReLU |
# | 6 | Conv2DTranspose, 3 filters, 4 x 4, strides 2, same | tanh |
#
# Half the side, twice the channels, in both directions. There is no batch normalisation next to the image on either
# side: it would take away, or make up, how bright an image is as a whole.
#
# (The paper's networks differ a little: 1024 channels at the top, ReLU in the generator, no 3 x 3 convolution. The
# article's text says ReLU too; its code has LeakyReLU.)
#
# ### Exercise 11.1: shapes   *(10 minutes)*
#
# What shape `(H, W, C)` comes out of each layer with a kernel? The first of each by hand:
#
# * D, layer 1: lesson 7's formula, with "same" padding, which is 1 on each side here:
#   $\lfloor(64 + 2\cdot1 - 4)/2\rfloor + 1 = 32$, so `(32, 32, 64)`.
# * G, layer 1: lesson 9's formula: $S\,(H-1) + K - 2P = 1\cdot(1 - 1) + 4 - 0 = 4$, so `(4, 4, 512)`.

# %% tags=["exercise"]
# --- your code: d_maps, g_maps = None, None  # two lists: [(32, 32, 64), ...] and [(4, 4, 512), ...]
d_maps = [(32, 32, 64), (16, 16, 128), (8, 8, 256), (4, 4, 512)]
g_maps = [(4, 4, 512), (8, 8, 256), (16, 16, 128), (32, 32, 64), (32, 32, 64), (64, 64, 3)]
# --- end

# %% tags=["check"]
check("feature_maps", d_maps, g_maps)

# %% tags=["picture"]
notebook.show(
    figures.dcgan.feature_maps([(64, 64, 3), *lesson11.D_MAPS], [(1, 1, 100), *lesson11.G_MAPS]),
    "Both networks as rows of boxes. The generator grows from 1 x 1 x 100 over 4 x 4 x 512 to 64 x 64 x 3, the "
    "discriminator shrinks from 64 x 64 x 3 to 4 x 4 x 512 and one logit.",
)

# %% [markdown]
# ### Exercise 11.2: counting by hand   *(10 minutes)*
#
# Kernels of a convolution are `(K, K, C, O)`, those of a transposed one `(K, K, O, C)`; each has a bias for each
# channel that comes *out*. D's third convolution, for example:
#
# $$4 \cdot 4 \cdot 128 \cdot 256 + 256 = 524{,}288 + 256 = 524{,}544 .$$
#
# A batch normalisation keeps four numbers for each channel. Two are trained, gamma and beta. Two are not, but are
# saved with the network: the moving mean and the moving variance. Keras counts all four as parameters, and so do we.
#
# **Predict before you count**: which share of D's parameters is in its last convolution, the one that sees the smallest
# image? A tenth, a quarter, three quarters?
#
# How many parameters have D's first convolution, its second convolution, the batch normalisation behind that, and the
# dense layer at the end?

# %% tags=["exercise"]
# --- your code: first, second, norm, dense = None, None, None, None
first = 4 * 4 * 3 * 64 + 64
second = 4 * 4 * 64 * 128 + 128
norm = 4 * 128
dense = 4 * 4 * 512 + 1
# --- end

# %% [markdown]
# ### Exercise 11.3: counting all   *(10 minutes)*
#
# Write `count_parameters(kind, K, C, O)` for the kinds `"conv"`, `"conv_transpose"`, `"batch_norm"` and `"dense"`. It
# returns two numbers: how many are trained, and how many are moving statistics. For a batch normalisation `C` and `O`
# are both its number of channels; `K` is 1 where there is no kernel.


# %% tags=["exercise"]
def count_parameters(kind, K, C, O):
    """Numbers of trained parameters and of moving statistics: trained, moving"""
    # --- your code
    if kind == "batch_norm":
        return 2 * C, 2 * C
    if kind == "dense":
        return C * O + O, 0
    return K * K * C * O + O, 0
    # --- end


# %% tags=["check"]
check("count_by_hand", first, second, norm, dense)
check("count_parameters", count_parameters)

# %% tags=["picture"]
count = notebook.yours(count_parameters, lesson11.count_parameters)
rows = {}
for name, plan in (("discriminator", lesson11.D_PLAN), ("generator", lesson11.G_PLAN)):
    counts = [count(*layer) for layer in plan]
    trained, moving = (sum(column) for column in zip(*counts, strict=True))
    print(f"{name}: {trained + moving:,} = {trained:,} trained + {moving:,} moving statistics")
    labels = [
        f"{kind.replace('_', ' ')} {C}" if kind == "batch_norm" else f"{kind.replace('_', ' ')} {C}→{O}"
        for kind, K, C, O in plan
    ]
    rows[name] = list(zip(labels, map(sum, counts), strict=True))
notebook.show(
    figures.dcgan.parameters(rows),
    "Bars of parameters by layer. In the discriminator the last convolution, 256 to 512 channels, has 76 % of "
    "2,768,321; in the generator the second layer, 512 to 256, has 58 % of 3,616,771.",
)

# %% [markdown]
# Do the totals agree with the two numbers at the top of this lesson? Three quarters of the discriminator sit in one
# kernel, the one that sees the smallest image.
#
# ## The derivation: first values
#
# ### Line by line
#
# All biases start at 0, all gammas at 1, all betas at 0. Kernels must not start at 0: all channels of a layer would
# then be equal, get equal gradients, and stay equal for ever. They are drawn by lot. How large should they be?
#
# One output of a layer is a sum of $n$ products of a weight and an input, with $n = K \cdot K \cdot C$, the *fan in*.
# Let weights be drawn independently with mean 0:
#
# $$y = \sum_{k=1}^{n} w_k x_k .$$
#
# The inputs are given; the mean of $y$ over all draws of the weights is 0, and its variance
#
# $$\mathrm{Var}(y) = \sum_k \sum_l \mathrm{E}[w_k w_l]\, x_k x_l .$$
#
# For $k \neq l$ the weights are independent with mean 0, so $\mathrm{E}[w_k w_l] = 0$; for $k = l$ it is
# $\mathrm{Var}(w)$:
#
# $$\mathrm{Var}(y) = \mathrm{Var}(w) \sum_k x_k^2 = n\, \mathrm{Var}(w)\; \overline{x^2} .$$
#
# So signals keep their size, layer after layer, if $\mathrm{Var}(w) = 1/n_\text{in}$. Backward is a sum as well: $dx$
# adds up $n_\text{out} = K \cdot K \cdot O$ products of a weight and a $dy$, and *gradients* keep their size if
# $\mathrm{Var}(w) = 1/n_\text{out}$. Both at once is impossible when $C \ne O$. Xavier Glorot and Yoshua Bengio
# (AISTATS 2010, eq. 12) take the mean of the two fans:
#
# $$\mathrm{Var}(w) = \frac{2}{n_\text{in} + n_\text{out}} .$$
#
# Last, from the variance to the limits of a uniform distribution on $[-l, l)$, whose density is $1/(2l)$ (their eq. 16):
#
# $$\mathrm{Var}(w) = \int_{-l}^{l} \frac{w^2}{2l}\, dw = \frac{1}{2l} \cdot \frac{2 l^3}{3} = \frac{l^2}{3}
#   \quad\Longrightarrow\quad l = \sqrt{\frac{6}{n_\text{in} + n_\text{out}}} .$$
#
# By hand, for D's first kernel `(4, 4, 3, 64)`: $n_\text{in} = 16\cdot3 = 48$, $n_\text{out} = 16\cdot64 = 1024$,
# $l = \sqrt{6/1072} = 0.0748$.
#
# ### Exercise 11.4: Glorot's limit   *(10 minutes)*
#
# Write `glorot_limit(shape)` for kernels `(K, K, C, O)` and dense ones `(C, O)`. (Keras takes the last two axes of a
# transposed kernel `(K, K, O, C)` in the same way. In and out are exchanged then, but only their sum matters.)


# %% tags=["exercise"]
def glorot_limit(shape):
    """Half the width of the uniform distribution from which a kernel of this shape is drawn."""
    # --- your code
    field = math.prod(shape[:-2])  # K * K, or 1
    return math.sqrt(6 / (field * shape[-2] + field * shape[-1]))
    # --- end


# %% tags=["check"]
check("glorot_limit", glorot_limit)

# %% tags=["picture"]
limit = notebook.yours(glorot_limit, lesson11.glorot_limit)
D, G = minigan.discriminator(), minigan.generator()
chosen = {"D's first": D.layers[0], "D's last conv": D.layers[8], "D's dense": D.layers[12], "G's 3 x 3": G.layers[12]}
kernels = {name: layer.params["kernel"] for name, layer in chosen.items()}
notebook.show(
    figures.dcgan.kernels({name: (kernel, limit(kernel.shape)) for name, kernel in kernels.items()}),
    "Histograms of four kernels at their first values: flat between the limits that the formula gives, which are dashed "
    "lines, and empty beyond them.",
)

# %% [markdown]
# ## A Sequential
#
# ### Exercise 11.5: Sequential   *(25 minutes)*
#
# Every layer of minigan has these two methods:
#
# ```python
# y, cache = layer.forward(x, training=True, update_stats=True)
# dx = layer.backward(dy, cache, input_grad=True, param_grads=True)
# ```
#
# `training` and `update_stats` are lesson 10's three modes. With `input_grad=False` a layer computes no `dx` and
# returns None; with `param_grads=False` it leaves its `grads` alone. Otherwise it adds into them by itself. Write a
# class with the same two methods for a whole list:
#
# * `forward` returns the output of the last layer and **all caches**, in whatever form you like (`backward` may
#   run twice on the same caches, so it leaves them as they are). It passes both
#   switches on.
# * `backward` takes `dy` and these caches. It passes `param_grads` on. Every layer but the first is always asked for
#   its `dx`, since the layer in front needs it. The first layer is asked only if the caller wants it
#   (`input_grad=True`): nobody needs the gradient for a batch of photographs. It returns the gradient of `x`, or
#   None.


# %% tags=["exercise"]
class MySequential:
    """Layers one after the other."""

    def __init__(self, layers):
        self.layers = list(layers)

    def forward(self, x, *, training, update_stats=True):
        """Down the list -> y, caches"""
        # --- your code
        caches = []
        for layer in self.layers:
            x, cache = layer.forward(x, training=training, update_stats=update_stats)
            caches.append(cache)
        return x, caches
        # --- end

    def backward(self, dy, caches, *, input_grad=False, param_grads=True):
        """Up the list -> dx, or None unless input_grad"""
        # --- your code
        for k in reversed(range(len(self.layers))):
            dy = self.layers[k].backward(dy, caches[k], input_grad=input_grad or k > 0, param_grads=param_grads)
        return dy
        # --- end


# %% tags=["check"]
check("sequential", MySequential)

# %% [markdown]
# ### Exercise 11.6: both networks   *(20 minutes)*
#
# `parts` hands out layers: `parts.conv(C, O, K, strides=1)` (always "same"),
# `parts.conv_transpose(C, O, K, strides=1, padding="same")`, `parts.batch_norm(C)`, `parts.leaky_relu()`,
# `parts.flatten()`, `parts.dense(C, O)`, `parts.tanh()`. Each call draws the next kernel, so make the layers from
# front to back.
#
# Write `discriminator_layers(width, parts)` and `generator_layers(width, parts)`: lists of layers as in the tables,
# but with `width` in the place of 64, `2 * width` in that of 128, and so on. (A network of width 4 learns little, but
# it is tested in a moment.)


# %% tags=["exercise"]
def discriminator_layers(width, parts):
    """The discriminator for 64 x 64 images, as a list of layers."""
    # --- your code
    layers = [parts.conv(3, width, 4, strides=2), parts.leaky_relu()]
    for C in (width, 2 * width, 4 * width):
        layers += [parts.conv(C, 2 * C, 4, strides=2), parts.batch_norm(2 * C), parts.leaky_relu()]
    return [*layers, parts.flatten(), parts.dense(4 * 4 * 8 * width, 1)]
    # --- end


def generator_layers(width, parts):
    """The generator for 64 x 64 images, as a list of layers."""
    # --- your code
    top = 8 * width
    layers = [parts.conv_transpose(100, top, 4, padding="valid"), parts.batch_norm(top), parts.leaky_relu()]
    for C in (8 * width, 4 * width, 2 * width):
        layers += [parts.conv_transpose(C, C // 2, 4, strides=2), parts.batch_norm(C // 2), parts.leaky_relu()]
    layers += [parts.conv(width, width, 3), parts.batch_norm(width), parts.leaky_relu()]
    return [*layers, parts.conv_transpose(width, 3, 4, strides=2), parts.tanh()]
    # --- end


# %% tags=["check"]
check("networks", discriminator_layers, generator_layers)

# %% [markdown]
# ### It runs
#
# Your list, in your Sequential, with your layers, beside minigan's discriminator with the same kernels. Sixteen drawn
# faces go through both.

# %%
images = lesson11.faces(16, 64)
noise = np.random.default_rng(0).standard_normal((16, 1, 1, 100)).astype(np.float32)
d_layers = notebook.yours(discriminator_layers, lesson11.discriminator_layers)
g_layers = notebook.yours(generator_layers, lesson11.generator_layers)


def through_mine(x):
    return MySequential(d_layers(4, lesson11.Parts(ops=ops))).forward(x, training=True)[0]


mine = notebook.yours(through_mine, lambda x: minigan.discriminator(width=4).forward(x, training=True)[0])(images)
theirs, _ = minigan.discriminator(width=4).forward(images, training=True)
print(f"largest difference between the logits: {np.abs(mine - theirs).max():.1e}")

# %% [markdown]
# Rounding, no more: minigan runs a batch normalisation and the LeakyReLU behind it in one go, which rounds a little
# differently in float32.
#
# ### What flows
#
# Before the first step, layer by layer: how are the numbers distributed that come out? The shapes below are the live
# ones.
#
# You can predict much of this picture. After a batch normalisation: mean 0, deviation 1. LeakyReLU of such a number
# $z$, if it is about normally distributed: its mean is $(1 - 0.2)\,\mathrm{E}[\max(z, 0)] = 0.8/\sqrt{2\pi} = 0.319$,
# its mean square $(1 + 0.04)/2 = 0.52$, so its deviation $\sqrt{0.52 - 0.319^2} = 0.647$. Look for 0.32 ± 0.65.
#
# And Glorot's count is a little off in the generator: of the 16 taps of a 4 x 4 kernel with stride 2, only 4 fall on
# any one output pixel. G's second layer adds up $4 \cdot 512$ products, not $16 \cdot 512$:
#
# $$\mathrm{Var}(y) = 4 \cdot 512 \cdot \frac{2}{16\,(512 + 256)} \cdot 0.52 = \tfrac13 \cdot 0.52 = 0.17, \qquad
#     \text{deviation } 0.42 .$$
#
# (Less at the border, where stamps are missing.) A layer that shrinks its signal to 0.42 of a deviation looks
# harmless; six in a row do not. Batch normalisation puts it right each time: **that** is why the start is so
# uncritical in these networks.

# %% tags=["picture"]
width = notebook.fast(16, 8)
flows = {
    "discriminator": lesson11.examine(d_layers(width, lesson11.Parts(ops=ops)), images),
    "generator": lesson11.examine(g_layers(width, lesson11.Parts(ops=ops, first=1000)), noise),
}
notebook.show(
    figures.dcgan.statistics(flows),
    "Violin plots of the values that come out of each layer, with mean and standard deviation. After every batch "
    "normalisation 0 ± 1, after every LeakyReLU about 0.32 ± 0.65, after transposed convolutions about 0 ± 0.4; "
    "the generator ends with pixels of 0 ± 0.4 in (-1, 1).",
)

# %% [markdown]
# ## Is it right?
#
# ### Every gradient at once
#
# Each layer has been checked alone. What may still be wrong is how they are put together, and a student's layer may
# be right on small cases and wrong on a real shape. So the whole network is checked: for every parameter, and for the
# input, the directional slope of lesson 2, in float64.
#
# Two snags, both dealt with in `check_network`. Somewhere among thousands of LeakyReLUs one is always near its kink,
# where the slope is not what the gradient says; so the slope is measured with $h$ and $h/2$, and where the two
# disagree another direction is tried. And the biases in front of a batch normalisation have gradients of 0 (lesson
# 10, question 1): there an error is judged by the size of the *other* gradients. If one gradient is wrong, so are all
# that are computed from it. So the verdict names the last layer, going backwards, whose incoming gradient is still right.
#
# This is the injection point at work: `generator(ops=ops)` builds minigan's network out of your functions.

# %% tags=["picture"]
errors = {}
for build in (minigan.discriminator, minigan.generator):
    network = build(image_size=32, width=2, dtype=np.float64, ops=ops)
    errors[network.name] = check_network(network, probes=notebook.fast(2, 1))
notebook.show(
    figures.dcgan.gradient_errors(errors),
    "Relative errors of all gradients of both networks, between 1e-14 and 1e-8, all far below the line at 1e-5 "
    "above which a gradient is wrong.",
)

# %% [markdown]
# ### By heart
#
# Right gradients do not make a network that learns. The labels may belong to other images, the sign of a step may be
# wrong, an optimizer may hold no parameters. There is a test for this that takes seconds: **make the network learn one
# single batch by heart.** A network with thousands of parameters can do that with 16 images. If it cannot, do not start
# the long run. If it can, that proves less than one would think: see below, under "Break it".
#
# First D. Sixteen faces, eight of them labelled 1 and eight 0, *by lot*. There is nothing to understand here; each
# face has to be remembered. The step is lesson 6's.
#
# **Predict before you run**: what is the loss before the first step, to one digit?
#
# <details><summary>Answer</summary>
#
# A D that has learned nothing says about 1/2, which costs $\ln 2 = 0.69$, whatever the label. Its kernels are random, so its
# verdicts scatter around 1/2, and being wrong costs more than being right gains: a little above, 0.8. A first loss of 5
# or of 0.1 would be a bug.
#
# </details>

# %% tags=["picture"]
batch = lesson11.one_batch()
discriminator_step = notebook.my("discriminator_step")
D = minigan.discriminator(image_size=32, width=8, ops=ops)
optimizer = minigan.Adam(D.params(), learning_rate=1e-3)


def verdicts():
    logits, _ = D.forward(batch.images, training=True, update_stats=False)
    return 1 / (1 + np.exp(-logits.ravel()))


before = verdicts()
losses = [float(discriminator_step(D, optimizer, batch.images, batch.labels)) for _ in range(notebook.fast(100, 60))]
print(f"loss: {losses[0]:.3f} at first, {losses[-1]:.4f} after {len(losses)} steps")
notebook.show(
    figures.dcgan.memorised(losses, np.stack([before, verdicts()]), batch.labels.ravel()),
    "Left: the loss falls from 0.8 to 0.001 in 100 steps. Right: before, the verdicts are scattered; after, all "
    "eight images labelled 0 are at 0 and all labelled 1 at 1.",
)

# %% [markdown]
# ### Exercise 11.7: a generator without a discriminator   *(20 minutes)*
#
# G can be tested without D as well: give it 16 fixed noise vectors and 16 faces, and ask for the face number $n$ from
# noise number $n$. The loss is the mean squared error over all elements:
#
# $$L = \frac1M \sum_{m=1}^{M} (y_m - t_m)^2, \qquad dy_m = \frac{\partial L}{\partial y_m} = \frac{2}{M}\,(y_m -
#     t_m), \qquad M = B \cdot S \cdot S \cdot 3 .$$
#
# Write `l2_step(G, optimizer, noise, images)`: one step towards these images, which returns the loss *before* it,
# a float. You know the order: forward in training mode, `G.zero_grads()`, `G.backward(dy, caches)`,
# `optimizer.step(G.grads())`.


# %% tags=["exercise"]
def l2_step(G, optimizer, noise, images):
    """One step of G towards given images -> mean squared error before it"""
    # --- your code
    y, caches = G.forward(noise, training=True)
    difference = y - images
    G.zero_grads()
    G.backward(2 * difference / difference.size, caches)
    optimizer.step(G.grads())
    return float((difference**2).mean())
    # --- end


# %% tags=["check"]
check("l2_step", l2_step)

# %% [markdown]
# **Predict before you run**: in which order will they come, the eyes, the hair, the overall colour?

# %% tags=["picture"]
step = notebook.yours(l2_step, lesson11.l2_step)
G = minigan.generator(image_size=32, width=notebook.fast(16, 8), ops=ops)
optimizer = minigan.Adam(G.params(), learning_rate=5e-3)
stops = notebook.fast((0, 10, 30, 100, 300), (0, 10, 40))
losses, frames = [], {}
for t in range(stops[-1] + 1):
    if t in stops:
        frames[t], _ = G.forward(batch.noise, training=True, update_stats=False)
    losses.append(step(G, optimizer, batch.noise, batch.images))
notebook.show(
    figures.dcgan.film(losses, frames, batch.images),
    "A film strip: at step 0 coloured noise, at step 10 blurred faces, at step 30 the right hair and eyes, at "
    "step 300 hardly to be told from the target row below. Beside it the falling loss.",
)

# %% [markdown]
# Watch the order in which things come: the overall colour, then hair and face, then eyes. And note what this is
# *not*: for any seventeenth noise vector this generator makes mush. It has learned 16 faces, not how faces are made.
# That takes a discriminator, and lesson 12.
#
# ## How far does a unit see?
#
# One unit of D's first map looks at 4 x 4 pixels. A unit of the second looks at 4 x 4 units of the first. They lie 2
# pixels apart, so the outer ones' centres are $3\cdot2$ pixels from each other, and each sees 4:
#
# $$r_1 = 4, \qquad r_2 = 4 + 3\cdot2 = 10 .$$
#
# In general a layer with kernel $K$ adds $K - 1$ gaps, each as wide as the units below are apart *in pixels of the
# image*. That distance is the product of all strides so far:
#
# $$r \leftarrow r + (K - 1)\, j, \qquad j \leftarrow j \cdot S, \qquad\text{from } r = 1,\; j = 1 .$$
#
# ### Exercise 11.8: receptive fields   *(10 minutes)*
#
# Write `receptive_fields(layers)` for a list of `(K, S)`, from the image up: the list of all $r$.


# %% tags=["exercise"]
def receptive_fields(layers):
    """Side of the square of pixels that one unit sees, after each layer: a list of int."""
    # --- your code
    field, jump, out = 1, 1, []
    for K, S in layers:
        field += (K - 1) * jump
        jump *= S
        out.append(field)
    return out
    # --- end


# %% tags=["check"]
check("receptive_fields", receptive_fields)

# %% [markdown]
# A receptive field can be *measured*, with what you have: set `dy` to 1 at one unit and to 0 elsewhere, run backward,
# and look which pixels got a gradient. The squares are your numbers.
#
# The last two pictures are lesson 10's secret. Normalised with the batch, a unit sees **every pixel of every image
# in the batch**, faintly, through the mean and the variance.

# %% tags=["picture"]
sides = notebook.yours(receptive_fields, lesson11.receptive_fields)([(4, 2)] * 4)
seen = [lesson11.seen_by_a_unit(blocks, training=False)[0] for blocks in (1, 2, 3, 4)]
notebook.show(
    figures.dcgan.receptive_fields(seen, sides, lesson11.seen_by_a_unit(3, training=True)),
    "Maps of which pixels move one unit: squares of side 4, 10, 22 and 46, as worked out. With the batch's "
    "statistics the whole own image and the whole other image are faintly marked too.",
)

# %% [markdown]
# ## Break it
#
# ### A wrong layer that learns
#
# Now plant a mistake: a LeakyReLU whose backward forgets the slope of 0.2 and hands every gradient on as it is. All else
# stays right. **Predict before you run**: will this D still learn its batch by heart? And what will the check of all
# gradients say?


# %%
def planted_forward(x, slope=0.2):
    return np.where(x > 0, x, slope * x), None


def planted_backward(dy, cache):
    return dy.copy()  # wrong: below 0, it should be slope * dy


planted = replace(ops, leaky_relu_forward=planted_forward, leaky_relu_backward=planted_backward)
D = minigan.discriminator(image_size=32, width=8, ops=planted)
optimizer = minigan.Adam(D.params(), learning_rate=1e-3)
losses = [float(discriminator_step(D, optimizer, batch.images, batch.labels)) for _ in range(notebook.fast(100, 60))]
print(f"by heart: loss {losses[0]:.3f} at first, {losses[-1]:.4f} after {len(losses)} steps")
errors = check_network(minigan.discriminator(image_size=32, width=2, dtype=np.float64, ops=planted), probes=1)

# %% [markdown]
# It learns by heart, and its gradients are wrong. The wrong gradient still points downhill often enough, and Adam does not
# care for its length. So learning by heart catches what stops a network from learning, and lets pass what only misleads
# it. The check of all gradients is the one to trust; and one test of a whole does not replace those of its parts.
#
# ### Exercise 11.9: five patients   *(15 minutes)*
#
# Five discriminators, before their first step. Their charts show, after each of the four blocks, mean and deviation
# of what comes out, and, below, how large a random gradient from the top is when it has arrived there. One is
# healthy. What ails the others? The illnesses: `"small kernels"` (a third of Glorot's, and no batch normalisation),
# `"large kernels"` (four times Glorot's, and no batch normalisation), `"norm after activation"` (batch normalisation
# behind the LeakyReLU), and `"sigmoid"` (in place of LeakyReLU, without batch normalisation). For the healthy one say
# `"healthy"`.

# %% tags=["picture"]
notebook.show(
    figures.dcgan.patients(lesson11.patients()),
    "Five pairs of charts. a: outputs around 0.5 that hardly vary, gradient fading towards block 1. b: outputs "
    "that grow. c: 0.32 ± 0.64. d: outputs that shrink to nothing, gradient fading. e: outputs of mean 0 and "
    "deviation 1.",
)

# %% tags=["exercise"]
# --- your code: illness = {"a": None, "b": None, "c": None, "d": None, "e": None}
illness = {
    "a": "sigmoid",
    "b": "large kernels",
    "c": "healthy",
    "d": "small kernels",
    "e": "norm after activation",
}
# --- end

# %% tags=["check"]
check("charts", illness)

# %% [markdown]
# `a` is how networks were built until about 2010. The slope of a sigmoid is at most 1/4, so each activation takes at
# least three quarters of the gradient away. With these kernels it is about seven eighths a block, and from block 4 to
# block 1 one part in five hundred is left. `e` trains well, by the way: which of the two comes first is a matter of
# taste. It just is not this network.
#
# ### Exercise 11.10: a test that finds it   *(15 minutes)*
#
# Below is the Sequential from the beginning of this lesson that keeps its caches to itself. It passes every gradient
# check. It learns a batch by heart. Write the test that tells it from a right one: `overwrites(network, x1, x2, dy)`
# returns True if a forward on `x2` changes the gradient that backward gives for `x1`, False otherwise. It will be
# tried on broken and on right ones.


# %%
class KeepsItsCaches:
    def __init__(self, layers):
        self.layers = list(layers)

    def forward(self, x, *, training, update_stats=True):
        self.caches = []
        for layer in self.layers:
            x, cache = layer.forward(x, training=training, update_stats=update_stats)
            self.caches.append(cache)
        return x, None

    def backward(self, dy, caches, *, input_grad=False, param_grads=True):
        for k in reversed(range(len(self.layers))):
            dy = self.layers[k].backward(dy, self.caches[k], input_grad=input_grad or k > 0, param_grads=param_grads)
        return dy


# %% tags=["exercise"]
def overwrites(network, x1, x2, dy):
    """Whether a second forward changes what backward makes of the first."""
    # --- your code
    _, caches = network.forward(x1, training=True)
    before = network.backward(dy, caches, input_grad=True)
    _, caches = network.forward(x1, training=True)
    network.forward(x2, training=True)
    after = network.backward(dy, caches, input_grad=True)
    return not np.allclose(before, after)
    # --- end


# %% tags=["check"]
check("overwrites", overwrites)

# %% [markdown]
# ## Three questions
#
# **1.** A face is about 40 pixels wide here, and its eyes are about 20 apart. From which block on can a unit compare
# the two eyes? Who decides that *both* have the same colour?
#
# <details><summary>Answer</summary>
#
# Two eyes with all around them span some 32 pixels. A unit of block 3 sees 22 pixels: one eye, and what lies between.
# Block 4, with 46, is the first that can hold both. The dense layer comes after it, and only *adds*. Let it give weight
# $a$ to "blue on the left" and weight $b$ to "blue on the right". Two blue eyes get $a + b$, two brown ones 0, and mixed
# ones $a$ or $b$. If both mixed pairs are to get less than both equal pairs, then $a < 0$ and $b < 0$, but also
# $a < a + b$, so $b > 0$: impossible. A sum cannot ask whether two things agree. A comparison needs a unit that sees both,
# and a kink after it.
#
# </details>
#
# **2.** And the other way round: how large is the part of G's image that one unit of its 4 x 4 map touches?
#
# <details><summary>Answer</summary>
#
# A stamp of 4 with stride 2 makes $s$ neighbouring pixels $2(s-1)+4 = 2s + 2$. From 1: 4, 10, 22, at 32 x 32. The 3 x
# 3 convolution spreads that by one on each side: 24. The last layer: $2\cdot24 + 2 = 50$ of 64 pixels (cut off at the
# border). Sixteen overlapping squares of 50 x 50: each of them paints most of the face. It is the discriminator's
# receptive field, backwards, plus the 3 x 3.
#
# </details>
#
# **3.** Three quarters of D's parameters are in its last convolution. Is that where three quarters of the *work* are?
#
# <details><summary>Answer</summary>
#
# No. A convolution's multiplications are parameters (without the bias) times output positions. Layer 2:
# $131{,}072 \cdot 16^2$; layer 3: $524{,}288 \cdot 8^2$; layer 4: $2{,}097{,}152 \cdot 4^2$. All three are 33,554,432
# for each image: halving the side leaves a quarter of the positions and brings four times the parameters. Layer 1,
# with three channels only, does $3{,}072 \cdot 32^2 = 3{,}145{,}728$. "Half the side, twice the channels" shares the
# work evenly, which is one reason for its popularity.
#
# </details>
#
# ## What comes next
#
# Two networks, right in every gradient, able to learn. Lesson 12 lets them loose on each other, and teaches you to
# read the gauges while they fight.
#
# ### To read
#
# * `minigan/nn/network.py` and `minigan/gan/models.py`: your Sequential and your two lists, as minigan has them.
# * `minigan/nn/ops/table.py`: how your functions get into minigan's networks, and how minigan's own fast versions get in by the same
#   way. `minigan.generator(plain=True)` does without the fast ones.

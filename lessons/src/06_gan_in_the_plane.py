# %% [markdown]
# # Lesson 6: A GAN in the plane
#
# A GAN is a game of two networks. The **generator** G makes things up. The **discriminator** D is shown real things and
# made-up ones, and says how sure it is that what it sees is real. G learns from what D says. That is all; and it is so
# hard to watch in a real GAN, with its 12,288 numbers for each image, that people train them for years without having
# seen one move.
#
# So we make the images smaller. Much smaller: *two numbers*. An "image" is a point of the plane. Now everything can be
# drawn: all real points, all fakes, and what D says about every place there is. A run takes seconds, and you will see it
# work, and you will see it fail, in the way that GANs are famous for.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 6.1 | the real points: a density that does not underflow | 15 |
# | 6.2 | count modes | 10 |
# | 6.3 | **the discriminator's step**, and what it should learn | 20 |
# | 6.4 | **the generator's step**, against a D that stands still | 20 |
# | 6.5 | a round of the game, and your first GAN | 15 |
# | 6.6 | mode collapse, live; and the rescue | 20 |
# | 6.7, 6.8 | break it: a broken step, and five patients | 25 |
#
# About two and a half hours with reading. You need lesson 3 (layers) and lesson 4 (binary cross-entropy from logits). Lesson 5
# (Adam) helps; without it, one fact is enough: a step of Adam is about as long as its learning rate. If you kept your own layers
# there, the networks here are built from them.
#
# Words: p is the density of the real points, q that of the fakes. z is D's logit, $D(x) = \sigma(z(x))$ the probability it
# gives to "real".

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook, plane_gan, recorded_runs
from lessons.exercises import lesson06
from lessons.notebook import check
from minigan.nn import rng
from minigan.nn.losses import bce_with_logits_backward, bce_with_logits_forward
from minigan.system.workers import using_workers

ops = notebook.my_ops()  # your dense and leaky_relu, if you kept them in lesson 3
adam_step = notebook.my("adam")  # and your Adam of lesson 5

# %% [markdown]
# ## The idea
#
# ### What should D say? One place, by hand
#
# Forget networks for a moment. Look at one small place of the plane, and suppose that of all the points D is ever shown
# there, **30 are real and 10 are fake**. D sees only the place, so it must give all forty the same answer. Which one is best?
#
# D's loss is lesson 4's: $-\ln D$ for a real point, $-\ln(1 - D)$ for a fake. Try three answers:
#
# | D says | 30 real points cost | 10 fakes cost | together |
# |---|---|---|---|
# | 0.50 | $30\cdot 0.693 = 20.8$ | $10\cdot 0.693 = 6.9$ | 27.7 |
# | 0.75 | $30\cdot 0.288 = 8.6$ | $10\cdot 1.386 = 13.9$ | **22.5** |
# | 0.90 | $30\cdot 0.105 = 3.2$ | $10\cdot 2.303 = 23.0$ | 26.2 |
#
# The best of the three is 0.75 = 30/(30 + 10), the share of real points. No bragging (0.9 pays dearly for the ten
# fakes), no modesty. The logit of 0.75 is $\ln(0.75/0.25) = \ln 3$: **the logarithm of how many times as many real points as
# fakes there are.** D is an estimate of a ratio.
#
# ### And what should G do about it?
#
# G wants to be taken for real. Suppose D stands still, and G may put its points wherever it likes. Where? At the place
# where D is highest. *All of them.* G is not paid for variety. Remember this sentence; in half an hour you will watch it
# happen.

# %% tags=["picture"]
x = np.linspace(-4, 4, 400)


def bell(mean, sigma):
    """The density of a Gaussian on a line."""
    return np.exp(-((x - mean) ** 2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))


notebook.show(
    figures.plane_maps.on_a_line(
        x, p=0.5 * bell(-1.5, 0.5) + 0.5 * bell(1.5, 0.5), q=0.7 * bell(-1, 0.7) + 0.3 * bell(1, 1)
    ),
    "Above: the density of real numbers with two equal bumps, and that of fakes, most of them at the left bump. Below: the "
    "best discriminator, above one half where reals outnumber fakes; its highest point is marked at the right bump: there a "
    "generator would put everything.",
)

# %% [markdown]
# In the picture the fakes neglect the right bump. The best D says so: it is highest there. A *small* step of G in D's
# favour moves a few points to the right, and is an improvement. A *complete* answer to this D moves everything to the
# right, and then it is the left bump that is neglected.
#
# ## The derivation
#
# ### The best D
#
# D's loss is a mean over real points plus a mean over fakes. Written with the densities,
#
# $$ L_D \;=\; \underbrace{\int p(x)\,\bigl(-\ln D(x)\bigr)\,dx}_{\text{reals, label 1}} \;+\;
#    \underbrace{\int q(x)\,\bigl(-\ln(1 - D(x))\bigr)\,dx}_{\text{fakes, label 0}}
#    \;=\; \int \Bigl[-p\ln D - q\ln(1-D)\Bigr] dx. $$
#
# If D may be any function, each place can be settled on its own, as with the forty points. At one place p and q are just two
# numbers; differentiate the bracket for the number D and look for 0:
#
# $$ \begin{aligned}
#    \frac{\partial}{\partial D}\Bigl[-p\ln D - q\ln(1-D)\Bigr] \;=\; -\frac{p}{D} + \frac{q}{1-D} &\;=\; 0\\
#    q\,D &\;=\; p\,(1-D) && \text{(times } D(1-D)\text{)}\\
#    D\,(p+q) &\;=\; p \\
#    D^*(x) &\;=\; \frac{p(x)}{p(x)+q(x)}
#    \end{aligned} $$
#
# It is a minimum: the second derivative $p/D^2 + q/(1-D)^2$ is above 0. In logits it is simpler still:
#
# $$ z^* \;=\; \ln\frac{D^*}{1-D^*} \;=\; \ln\frac{p}{q} \;=\; \ln p - \ln q. $$
#
# ### The end of the game
#
# If the fakes are distributed exactly like the reals, q = p, then $D^* = \tfrac12$ everywhere, and
#
# $$ L_D \;=\; -\ln\tfrac12 - \ln\tfrac12 \;=\; 2\ln 2 \;\approx\; 1.386. $$
#
# How good is G in general, measured by the best D? Put $D^*$ back in, and write $m = \tfrac12(p+q)$ for the mean of the two
# densities, so that $D^* = \tfrac{p}{2m}$ and $1-D^* = \tfrac{q}{2m}$:
#
# $$ \begin{aligned}
#    L_D^* &= -\int p\,\ln\frac{p}{2m}\,dx - \int q\,\ln\frac{q}{2m}\,dx\\
#    &= \ln 2 + \ln 2 - \int p\,\ln\frac{p}{m}\,dx - \int q\,\ln\frac{q}{m}\,dx
#       && (\ln\tfrac{p}{2m} = \ln\tfrac pm - \ln 2,\ \textstyle\int p = \int q = 1)\\
#    &= 2\ln 2 \;-\; 2\,\mathrm{JS}(p, q).
#    \end{aligned} $$
#
# JS is the Jensen-Shannon divergence, $\tfrac12\int p\ln\tfrac pm + \tfrac12\int q\ln\tfrac qm$: 0 if p = q, and $\ln 2$ if p and q have no place in common. So **the best D's loss tells
# how far q is from p**: $2\ln 2$ at the goal, 0 at the other end. (All this is in the paper that invented GANs, I. Goodfellow
# et al., [arXiv:1406.2661](https://arxiv.org/abs/1406.2661), section 4.)
#
# Keep one word of it in mind: the *best* D. A D that cannot see the difference has the loss $2\ln 2$, too.
#
# ### The best G, for a D that stands still
#
# G's loss, with the labels of real points (lesson 4's non-saturating one), is the mean of $-\ln D$ over its fakes,
#
# $$ L_G \;=\; \int q(x)\,\bigl(-\ln D(x)\bigr)\,dx \;\ge\; \min_x \bigl(-\ln D(x)\bigr), $$
#
# because a mean is never below the smallest of its values. It *reaches* the smallest value if all of q sits where D is
# highest. So the best reply to a fixed D is a single point, no matter what the real data look like. **Mode collapse is
# not a bug in somebody's program. It is the right answer to the question "what is best against this D?"** What saves a GAN is
# that it never answers that question completely: G takes one small step, and then D looks again.
#
# ### Exercise 6.1: the real points   *(15 minutes)*
#
# Our reals lie on a ring: eight small Gaussians with $\sigma = 0.15$, their centres on a circle of radius 2. (The ring is a
# classic; L. Metz et al., [arXiv:1611.02163](https://arxiv.org/abs/1611.02163), made it famous.)
#
# To draw D* we need the density. One round Gaussian in the plane around a centre c:
#
# $$ \frac{1}{2\pi\sigma^2}\;e^{-\lVert x - c\rVert^2/(2\sigma^2)} $$
#
# and p is the **mean** of M of them. By hand: at a centre itself its own exponential is $e^0 = 1$, and the other seven are
# 0 for all purposes, so $p = \tfrac18 \cdot \tfrac{1}{2\pi\cdot 0.0225} = 0.884$ and $\ln p = -0.123$.
#
# Now go to the place (0, 0), in the middle: all eight centres are at the distance 2, so
# $\ln p = 1.956 - \tfrac{4}{0.045} = -86.9$. Fine. At (8, 0) the nearest centre is at the distance 6: the exponent is $-36/0.045 = -800$, and `np.exp(-800)` is
# **0**. Its logarithm is $-\infty$. Lesson 4's trouble again, and lesson 4's cure: never leave the logarithms. With the
# exponents $e_1, \dots, e_M$ and the largest of them, $t$:
#
# $$ \ln\sum_j e^{e_j} \;=\; \ln\Bigl(e^{t}\sum_j e^{e_j - t}\Bigr) \;=\; t + \ln\sum_j e^{e_j - t}, $$
#
# and in the last sum one term is $e^0 = 1$: it cannot underflow.
#
# Write the **logarithm** of the mixture's density at the places x (N, 2), for centres (M, 2).


# %% tags=["exercise"]
def mixture_log_density(x, centres, sigma):
    """Log density (N,) of the mean of M round Gaussians of width sigma around centres (M, 2), at x (N, 2)."""
    # --- your code
    squared = ((x[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)  # (N, M)
    e = -squared / (2 * sigma**2)
    top = e.max(axis=1)
    total = np.exp(e - top[:, None]).mean(axis=1)  # at least 1/M
    return top + np.log(total) - np.log(2 * np.pi * sigma**2)
    # --- end


# %% tags=["check"]
check("mixture_log_density", mixture_log_density)  # stuck? check(..., hint=1), then hint=2, hint=3

# %% tags=["picture"]
log_density = notebook.yours(mixture_log_density, lesson06.mixture_log_density, alike=True)
notebook.show(
    figures.plane_maps.density(lambda x: log_density(x, plane_gan.ring_centres(), plane_gan.SIGMA)),
    "Left: the density of the real points, eight small dark spots on a ring. Right: its logarithm, a landscape that slopes "
    "away from the ring on all sides, also outside a dashed line, beyond which the density itself is 0 in floating point.",
)

# %% [markdown]
# ### Exercise 6.2: count modes   *(10 minutes)*
#
# "It works" is not a number. Here is one: **how many of the eight modes have fakes?** Say that a mode is covered if at
# least a share `least` of all points lie within `radius` of its centre. A point that lies between the modes covers none.


# %% tags=["exercise"]
def count_modes(points, centres, radius, least):
    """How many centres (M, 2) have at least the share `least` of the points (N, 2) within `radius`."""
    # --- your code
    distance = np.linalg.norm(points[:, None, :] - centres[None, :, :], axis=2)  # (N, M)
    share = (distance <= radius).mean(axis=0)  # (M,)
    return int((share >= least).sum())
    # --- end


# %% tags=["check"]
check("count_modes", count_modes)

# %% tags=["picture"]
counter = notebook.yours(count_modes, lesson06.count_modes, alike=True)


def modes(points):
    """Modes with at least 2 % of the points within three sigma."""
    return counter(points, plane_gan.ring_centres(), 3 * plane_gan.SIGMA, 0.02)


draw = np.random.default_rng(6)
angle = draw.uniform(0, 2 * np.pi, 250)
many = plane_gan.draw_ring(draw, 500)
clouds = {
    "real points": plane_gan.draw_ring(draw, 250),
    "half of them": many[many[:, 1] > 0],
    "one blob": 0.8 * draw.standard_normal((250, 2)),
    "a smooth ring": 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1),
}
notebook.show(
    figures.plane_maps.counted(clouds, [modes(cloud) for cloud in clouds.values()]),
    "Four clouds of points with circles around the eight modes, filled where a mode is covered: real points cover 8, "
    "their upper part fewer, a blob in the middle few or none, a smooth ring all 8 although its points are spread evenly.",
)

# %% [markdown]
# Look at the last one. A smooth ring is not what the reals look like, and the count is 8. **A measure that you have invented
# measures what you have invented**, nothing else. Ours finds lost modes, and we shall use it for that.
#
# ## Two steps
#
# The networks are as small as the images. G turns 8 random numbers into a point, D a point into a logit.

# %%
G, D = plane_gan.networks(seed=1337, ops=ops)
print(G.summary())
print()
print(D.summary())

# %% [markdown]
# They are minigan's own `Sequential`, the class that the faces are made with, and you will use four methods of it:
#
# | call | does |
# |---|---|
# | `y, caches = network.forward(x, training=True)` | the output, and what `backward` will need |
# | `network.backward(dy, caches)` | **adds** the gradient of every parameter into `network.grads()` |
# | `network.zero_grads()` | sets them all to 0 |
# | `optimizer.step(network.grads())` | moves every parameter: lesson 5 |
#
# Why does `backward` add instead of overwriting? Because a network may be run twice before it is updated; then both
# runs count. The price: before a new step the old gradients have to be cleared away.
#
# ### Exercise 6.3: the discriminator's step   *(20 minutes)*
#
# D gets a batch x and its labels (N, 1): 1 for real, 0 for fake. In words: *ask D for its logits; take lesson 4's loss; send
# its gradient back through D; update D; report the loss from before the update.*
#
# `bce_with_logits_forward(z, target)` gives loss and cache, `bce_with_logits_backward(1.0, cache)` gives dz. The loss has no
# dy from above, it is the end of the chain; the derivative of the loss for itself is 1.


# %% tags=["exercise"]
def discriminator_step(D, optimizer, x, labels):
    """Teach D to give x these labels (N, 1), once; returns the loss before the update."""
    # --- your code
    z, caches = D.forward(x, training=True)
    loss, cache = bce_with_logits_forward(z, labels)
    D.zero_grads()
    D.backward(bce_with_logits_backward(1.0, cache), caches)
    optimizer.step(D.grads())
    return loss
    # --- end


# %% tags=["check"]
check("discriminator_step", discriminator_step)
notebook.keep("discriminator_step", discriminator_step)

# %% [markdown]
# The checker runs your step on a small convolutional D with batch normalization (lesson 10: such a layer also keeps averages of
# what it has seen, its *moving statistics*), beside minigan's, and compares everything that may have moved. If it passes there, it is the step that trains the faces in lesson 12.
#
# **Does D find the best D?** We can ask, because here we know the answer. The fakes come from one wide Gaussian for now,
# G sits it out. Then both densities are known, and with them
#
# $$ z^*(x) = \ln p(x) - \ln q(x), $$
#
# with `mixture_log_density` for both: a single Gaussian is a mixture of one.

# %%
step_D = notebook.yours(discriminator_step, plane_gan.discriminator_step)
WIDE = 1.5
ones, zeros = np.ones((plane_gan.BATCH, 1), np.float32), np.zeros((plane_gan.BATCH, 1), np.float32)


def train_D_alone(steps):
    """A D that has seen real points, and fakes from one wide Gaussian."""
    _, D = plane_gan.networks(seed=1337, ops=ops)
    optimizer = plane_gan.Stepper(adam_step, D.params(), learning_rate=plane_gan.LEARNING_RATE)
    draw = rng.stream(6, "data")
    for _ in range(steps):
        fakes = (WIDE * draw.standard_normal((plane_gan.BATCH, 2))).astype(np.float32)
        d_real = step_D(D, optimizer, plane_gan.draw_ring(draw, plane_gan.BATCH), ones)
        d_fake = step_D(D, optimizer, fakes, zeros)
    print(f"D's loss after {steps} steps on each: {d_real:.3f} + {d_fake:.3f} = {d_real + d_fake:.3f}")
    return D


places = plane_gan.grid()
square = (plane_gan.GRID, plane_gan.GRID)
with using_workers(1):  # one thread is fastest for matrices as small as these
    D_alone = train_D_alone(notebook.fast(3000, 500))
learned = D_alone.predict(places).reshape(square)
best = log_density(places, plane_gan.ring_centres(), plane_gan.SIGMA) - log_density(places, np.zeros((1, 2)), WIDE)

# %% tags=["picture"]
draw = np.random.default_rng(6)
real, fakes = plane_gan.draw_ring(draw, 250), WIDE * draw.standard_normal((250, 2))
notebook.show(
    figures.plane_maps.discriminators({"real, and fakes": (fakes, learned, best.reshape(square))}, real),
    "Three squares. Real points in eight clumps among widely scattered fakes; D as it was learned, near 1 in eight spots on "
    "the ring and near 0 elsewhere; and the best D computed from both densities, which looks almost the same.",
)

# %% [markdown]
# Nobody gave D a formula for p or q. It has seen points and labels, and has found the ratio of two densities. (Only where
# there are points, of course. Far outside, where there are neither reals nor fakes, nothing contradicts it, and it says
# something anyway.)
#
# What does the best D's loss say about these fakes? Compute $L_D^*$ as a mean over many reals and fakes and compare it with
# what D printed above.

# %%
draw = np.random.default_rng(66)
many_real, many_fake = plane_gan.draw_ring(draw, 20000).astype(float), WIDE * draw.standard_normal((20000, 2))
best_loss = 0.0
for points, label in ((many_real, 1.0), (many_fake, 0.0)):
    z = log_density(points, plane_gan.ring_centres(), plane_gan.SIGMA) - log_density(points, np.zeros((1, 2)), WIDE)
    best_loss += np.mean(np.logaddexp(0, z) - z * label)
print(
    f"the best D's loss {best_loss:.3f}: JS(p, q) = {np.log(2) - best_loss / 2:.3f}; the most there is: {np.log(2):.3f}"
)

# %% [markdown]
# ### Exercise 6.4: the generator's step   *(20 minutes)*
#
# Now G. The chain is longer: noise, G, fakes, D, logits, loss. Backwards, the gradient has to come **through D** before it
# reaches G:
#
# $$ \text{noise} \xrightarrow{\;G\;} \text{fakes} \xrightarrow{\;D\;} z \xrightarrow{\;\text{loss}\;} L
#    \qquad\qquad
#    dG \xleftarrow{\;G\;} d\text{fakes} \xleftarrow{\;D\;} dz \xleftarrow{\;\text{loss}\;} 1 $$
#
# D is a measuring instrument here. `dfakes` says for every single fake *in which direction D's opinion of it gets better*;
# that is everything G ever learns about the real points. It never sees one.
#
# D must not learn in this step, or it would learn to be fooled. Two switches see to that:
#
# * `D.forward(fakes, training=True, update_stats=False)`: D's moving statistics stay as they are (averages that batch
#   normalization keeps, lesson 10; the D of this lesson has none, that of lesson 11 has).
# * `D.backward(dz, caches, input_grad=True, param_grads=False)`: give me the gradient of the input, and leave the gradients of
#   the parameters alone.
#
# The labels given are those of real points. Returns the loss from before the update.


# %% tags=["exercise"]
def generator_step(G, D, optimizer, noise, labels):
    """Teach G to make what D gives these labels (N, 1), once; D stays as it is. Returns the loss before the update."""
    # --- your code
    fakes, g_caches = G.forward(noise, training=True)
    z, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, cache = bce_with_logits_forward(z, labels)
    dfakes = D.backward(bce_with_logits_backward(1.0, cache), d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss
    # --- end


# %% tags=["check"]
check("generator_step", generator_step)
notebook.keep("generator_step", generator_step)

# %% [markdown]
# Here is what `dfakes` looks like. At every place of the plane an arrow shows where a fake that lies there is drawn to, which is
# *minus* its gradient. D is the one that you have trained alone. Right, for comparison, the same D with lesson 4's other loss, the
# saturating one, on the same scale.

# %% tags=["picture"]
notebook.show(
    figures.plane_maps.pulls(D_alone),
    "Two maps of D with arrows. Left, with the non-saturating loss, long arrows in the dark parts point towards the ring of bright "
    "spots, from outside and from inside. Right, with the saturating loss, there are no arrows in the dark; only close to the "
    "spots there are short ones.",
)

# %% [markdown]
# A fake in the dark is a fake that D is sure about. Left, it is told where to go, and loudly. Right, it is told nothing. That is lesson 4's
# factor of a thousand, on a map.
#
# **Watch the best reply.** The D that you have trained alone has a bright spot at every mode. Freeze it, and let G take 400
# steps. Before you run the cell: where will the points go?

# %%
step_G = notebook.yours(generator_step, plane_gan.generator_step)


def chase(D, steps, kept):
    """G against a D that stands still; the frames after the steps in `kept`."""
    G, _ = plane_gan.networks(seed=1337, ops=ops)
    optimizer = plane_gan.Stepper(adam_step, G.params(), learning_rate=plane_gan.LEARNING_RATE)
    logits = D.predict(plane_gan.grid()).reshape(square)
    draw = rng.stream(6, "noise")
    watched = plane_gan.draw_noise(rng.stream(6, "pictures"), 500)
    frames = []
    for k in range(steps + 1):
        if k in kept:
            frames.append(plane_gan.Frame(k, G.predict(watched), logits))
        loss = step_G(G, D, optimizer, plane_gan.draw_noise(draw, plane_gan.BATCH), ones)
    print(f"G's loss after {steps} steps: {loss:.3f}; modes covered: {modes(frames[-1].fakes)} of 8")
    return frames


with using_workers(1):
    chased = chase(D_alone, 400, kept=(0, 10, 20, 40, 80, 120, 200, 400))

# %% tags=["picture"]
notebook.show(
    figures.plane_maps.filmstrip(chased, unit="step"),
    "Eight moments. The map of D never changes: eight bright spots on a ring. The fakes start as a blob in the middle, drift "
    "to the nearest spot, and are squeezed into it until all 500 lie in one.",
)

# %% [markdown]
# There it is: one clump. (Where it is, and how tight, depends on the seed and on the layers. A clump between two modes counts as 0,
# one that is still on its way may count as 2.) Eight modes are on offer, D has marked every one of them, and G takes one that is near. Its loss is excellent. By
# its own lights G has done everything right: nothing in its loss asks for the other seven.
#
# ### Exercise 6.5: a round of the game   *(15 minutes)*
#
# In a real GAN, D answers. One **round**:
#
# 1. `d_steps` times: draw real points; let G make fakes from fresh noise, with `G.predict(noise)` (nothing is learned here, so no
#    caches are needed); one step of D on the reals with labels 1, **then** one on the fakes with labels 0.
# 2. `g_steps` times: fresh noise, one step of G with the labels of *real* points.
#
# You get `d_step(x, labels)` and `g_step(noise, labels)`, which are your two steps with networks and optimizers filled in.
# Labels are columns (N, 1) of float32. Return the last loss of each kind.


# %% tags=["exercise"]
def gan_round(d_step, g_step, G, draw_real, draw_noise, d_steps=1, g_steps=1):
    """One round; returns the last losses d_real, d_fake and g."""
    # --- your code
    for _ in range(d_steps):
        x = draw_real()
        fakes = G.predict(draw_noise())
        real_labels = np.ones((len(x), 1), np.float32)
        fake_labels = np.zeros((len(fakes), 1), np.float32)
        d_real = d_step(x, real_labels)
        d_fake = d_step(fakes, fake_labels)
    for _ in range(g_steps):
        noise = draw_noise()
        g = g_step(noise, np.ones((len(noise), 1), np.float32))
    return d_real, d_fake, g
    # --- end


# %% tags=["check"]
check("gan_round", gan_round)

# %% [markdown]
# Everything is in place: your density, your count, your layers, your Adam, your two steps, your round. `plane_gan.play` calls
# your round again and again and takes pictures (`lessons/plane_gan.py`; it is the loop you would write). A thousand rounds
# take a few seconds.

# %%
mine = {
    "round_of_training": notebook.yours(gan_round, lesson06.gan_round),
    "steps": (step_D, step_G),
    "adam_step": adam_step,
    "ops": ops,
}
moments = notebook.fast((0, 50, 100, 250, 500, 600, 857, 1200), (0, 50, 100, 150, 200, 230, 260, 300))
covering = plane_gan.play(**mine, rounds=moments[-1], frames=moments)
print(f"modes covered: {modes(covering.frames[-1].fakes)} of 8")

# %% tags=["picture"]
notebook.show(
    figures.plane_maps.filmstrip(covering.frames),
    "Eight moments of a run. The fakes start as a blob in the middle, spread beyond the ring and come back to it while D is "
    "nearly grey; then D turns dark in the middle, and the fakes gather until every one of the eight circles has its share.",
)

# %% [markdown]
# Take your time with this picture. Nobody has told G that there is a ring, or what eight is. (The rounds are those of this seed.)
# By round 50 D says no more than "further out": it is higher outside than in the middle, and G flies apart, beyond the ring. Then
# D has learned that the outside is empty, too; it is nearly grey for some hundred rounds, and G comes back to the ring. From about
# round 400 on D turns dark in the middle, where nothing is left, and only then is there anything to be learned about eight spots. **Coarse before fine**: you will see the same order in the faces, where colours
# come first, then heads, then eyes.
#
# ### Exercise 6.6: mode collapse   *(20 minutes)*
#
# Now one number is changed. G takes **ten** steps in every round instead of one. It sounds like help for the one who has the
# harder job. Predict first: what will the picture look like? What the losses?

# %%
collapsing = plane_gan.play(
    **mine, g_steps=10, rounds=notebook.fast(400, 80), frames=range(notebook.fast(300, 20), 401, 2)
)
print(f"modes covered: {modes(collapsing.frames[-1].fakes)} of 8")

# %% tags=["picture"]
notebook.show(
    figures.plane_maps.filmstrip(collapsing.frames[-29::4]),
    "Eight moments near the end of the run, a few rounds apart. All fakes are in one tight clump, every time at another "
    "place of the ring; D is nearly the same shade of grey everywhere.",
)

# %% [markdown]
# The same as a film, because it *moves*:

# %%
notebook.show_image(
    figures.plane_maps.film(collapsing.frames[:30]),
    "Animation: a tight clump of fakes hops from one side of the ring to another, while the border between D's darker and "
    "brighter half turns after it.",
)

# %% [markdown]
# And in between? The same game with 1, 2, 5 and 10 steps of G in a round, with three seeds each. These runs are recorded
# (`lessons/runs/record_plane_modes.py` made them). The lines show how many modes are covered, round by round:

# %% tags=["picture"]
recorded = recorded_runs.plane_modes()
for steps, counts in recorded.items():
    print(
        f"{steps:2} steps of G: modes at the end {counts[:, -1].tolist()}, on average over the last 200 rounds {counts[:, -10:].mean():.1f}"
    )
notebook.show(
    figures.plane_maps.modes_covered(recorded),
    "Four panels of modes covered over 600 rounds, three seeds each, for 1, 2, 5 and 10 steps of G in a round. With one step all "
    "three lines climb to 8; with two, one does; with five, all stay at about 1; with ten, too, but one line climbs to 7 at "
    "the very end.",
)

# %% [markdown]
# With one step all three seeds reach all eight modes. With two, one of them does within these 600 rounds; with five, none leaves
# its one clump. With ten, two stay in it, and the third, after more than 500 rounds, spreads out after all: a collapse need not
# last for ever, and one seed would have told you a simpler story.
#
# Ten steps are the best reply of exercise 6.4, over and over. Within a round G runs, with all its points, to where D is highest.
# D looks, finds a crowd of fakes there, marks the place down, and something opposite is now highest. Off they go. **D is always
# one hop behind, and G is never punished for having left seven modes alone**, because by the time D could say so, G is
# somewhere else.
#
# The proper name is a matter of order. What we want is $\min_G \max_D$: G is best against a D that has answered. What ten steps of
# G play is $\max_D \min_G$: D is best against a G that has answered, and the answer to any D is a point. One small step in
# turn is a compromise between the two, and whether it leans the right way is a matter of step sizes (I. Goodfellow,
# [arXiv:1701.00160](https://arxiv.org/abs/1701.00160), section 5.1.1).
#
# **And the losses?**

# %% tags=["picture"]
notebook.show(
    figures.plane_maps.history({"one step of G": covering, "ten steps of G": collapsing}),
    "Above: for both runs, the share of fakes at each of the eight modes in every round. With one step of G all eight rows "
    "fill after some hundred rounds; with ten steps only one row at a time has a dark mark, and the mark wanders from row to "
    "row. Below: the losses of both runs, which look much alike and lie near ln 2.",
)

# %%
for name, run in (("one step of G, all modes", covering), ("ten steps of G, collapsed", collapsing)):
    d_real, d_fake, g = np.mean(run.losses[-100:], axis=0)
    print(f"{name:26s}  D {d_real:.2f} + {d_fake:.2f} = {d_real + d_fake:.2f}    G {g:.2f}")
print(f"{'the goal, p = q':26s}  D {np.log(2):.2f} + {np.log(2):.2f} = {2 * np.log(2):.2f}    G {np.log(2):.2f}")

# %% [markdown]
# Read these three lines twice. **The collapsed run's losses are no worse.** D's sums are about equally far from the goal, and G's
# loss is nearer to it in the collapsed run. Judged by its numbers that run is at the goal of the whole game: $2\ln 2$ and $\ln 2$. The derivation said that $2\ln 2$ means p = q, for the *best* D. This D is not the best; it is a
# D that is late. You cannot see from a GAN's losses whether it works. Look at what it makes, and count.
#
# **Beside the best D.** We can put the best D beside the learned one for both runs. q has no formula now, but we can blur
# the fakes a little, and the blurred fakes are a mixture of Gaussians with a centre at every fake: your function again. (The
# reals get the same blur, so that the comparison is fair. Where there is nearly nothing of either, no ratio is drawn.)

# %%
BLUR = 0.15


def best_logits(fakes):
    """ln p - ln q on the grid, both blurred; NaN where there is neither."""
    log_p = log_density(
        places, plane_gan.ring_centres(), np.hypot(plane_gan.SIGMA, BLUR)
    )  # widths add like the two short sides of a right-angled triangle
    log_q = log_density(places, fakes.astype(float), BLUR)
    return np.where(np.maximum(log_p, log_q) < -7, np.nan, log_p - log_q).reshape(square)


rows = {}
for name, run in (("one step of G", covering), ("ten steps of G", collapsing)):
    fakes = run.G.predict(plane_gan.draw_noise(np.random.default_rng(6), 2000))
    rows[name] = fakes, run.D.predict(places).reshape(square), best_logits(fakes)

# %% tags=["picture"]
notebook.show(
    figures.plane_maps.discriminators(rows, real),
    "Two rows of three squares. With one step of G: fakes on all clumps, a learned D that is nearly undecided on the ring, and "
    "a best D that is a patchwork of slightly too many and slightly too few. With ten steps: fakes in one clump only, a "
    "learned D that is grey everywhere, and a best D that is certain: real everywhere but in that one place.",
)

# %% [markdown]
# Below right is what D *could* know: seven modes have no fakes at all, and D* is certain of it. The learned D next to it knows
# none of this. It is not D's *size* that fails: 6.3 showed that it can learn eight spots, with 3000 steps on fakes that stood
# still. It is time. (Above right is what is left to do in the run that works: the dark places are bridges between modes, where
# there are fakes and no reals; the bright ones are where G still sends too few.)
#
# **The rescue.** Ten steps of G in every round are now given: you may not change them. Everything else you may:
# `d_learning_rate` and `g_learning_rate` (both were `2e-3`), `beta_1` (0.5), `d_steps` (1, at most 3). Make it cover all eight modes within 500
# rounds. The check plays three times, with other random numbers than yours, and wants two successes; it takes about fifteen
# seconds. Think before you try: what decides how far G gets in a round? (Lesson 5: how long is a step of Adam?)

# %%
trial = plane_gan.play(**mine, g_steps=10, rounds=notebook.fast(500, 20), g_learning_rate=1e-3)  # try your own here
print("modes covered, from the beginning to the end:", [modes(frame.fakes) for frame in trial.frames])

# %% tags=["exercise"]
# --- your code: rescue = None  # such as {"g_learning_rate": 1e-3, "d_steps": 2}
rescue = {"g_learning_rate": 2e-4, "d_learning_rate": 4e-3}  # ten steps of a tenth; and a D that is quick
# --- end

# %% tags=["check"]
check("rescue", rescue)

# %% [markdown]
# ### A page to play with
#
# The same game, trained in your browser while you watch, with sliders for the steps and the learning rates. (If you see no frame
# here, open `lessons/play/gan-in-the-plane.html` in a browser. It is one file and needs no network.)

# %%
notebook.show_page(
    plane_gan.PAGE,
    "A page that trains the GAN in the plane: D's map and G's points, buttons to run and to start again, sliders for the steps of "
    "D and G in a round and for both learning rates, and the losses.",
)

# %% [markdown]
# ## Break it
#
# ### Exercise 6.7: a broken step   *(10 minutes)*
#
# A classmate's generator step. In the plane, it even trains something. There are **two** bugs in it, and the D of this lesson
# can only show one of them; the other waits for lesson 12.


# %%
def broken_generator_step(G, D, optimizer, noise, labels):
    """A classmate's."""
    fakes, g_caches = G.forward(noise, training=True)
    z, d_caches = D.forward(fakes, training=True)
    loss, cache = bce_with_logits_forward(z, labels)
    dfakes = D.backward(bce_with_logits_backward(1.0, cache), d_caches, input_grad=True)
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


# check("generator_step", broken_generator_step)  # what does the checker say? Take away the # and see.


# %% tags=["exercise"]
def repaired_generator_step(G, D, optimizer, noise, labels):
    """broken_generator_step, repaired."""
    # --- your code
    fakes, g_caches = G.forward(noise, training=True)
    z, d_caches = D.forward(fakes, training=True, update_stats=False)  # D's moving statistics are not G's business
    loss, cache = bce_with_logits_forward(z, labels)
    dfakes = D.backward(bce_with_logits_backward(1.0, cache), d_caches, input_grad=True, param_grads=False)
    G.zero_grads()  # the gradients of the step before are still there
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss
    # --- end


# %% tags=["check"]
check("generator_step", repaired_generator_step)

# %% [markdown]
# There is a third thing that is not nice: without `param_grads=False` the step computes gradients for D that nobody wants, and
# leaves them lying around in `D.grads()`. Is that a bug? Only if somebody forgets `D.zero_grads()`. (In the real D it is a third
# of the work, too.)
#
# ### Exercise 6.8: five patients   *(15 minutes)*
#
# Five runs, by minigan's own steps with one line changed in each, or none. Here they are:

# %%
patients = {
    letter: plane_gan.play(
        lesson06.gan_round, rounds=notebook.fast(900 if letter == "B" else 400, 60), frames=2, **fault
    )
    for letter, fault in lesson06.PATIENTS.items()
}

# %% tags=["picture"]
notebook.show(
    figures.plane_maps.patients(patients),
    "Five runs, each with its last moment above and its losses below. A: D is bright everywhere, the fakes lie outside, all "
    "losses are 0. B: fakes on all eight modes, losses near ln 2. C: fakes scattered and half of them outside, G's loss swings "
    "widely. D: fakes in one clump, losses at ln 2. E: D is dark in the middle only, where all fakes are; all losses are 0.",
)

# %% [markdown]
# Which is which? One word for each letter:
#
# | word | what was changed |
# |---|---|
# | `"fine"` | nothing |
# | `"impatient"` | G takes ten steps in each round |
# | `"wrong-way"` | G's step gets the labels of fakes |
# | `"all-real"` | D's step uses the label 1 for everything |
# | `"no-zero-grads"` | G's step does not set the gradients to 0 |

# %% tags=["exercise"]
# --- your code: diagnosis = None  # such as {"A": "fine", "B": "impatient", ...}
diagnosis = {"A": "all-real", "B": "fine", "C": "no-zero-grads", "D": "impatient", "E": "wrong-way"}
# --- end

# %% tags=["check"]
check("patients", diagnosis)

# %% [markdown]
# ## Three questions
#
# **1.** The article's program does not use the labels 1 and 0. A real image gets a label between 0.8 and 1, 0.9 on average, a fake one
# between 0 and 0.2, 0.1 on average. What is the best D then, and how large can its logit become?
#
# <details><summary>Answer</summary>
#
# At one place, reals of density p have the label 0.9 and fakes of density q the label 0.1. The loss is linear in the label,
# so what counts is the mean label at that place:
#
# $$ D^* = \frac{0.9\,p + 0.1\,q}{p + q}. $$
#
# It lies between 0.1 and 0.9 whatever p and q are, so the logit never leaves $\pm\ln 9 = \pm 2.197$: D stays bounded, and that is
# what soft labels are for.
#
# For G they are no gift. Where there are only fakes, this D* is 0.1 whatever the place: it is *flat*, and G learns from its slope. An
# example on a line, reals from a Gaussian at 0 with $\sigma = 0.3$, fakes from one at 2 with $\sigma = 0.5$, and a fake at x = 2. The
# slope of $-\ln D^*$ there, by which the non-saturating loss pulls, is 22.2 with the labels 1 and 0, and also with 0.9 and 0; with 0.9
# and 0.1 it is 0.00000007. That is why T. Salimans et al. ([arXiv:1606.03498](https://arxiv.org/abs/1606.03498)) smooth the labels of
# reals only. (A D that is learned is not D*. It is smooth between the places it has seen, and the article's GAN, which smooths both
# sides, does learn.)
#
# </details>
#
# **2.** You see a log of somebody's GAN: for a long time D's two losses have been 0.69 and 0.69 and G's has been 0.69. "It has converged!" What
# do you say?
#
# <details><summary>Answer</summary>
#
# That is what convergence looks like, and also what the collapsed run of this lesson looks like, and also what a D looks like
# that has learned nothing (it answers z = 0 to everything). Three very different states, one log. Ask for images, several at once,
# from different noise.
#
# </details>
#
# **3.** Why not simply train D to its best in every round? Then it would always tell the truth.
#
# <details><summary>Answer</summary>
#
# It would, and while p and q hardly overlap the truth is "D = 0 at every fake". With the saturating loss, $\ln(1 - D)$, nothing
# comes back then: its gradient is D times the slope of the logit. With ours, $-\ln D$, it is $(1 - D)$ times that slope, which does
# not die. But where there are neither reals nor fakes nothing fixes the logit, and with images of 12,288 numbers that is nearly
# everywhere: the slope that G follows there is large and unreliable. M. Arjovsky and L. Bottou
# ([arXiv:1701.04862](https://arxiv.org/abs/1701.04862)) work out both cases. In the plane training D longer does little harm,
# because noise and reals overlap soon; try `d_steps=5`.
#
# </details>
#
# ## What comes next
#
# You have built and trained a GAN, and you have seen its famous failure with your own eyes. What is missing for faces is not
# another idea, but other layers: a dense layer on 12,288 numbers would not know that neighbouring pixels belong together. Lessons
# 7 to 10 build the ones that do. The two steps that you wrote today stay as they are: lesson 12 trains with them.
#
# ### To read
#
# * I. Goodfellow et al., "Generative adversarial networks", [arXiv:1406.2661](https://arxiv.org/abs/1406.2661): nine pages, and you
#   have just derived half of them.
# * I. Goodfellow, "NIPS 2016 tutorial: generative adversarial networks", [arXiv:1701.00160](https://arxiv.org/abs/1701.00160).
# * L. Metz, B. Poole, D. Pfau and J. Sohl-Dickstein, "Unrolled generative adversarial networks",
#   [arXiv:1611.02163](https://arxiv.org/abs/1611.02163): G looks ahead to how D will answer, and the hopping stops.
# * `minigan/gan/step.py`: both steps, and the round, as the faces are trained with.

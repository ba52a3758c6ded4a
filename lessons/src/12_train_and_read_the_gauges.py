# %% [markdown]
# # Lesson 12: Train it, and read the gauges
#
# Everything is built. Now it runs: a generator and a discriminator of your own layers, with your loss, your Adam and your
# two steps, on drawn faces, for a few minutes. At the end they draw faces.
#
# Training a GAN is less like solving an equation and more like flying at night. You cannot see where you are; you have
# instruments. Most people look at one of them, the loss, and it is the one that tells least. In this lesson you write the
# training step, fly it, build two instruments that are worth more than the loss, and then sit at the desk of an
# accident investigator: six recorded flights, five of them in trouble, and you say with what.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 12.1 | soft labels | 5 |
# | 12.2 | the whole training step, in the article's order | 15 |
# | | *training, with your layers: two to five minutes of waiting* | 5 |
# | 12.3 | D(x), D(G(z)) and the accuracy, from logits | 10 |
# | 12.4, 12.5 | two gauges that no loss replaces: spread and move | 20 |
# | 12.6 | break it: four training steps, each with one thing wrong, told apart by their gauges | 15 |
# | 12.7 | **diagnose six recorded runs** | 25 |
#
# With reading, two hours. You need lesson 4 (cross-entropy from logits), lesson 5 (Adam), lesson 6 (the two steps of a
# GAN) and lesson 11 (the networks). Layers that you have kept with `notebook.keep` are used; for the rest minigan's own stand in.
#
# Words: x is a real image, z is noise, G(z) a fake. D answers with a logit; its sigmoid, a probability of "real", is
# written D(x) and D(G(z)). B is the batch size.

# %% tags=["setup"]
# setup

# %%
import time

import numpy as np

from lessons import figures, notebook, recorded_runs
from lessons.exercises import lesson12
from lessons.notebook import check
from minigan.data.open import open_images
from minigan.evaluation.diagnosis import diagnose_numbers
from minigan.gan.step import METRICS, build_gan, draw_inputs
from minigan.nn.rng import stream
from minigan.pages.plots import to_uint8
from minigan.runs.config import RunConfig

# %% [markdown]
# ## The idea
#
# ### One loss by hand
#
# D looks at a real image and answers 0.8: "real, I am fairly sure". The image's label is not 1 but a *soft* 0.9. Its
# loss is the cross-entropy of lesson 4:
#
# $$-0.9 \ln 0.8 - 0.1 \ln 0.2 \;=\; 0.9 \cdot 0.223 + 0.1 \cdot 1.609 \;=\; 0.201 + 0.161 \;=\; 0.362$$
#
# Could D do better? Let it be surer, 0.99:
#
# $$-0.9 \ln 0.99 - 0.1 \ln 0.01 \;=\; 0.009 + 0.461 \;=\; 0.470$$
#
# That is *worse*. With a label of 0.9, being too sure costs more than it gains. The best answer lies in between:
#
# $$-0.9 \ln 0.9 - 0.1 \ln 0.1 \;=\; 0.095 + 0.230 \;=\; 0.325$$
#
# Keep this number, **0.325**. It is the floor under D's losses in this lesson, and D will be standing on it. (The labels of a batch
# are a little above or below 0.9, so the loss of a single step may be a little below the floor.)
#
# **Do one yourself:** G made a fake, D answered 0.07, and G's step uses the label of a real image, 0.9. What is G's loss?
#
# <details><summary>Answer</summary>
#
# $-0.9 \ln 0.07 - 0.1 \ln 0.93 = 0.9 \cdot 2.659 + 0.1 \cdot 0.073 = 2.40$. A loss of 2.4 sounds terrible. It is what
# the article's own run, a healthy one, shows for thousands of steps.
#
# </details>
#
# ### One step, in the article's order
#
# A training step has four phases, and it matters in which mode batch normalisation works in each (lesson 10):
#
# | phase | G normalises with | G's moving statistics | D normalises with | D's moving statistics | updated |
# |---|---|---|---|---|---|
# | make fakes | moving statistics | stay | - | - | nothing |
# | D on reals, then D on fakes | - | - | the batch, each on its own | move, twice | D, twice |
# | G's step | the batch | move | the batch of fakes | **stay** | G |
#
# D sees reals and fakes in two separate batches, never mixed. In G's step D is a measuring instrument: it normalises
# with the batch, as it did when it was trained, but nothing in it changes.

# %% [markdown]
# ## The derivation
#
# ### Where the floor comes from
#
# The labels of reals are $y = 1 - 0.2u$ with $u$ uniform between 0 and 1. D cannot know the $u$ of an image: it is drawn
# afresh each time. So let D answer $p$, and average the loss over the labels:
#
# $$\overline{L}(p) = \text{mean of} \big( -y \ln p - (1-y) \ln(1-p) \big)$$
#
# The loss is *linear* in $y$, so averaging the loss is the same as averaging the label. The mean of $y$ is
# $1 - 0.2 \cdot \tfrac12 = 0.9$:
#
# $$\overline{L}(p) = -0.9 \ln p - 0.1 \ln(1-p)$$
#
# Where is it lowest? Set the slope to zero:
#
# $$-\frac{0.9}{p} + \frac{0.1}{1-p} = 0 \quad\Longrightarrow\quad 0.9\,(1-p) = 0.1\,p \quad\Longrightarrow\quad p = 0.9$$
#
# and there $\overline{L} = -0.9 \ln 0.9 - 0.1 \ln 0.1 = 0.325$. For fakes everything is mirrored: the mean label is 0.1, the best
# answer is 0.1, the floor is 0.325 as well. **A discriminator that sees through everything has losses of 0.325 and 0.325,
# D(x) = 0.9 and D(G(z)) = 0.1.** (Soft labels are there to keep it from being surer: T. Salimans and others, arXiv:1606.03498,
# soften only the reals' to a fixed 0.9; the article softens both, by chance.)
#
# ### What G's loss says then
#
# G's step pays $-0.9 \ln p - 0.1 \ln(1-p)$ for $p = D(G(z))$. Against that perfect D, $p = 0.1$:
#
# $$-0.9 \ln 0.1 - 0.1 \ln 0.9 \;=\; 2.072 + 0.011 \;=\; 2.083$$
#
# So a G whose every fake is seen through by that D has a loss of about 2.1. *Not* of 10, and not rising. A real D's answers
# scatter. Let it say 0.03 of three fakes in four and 0.3 of the fourth: that is 0.1 on average, but the loss is
# $\tfrac34 \cdot 3.16 + \tfrac14 \cdot 1.12 = 2.65$, because the logarithm punishes a 0.03 more than it rewards a 0.3. And a G that
# learns well? In the article's own run it had 2.4 to 2.6: D's answers scatter, and fakes are still found out. **You cannot tell by
# its loss whether G is alive.** Remember that when you look at curves.
#
# ### And the textbook's balance?
#
# If fakes could not be told from reals at all, D could only answer 0.5, and all three losses would be
# $-\ln 0.5 = 0.693$ (I. Goodfellow and others, arXiv:1406.2661, whose theorem has hard labels; with soft ones it is the same
# number). You will hardly ever see it in a healthy run. You can see it in broken ones: with G's learning rate twenty
# times too large, a run of minigan sits at 0.73, 0.75 and 0.69, and its faces are worse than those of a run with 0.36, 0.36
# and 2.4.

# %% tags=["picture"]
notebook.show(
    figures.training.losses_of_an_answer(),
    "Loss against D's answer. Left, a real image: with the hard label the loss falls to 0 at D(x) = 1, with the soft "
    "label it has its lowest point, 0.325, at 0.9. Right, G's step, the same curve: 2.08 at D(G(z)) = 0.1, and 0.693 at 0.5.",
)

# %% [markdown]
# ### Exercise 12.1: soft labels   *(5 minutes)*
#
# `u` has the shape (2, B, 1): uniform numbers between 0 and 1, `u[0]` for the reals and `u[1]` for the fakes. Return
# both label arrays, reals first, (B, 1) each: reals get 1 minus a fifth of their number, fakes a fifth of theirs.


# %% tags=["exercise"]
def soft_labels(u):
    """Labels near 1 for reals and near 0 for fakes, from uniform numbers u of shape (2, B, 1)."""
    # --- your code
    return 1 - 0.2 * u[0], 0.2 * u[1]
    # --- end


# %% tags=["check"]
check("soft_labels", soft_labels)

# %% [markdown]
# Every check tells more if you ask: `check("soft_labels", soft_labels, hint=2)`, and `hint=3` nearly gives it away.
#
# ### Exercise 12.2: the whole training step   *(15 minutes)*
#
# Write `train_step(gan, inputs)`. `gan` has what changes:
#
# * `gan.generator`, `gan.discriminator`: the networks. `gan.generator.predict(noise)` is inference mode.
# * `gan.g_optimizer`, `gan.d_optimizer`: an Adam each, 0.00015 and 0.0002.
#
# `inputs` has all that is random, drawn beforehand so that a step can be repeated:
#
# * `inputs.real` (B, S, S, 3), pixels in -1 to 1; `inputs.noise` and `inputs.generator_noise`, (B, 1, 1, 100) each;
# * `inputs.real_labels` and `inputs.fake_labels`, (B, 1) each, which are your `soft_labels`.
#
# Both kinds of step you wrote in lesson 6. `gan` has them, yours if you kept them, and they return the logits beside the loss:
#
# * `gan.discriminator_step(D, optimizer, x, labels)` and `gan.generator_step(G, D, optimizer, noise, labels)` return a
#   *phase*, with `.loss` and `.logits`, both from before the update. (Of your `generator_step` only the loss is known.)
#
# Return `(on_real, on_fake, on_generator, fakes)`: the three phases, and the fakes that D was shown.


# %% tags=["exercise"]
def train_step(gan, inputs):
    """One step: make fakes, D on reals, D on fakes, G through the frozen D."""
    # --- your code
    fakes = gan.generator.predict(inputs.noise)
    on_real = gan.discriminator_step(gan.discriminator, gan.d_optimizer, inputs.real, inputs.real_labels)
    on_fake = gan.discriminator_step(gan.discriminator, gan.d_optimizer, fakes, inputs.fake_labels)
    on_generator = gan.generator_step(
        gan.generator, gan.discriminator, gan.g_optimizer, inputs.generator_noise, inputs.real_labels
    )
    return on_real, on_fake, on_generator, fakes
    # --- end


# %% tags=["check"]
check("train_step", train_step)

# %% [markdown]
# ### Exercise 12.3: what D answers   *(10 minutes)*
#
# From the logits of a step's two batches, (B, 1) each, make three numbers: the mean of D(x), the mean of D(G(z)), and the
# *accuracy*, the share of all 2B images that D put on the right side of 0.5.
#
# Careful with the sigmoid. A logit of -900 must not overflow.


# %% tags=["exercise"]
def read_logits(real_logits, fake_logits):
    """Mean D(x), mean D(G(z)), accuracy."""
    # --- your code
    d_x = (0.5 * np.tanh(real_logits / 2) + 0.5).mean()
    d_g_z = (0.5 * np.tanh(fake_logits / 2) + 0.5).mean()
    accuracy = 0.5 * ((real_logits > 0).mean() + (fake_logits < 0).mean())
    return float(d_x), float(d_g_z), float(accuracy)
    # --- end


# %% tags=["check"]
check("read_logits", read_logits)

# %% [markdown]
# ## Two gauges that no loss replaces
#
# ### How varied are the fakes?
#
# A generator that draws one single face, whatever the noise, may fool D for a while. To notice, ask how far apart two
# fakes of a batch are. Take the mean squared difference, over all pairs and all pixels, and its root. Call it the **spread**.
#
# With three images of one pixel each, 0, 0 and 6: the pairs differ by 0, 6 and 6, squared 0, 36 and 36, on average 24,
# and the root is 4.9.
#
# A batch of 64 has 2,016 pairs. There is a short cut. Let $x_1, \dots, x_N$ be the values of one pixel and $m$ their mean.
# All ordered pairs, those of an image with itself included (they add nothing):
#
# $$\sum_{i,j} (x_i - x_j)^2 = \sum_{i,j} \big( (x_i - m) - (x_j - m) \big)^2$$
#
# $$= \sum_{i,j} (x_i - m)^2 + \sum_{i,j} (x_j - m)^2 - 2 \sum_{i,j} (x_i - m)(x_j - m)$$
#
# The first two are equal, $N \sum_i (x_i - m)^2$ each. The third is $\big(\sum_i (x_i - m)\big)^2$, and a sum of
# deviations from the mean is 0. So
#
# $$\sum_{i,j} (x_i - x_j)^2 = 2N \sum_i (x_i - m)^2$$
#
# There are $N(N-1)$ ordered pairs of two *different* images. Divide:
#
# $$\text{mean over pairs} = \frac{2N}{N(N-1)} \sum_i (x_i - m)^2 = 2 \cdot \underbrace{\frac{1}{N-1} \sum_i (x_i - m)^2}_{\text{variance with } N-1}$$
#
# The example again: the mean is 2, the deviations -2, -2 and 4, their squares 4, 4 and 16, their sum 24, over $N - 1 = 2$ gives
# 12, twice that is 24. The root is 4.9.
#
# ### Does anything move?
#
# The second gauge: how much does a step change a weight? It is the root of the mean squared change over all weights of a
# network. Call it the **move**. One would think that it depends on everything. It hardly does, because of Adam.
#
# Adam moves a weight by $\alpha\, m / \sqrt{v}$. Suppose that gradients are mostly noise, with mean square $\sigma^2$, and
# independent from step to step; then $v \approx \sigma^2$. And $m$ is a moving average with $\beta_1 = 0.5$:
#
# $$m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, g_t$$
#
# Once it has settled, the mean square of both sides is the same number $M$ (the two terms on the right are independent):
#
# $$M = \beta_1^2 M + (1 - \beta_1)^2 \sigma^2
# \quad\Longrightarrow\quad M = \frac{(1 - \beta_1)^2}{1 - \beta_1^2}\, \sigma^2 = \frac{1 - \beta_1}{1 + \beta_1}\, \sigma^2 = \frac{\sigma^2}{3}$$
#
# so the move is about
#
# $$\alpha \sqrt{M / v} = \frac{\alpha}{\sqrt 3} = \frac{0.00015}{1.732} = 0.000087$$
#
# for G, **whatever the network's size and whatever the loss**. In minigan's recorded runs it is between 0.00005 and 0.0001,
# from 16 to 64 channels and from 32 to 128 pixels. D takes two steps of 0.0002: about twice that, and it is
# measured at 0.00006 to 0.0003. A network whose move is far away from that is not learning as usual, and you can say so
# without knowing anything about its loss. (With another learning rate the band moves with it. Below, G learns at 0.0003,
# twice as fast: about 0.00017.)
#
# ### Exercise 12.4: spread   *(10 minutes)*
#
# Write `spread(images)` for images (N, H, W, C): one number. No loop over pairs.
#
# ### Exercise 12.5: move   *(10 minutes)*
#
# Write `move(before, after)`: two dicts with the same names, such as `{"0.kernel": ..., "0.bias": ...}`, the weights of
# a network before and after a step. One number. Every *weight* counts the same, not every array.


# %% tags=["exercise"]
def spread(images):
    """How far apart two images are: the root of the mean squared difference, over all pairs and pixels."""
    # --- your code
    return float(np.sqrt(2 * images.var(axis=0, ddof=1).mean()))
    # --- end


def move(before, after):
    """How much a step changed a weight: the root of the mean square, over all weights of a network."""
    # --- your code
    squares = sum(((after[name] - before[name]) ** 2).sum() for name in before)
    return float(np.sqrt(squares / sum(a.size for a in before.values())))
    # --- end


# %% tags=["check"]
check("spread", spread)
check("move", move)

# %% [markdown]
# ## Train it
#
# Now build both networks from your layers. The line below says whose are whose. (The list of layers itself is minigan's
# `Sequential`, which does what yours of lesson 11 does.) Images are 32 x 32 and the networks half as wide as the article's, so
# that a step takes a fraction of a second even with an `im2col` of your own. And G learns at 0.0003, twice as fast as the
# article's: docs/better-training.md measures that this makes better faces in runs as short as ours.
#
# Adam never comes to rest: each of its steps moves G's weights by about the same small distance, to and fro with the
# images of the batch. So the faces below are drawn by an *average* of G's weights over about the latest tenth of its steps. (It is a
# moving average like those of lessons 5 and 10, with another remedy for its beginning: at first it forgets faster.
# docs/better-training.md has the formula.) It does not touch the training.

# %%
SIZE, WIDTH, BATCH, SEED, G_RATE = 32, 32, 16, 12, 3e-4

gan = notebook.my_gan(image_size=SIZE, width=WIDTH, seed=SEED, g_learning_rate=G_RATE, ema=0.999)
faces = open_images(None, image_size=SIZE, count=notebook.fast(4000, 150), progress=False)
print(
    f"{len(faces):,} drawn faces; G has {sum(gan.generator.count()):,} parameters, D {sum(gan.discriminator.count()):,}"
)

# %% [markdown]
# The loop is short. Each step draws its batch, its noise and its labels as a function of (seed, step), takes your
# training step, and writes down the gauges. Every 25 steps it also takes the *vitals*, with your two functions. And now
# and then it draws four faces from noise that **never changes**. With fresh noise each time you could not tell a better
# generator from luckier noise.

# %%
step_of_yours = notebook.yours(train_step, lesson12.train_step)
answers_of = notebook.yours(read_logits, lesson12.read_logits)
spread_of, move_of = notebook.yours(spread, lesson12.spread), notebook.yours(move, lesson12.move)


def copies(gan):
    """The weights of both networks, as they are now."""
    return [{name: w.copy() for name, w in net.params().items()} for net in (gan.generator, gan.discriminator)]


class Training:
    """A GAN in training and what has been seen of it; `go_on` goes on where it stopped."""

    def __init__(self, gan):
        self.gan, self.history, self.vitals, self.frames = gan, [], [], {}
        self.fixed = stream(SEED, "pictures").standard_normal((16, 1, 1, 100), np.float32)

    def drawn(self):
        """Sixteen faces from noise that never changes, by the average of G."""
        return self.gan.average.settle().predict(self.fixed)

    def go_on(self, step, steps, frame_steps=(), longest=300.0):
        """Train up to so many steps in all, or for so many seconds."""
        began = time.perf_counter()
        while len(self.history) < steps and time.perf_counter() - began < longest:
            t = len(self.history)
            if t in frame_steps:
                self.frames[t] = self.drawn()[:4]
            inputs = draw_inputs(faces.batch(SEED, t, BATCH), SEED, t)
            before = copies(self.gan) if t % 25 == 0 else None
            on_real, on_fake, on_generator, fakes = step(self.gan, inputs)
            self.gan.average.update(self.gan.generator)
            if before is not None:
                self.vitals.append(self.vitals_of(t, inputs.real, fakes, *before))
            losses = [float(phase.loss) for phase in (on_real, on_fake, on_generator)]
            self.history.append([*losses, *answers_of(on_real.logits, on_fake.logits)])
        seconds = time.perf_counter() - began
        print(f"{len(self.history):,} of {steps:,} steps; {seconds:.0f} s this time")
        if len(self.history) < steps:
            print("run this cell again to go on")

    def vitals_of(self, t, real, fakes, g_before, d_before):
        """What minigan's diagnosis wants to know of a step."""
        return {
            "step": t,
            "real_low": float(real.min()),
            "real_high": float(real.max()),
            "real_spread": spread_of(real),
            "fake_spread": spread_of(fakes),
            "g_move": move_of(g_before, self.gan.generator.params()),
            "d_move": move_of(d_before, self.gan.discriminator.params()),
        }


# %% [markdown]
# The first few steps, with a GAN of their own, tell how long the rest takes. It stops after 300 seconds; **run the cell
# again and it goes on where it stopped**, as often as you like. You may also interrupt it. After some 700 steps there is
# something like a face, after 2,500 there are faces.

# %%
STEPS = notebook.fast(2500, 30)
training = Training(gan)

first = Training(build_gan(image_size=SIZE, width=WIDTH, seed=SEED, ops=gan.generator.ops, ema=0.999))
began = time.perf_counter()
first.go_on(step_of_yours, 4)
print(f"so {STEPS:,} steps would take about {(time.perf_counter() - began) / 4 * STEPS / 60:.1f} minutes")

# %%
training.go_on(step_of_yours, STEPS, frame_steps=(0, 100, 200, 400, 700, 1100, 1700))

# %%
history, vitals = np.array(training.history), training.vitals
for label, a, b in (("first 25", 0, 25), ("last 100", -100, None)):
    told = ", ".join(f"{name} {value:.3f}" for name, value in zip(METRICS, np.median(history[a:b], axis=0)))
    print(f"median of the {label} steps: {told}")

# %% tags=["picture"]
frames = {**training.frames, len(history): training.drawn()[:4]}
notebook.show(
    figures.training.filmstrip(np.stack([*frames.values()]), list(frames)),
    "Four rows of faces, one for each noise, over the training steps: grey at step 0, then noise, then bright patches where "
    "faces and hair will be, and in the end faces with hair, eyes and skin.",
)

# %% [markdown]
# And here is what it was all for: sixteen faces, not chosen, drawn by your own layers.

# %% tags=["picture"]
notebook.show(
    figures.training.sixteen(training.drawn(), f"Sixteen faces after {len(history):,} steps"),
    "Sixteen faces in two rows, not chosen: many hair colours and styles, most of them clear, some with blotched hair or "
    "eyes.",
)

# %% [markdown]
# How many of them are *clear*? minigan's reader of drawn faces says of an image whether its hair and skin have colours
# that the painter uses (docs/metrics.md). Of real faces, practically all are clear. Draw 500 new ones and count:

# %%
reader = recorded_runs.colour_reader(recorded_runs.held_out_faces(SIZE, notebook.fast(1500, 200)))
noise = stream(SEED, "metrics").standard_normal((notebook.fast(500, 50), 1, 1, 100), np.float32)
drawn = to_uint8(training.gan.average.settle().predict(noise))
print(f"clear: {reader.read(drawn).clear.mean():.0%} of {len(drawn)} new faces, after {len(history):,} steps")

# %% tags=["picture"]
notebook.show(
    figures.training.curves(np.arange(len(history)), history, "your run: "),
    "Left: D's two losses come near the floor of 0.325 within a hundred steps, and later stay somewhat above it; G's wavers "
    "around 2. Right: D(x) is near 0.9 at first and near 0.8 later, D(G(z)) near 0.1 and later 0.2.",
)

# %% [markdown]
# ### What the curves say, and what they do not
#
# Hold both pictures beside each other. The faces go from noise to people. The losses, after the first hundred steps, go
# nowhere.
#
# * **D stays not far above its floor.** It tells fakes from reals in most cases, from the first minute to the last. That is
#   normal. In the log of the article's own 10,000 steps D's losses fall from 0.45 to 0.38, and that is all.
# * **G's loss does not fall.** G improves, and D improves with it: each moves the other's target. A loss here is a score in
#   a match, not an altitude. (That is why M. Arjovsky and others looked for a loss that does mean something:
#   arXiv:1701.07875.)
# * **D(x) and D(G(z))** say the same once more, in probabilities: far from 0.5, and not quite at 0.9 and 0.1.
# * What the losses *are* good for: NaN, values that run away, and an accuracy not far above 50 %. They
#   tell that something broke. They never tell that all is well.
#
# Is the run normal, then? minigan examines runs by rules that were fitted on many normal and broken ones. It wants the losses
# of every step and your vitals:

# %%
config = RunConfig(
    preset="quick",
    image_size=SIZE,
    width=WIDTH,
    batch_size=BATCH,
    steps=STEPS,
    seed=SEED,
    g_learning_rate=G_RATE,
    ema=0.999,
)
findings = diagnose_numbers(config, np.arange(len(history)), history, vitals)
print("minigan.evaluation.diagnosis:", "; ".join(f.title for f in findings) or "nothing looks wrong")
if vitals:
    last = vitals[-1]
    share = last["fake_spread"] / last["real_spread"]
    print(
        f"step {last['step']}: spread of the fakes {share:.0%} of the reals'; moves: G {last['g_move']:.1e}, D {last['d_move']:.1e}"
    )

# %% [markdown]
# ## Break it: four suspects
#
# Here are four training steps, each with one thing wrong. All run without an error, and none of the networks complains. Each is
# trained for a while from the same start, with the same batches and the same noise. You see only the gauges.
#
# One gauge is new: D(G(z)) read twice, once in D's step on fakes and once in G's own step. In a right step both are nearly
# equal.


# %%
def gauges_of(step, steps):
    """Medians over the second half of a short run from the usual start."""
    gan, rows = build_gan(image_size=SIZE, width=WIDTH, seed=SEED), []
    for t in range(steps):
        before = copies(gan)
        on_real, on_fake, on_generator, _ = step(gan, draw_inputs(faces.batch(SEED, t, BATCH), SEED, t))
        d_x, d_g_z, accuracy = answers_of(on_real.logits, on_fake.logits)
        in_g = answers_of(on_generator.logits, on_generator.logits)[0]
        moves = [move_of(b, net.params()) for b, net in zip(before, (gan.generator, gan.discriminator))]
        rows.append(
            [float(on_real.loss), float(on_fake.loss), float(on_generator.loss), d_x, d_g_z, in_g, accuracy, *moves]
        )
    return np.median(rows[steps // 2 :], axis=0)


print("step     D real  D fake       G    D(x)  D(G(z))  in G's step  accuracy   G's move  D's move")
for name, step in {"right": lesson12.train_step, **lesson12.SUSPECTS}.items():
    d_real, d_fake, g, d_x, d_g_z, in_g, accuracy, g_move, d_move = gauges_of(step, notebook.fast(100, 24))
    print(
        f"{name:7s} {d_real:7.3f} {d_fake:7.3f} {g:7.3f} {d_x:7.2f} {d_g_z:8.2f} {in_g:12.2f} {accuracy:9.0%} "
        f"{g_move:10.6f} {d_move:9.6f}"
    )

# %% [markdown]
# ### Exercise 12.6: name them   *(15 minutes)*
#
# Give each its cause. There are more causes than suspects:

# %%
for cause in lesson12.SUSPECT_CAUSES:
    print("*", cause)

# %% tags=["exercise"]
suspects = {
    # --- your code: "one": None, "two": None, "three": None, "four": None,
    "one": "reals and fakes in one batch",
    "two": "gradients not zeroed",
    "three": "G gets the labels of fakes",
    "four": "D takes no step on fakes",
    # --- end
}

# %% tags=["check"]
check("suspects", suspects)

# %% [markdown]
# <details><summary>What each of them teaches (after yours)</summary>
#
# * **One** has a D with low losses on reals and fakes, 100 % right, like the right step's. But in G's step, where D sees only fakes, the same D takes them for real. In a
#   mixed batch, batch normalisation shows every image *how it differs from the others*, and D has learned to read that and
#   little else. G's gradient comes from an instrument that is used as it was never calibrated.
# * **Two** has losses that you would pass. Only D's move gives it away: old gradients pile up, the sum points the same way step
#   after step, and Adam goes at full speed, about twice 0.0002 a step.
# * **Three** has the loveliest loss of all, for all three. G is at the floor: it was told to be recognised as a fake, and it is.
#   Its faces stay noise. *A loss says how well you do what you were told. It does not say that you were told the right
#   thing.*
# * **Four** says yes to everything. D real is at the floor, D fake above 2, the accuracy exactly 50 %.
#
# And a fifth, not shown, because no gauge finds it: fakes made in training mode instead of inference. Its numbers differ
# from the right step's in the third digit. For that there is `check("train_step", ...)`.
#
# </details>

# %% [markdown]
# ## Six recorded runs
#
# Six runs of `python -m minigan.train`, all with the same settings: 32 x 32 pixels, width 32, 1,000 steps of 16 drawn faces, seed 1.
# G's learning rate is the article's here, 0.00015, and there is no average. One run is normal. In each of the others something was done
# wrong on purpose: a learning rate, or both, or the pixels. `lessons/runs/record.py` made them (and names them: do not look yet). They
# were shuffled.
#
# | name | what it means |
# |---|---|
# | `normal` | nothing is wrong |
# | `discriminator-too-strong` | D learns faster than G can follow |
# | `generator-dead` | G does not change |
# | `mode-collapse` | G draws nearly the same image whatever the noise |
# | `exploding` | the steps of both networks are far too large, or were, and wrecked them |
# | `data-range` | D is shown real images whose pixels do not use the range -1 to 1 of G's tanh |
#
# First the pictures: faces from noise that never changes, losses, and D's answers.

# %% tags=["picture"]
for letter, run in recorded_runs.runs().items():
    g = run.gauges()
    notebook.show(
        figures.training.panel(run),
        f"Run {letter}. Three rows of faces from fixed noise over {run.steps[-1] + 1} steps; losses, in the end D real {g['d_real']:.2f}, "
        f"D fake {g['d_fake']:.2f}, G {g['g']:.2f}; answers, in the end D(x) {g['d_x']:.2f}, D(G(z)) {g['d_g_z']:.2f}.",
    )

# %% [markdown]
# Then the vitals, as medians from step 50 on. Grey is where healthy runs lie; below the dotted line, a network is as good as
# dead. The table has the largest move beside the usual one: what happened in a single step may decide a run.

# %% tags=["picture"]
notebook.show(
    figures.training.vitals(recorded_runs.runs()),
    "Four panels with a mark for each of the six runs: G's move and D's move on a logarithmic scale, spread of the fakes as a "
    "share of the reals', and the range of the pixels shown to D as real. The table below has the numbers.",
)

# %%
print(recorded_runs.table())

# %% [markdown]
# ### Exercise 12.7: diagnose   *(25 minutes)*
#
# Give each run its name. Proceed as a doctor does: do not guess from the face, cross out. Write down for each run which gauge is out
# of its band, before you look for a name.
#
# Beware of two things. A bad face is a symptom of nearly everything. And one cause shows in several gauges: look for the one
# that *explains* the others.

# %% tags=["exercise"]
diagnosis = {
    # --- your code: "A": None, "B": None, "C": None, "D": None, "E": None, "F": None,
    "A": "generator-dead",
    "B": "mode-collapse",
    "C": "normal",
    "D": "data-range",
    "E": "discriminator-too-strong",
    "F": "exploding",
    # --- end
}

# %% tags=["check"]
diagnosed = check("diagnose", diagnosis)

# %% [markdown]
# What does minigan's own diagnosis say? It knows the same numbers and nothing else, and is told when you are done.

# %%
if diagnosed.passed:
    for letter, run in recorded_runs.runs().items():
        for finding in run.examine() or [None]:
            if finding is None:
                print(f"{letter}  nothing looks wrong")
            else:
                print(f"{letter}  {finding.code} ({finding.severity}): {finding.evidence}")
        print()
else:
    print("first yours")

# %% [markdown]
# And the failure gallery. Names appear as you find them.

# %%
named = {letter: name for letter, name in diagnosis.items() if lesson12.is_right(letter, name)}
notebook.show(
    figures.training.gallery(recorded_runs.runs(), named),
    "Four faces of the last step of each of the six runs; under those that are named, the name and the gauge that tells.",
)

# %% [markdown]
# <details><summary>What each of them teaches (after yours)</summary>
#
# * **The dead generator has the best-looking losses of all six**: smooth, at the floor, from early on. D has an easy life, and
#   nothing disturbs it. G's learning rate was as good as zero; a gradient that never arrives looks the same. Its move, 0,
#   is the only gauge that tells.
# * **The collapsed one** draws one face at a time, and another one later: G's steps were fifty times too large and D's a third
#   of the usual. G jumps onto whatever D likes at the moment, with all its noises at once, and D, too slow, runs
#   after it. `minigan.evaluation.diagnosis` also finds, and says first, that *D has lost*. Both are true: one is the cause, the other is what
#   it did to the faces. (L. Metz and others describe this chase, and a cure: arXiv:1611.02163.)
# * **The range**: pixels were in 0 to 1 instead of -1 to 1. Losses and moves look healthy, and the fakes' spread is as near to the
#   reals' as it should be! (Both spreads are halved.) G learns to
#   draw pale images, since a pixel below 0 is proof of a fake. It is the most common bug of all in GAN code, and no loss shows it.
# * **D too strong**: its learning rate was fifty times too large. Look at its curves again: after the first steps they are *healthy
#   curves*. There are faces, too, a bit wild in their contrasts. minigan calls it a warning and not an error. (Some let D learn
#   faster on purpose: M. Heusel and others, arXiv:1706.08500. Not fifty times.)
# * **The exploded one** was over after one step. Both learning rates were a hundred times too large; D leapt, its logits went
#   beyond ±16, where the clipped loss has no slope left, and since then *nothing moves at all*. Here, for once, the losses
#   do tell: 14 is no loss that anything comes back from. (Its faces are those of the dead generator, pixel for pixel: neither G ever
#   left its first weights, and the seed was the same.)
#
# An honest word about bands. We first recorded "exploding" with both rates *twenty* times too large. That run learned its faces faster
# than the normal one! Small networks and short runs bear a lot. `minigan.evaluation.diagnosis` calls that run exploding, too, by its moves. A band
# says what is usual, not what is right; look at the faces.
#
# So of five diseases the losses show two, the collapse and the explosion, and name neither. That is the lesson.
#
# </details>

# %% [markdown]
# ## Three questions
#
# **1.** A friend's G loss falls from 4 to 0.4 in an hour. "It is learning!" What do you ask to see?
#
# <details><summary>Answer</summary>
#
# D's accuracy and D fake. G's loss of 0.4 means D(G(z)) near 0.8: D takes fakes for real. Either the fakes are
# excellent, after one hour, or D has stopped working: its learning rate, its labels, or a G that has found one trick.
# Look at many fakes from fresh noise, and at their spread. Falling losses of G are bad news more often than good.
#
# </details>
#
# **2.** Would the floor be 0 with hard labels? Why not use them?
#
# <details><summary>Answer</summary>
#
# Yes: $-\ln p$ goes to 0 as $p$ goes to 1. Then D is paid for being ever surer, its logits grow without end, and where D is sure,
# the sigmoid is flat. G's gradient does not vanish here, since it has the *other* label ($-\ln p$ is steep at
# $p = 0$), but with D so sure, $\partial L / \partial z$ is about -1 for every fake, the better ones as much as the worse: the loss no
# longer says which fake is nearly good. Soft labels
# stop D at $\ln(0.9/0.1) = 2.2$.
#
# </details>
#
# **3.** Why is the filmstrip drawn in inference mode, and from noise that never changes?
#
# <details><summary>Answer</summary>
#
# Fixed noise: so that a difference between two frames is due to G. Inference mode: a face then depends on its own noise and on
# G's moving statistics, and not on the fifteen other noises of its batch. And it is what you will use G for when
# it is trained. (It can hide something: a G that is bad with moving statistics and good with the batch's has had too few
# steps, or a momentum that is too large.)
#
# </details>
#
# ## What comes next
#
# You can train a GAN and say what ails it. Losses told you little, so how good are the faces *really*? minigan measures
# them: `python -m minigan.evaluate runs/NAME` compares patches at several sizes (T. Karras and others, arXiv:1710.10196) and
# counts kinds of face; docs/metrics.md explains it. For better faces train longer: in the checkout's main folder, `python -m
# minigan.train --layers lessons/my_layers.py` trains with your layers, your loss, your Adam and your steps, overnight if you like, and without `--layers` with
# minigan's own faster ones.
#
# In **lesson 13** you take a trained generator and explore what it has made of its noise: ways from face to face, directions
# that mean something, and whether it has learned faces by heart.

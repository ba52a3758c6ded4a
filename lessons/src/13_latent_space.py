# %% [markdown]
# # Lesson 13: Explore the latent space
#
# A trained generator turns a hundred random numbers into a face. Nobody told it what the numbers mean. Did it arrange them
# sensibly? Are there ways along which a face changes smoothly into another? Is there a direction that means "black hair", and one
# that means "darker skin"? Or has it simply learned some faces by heart?
#
# You can find out by walking around in there. And because the faces are *drawn*, and minigan can read off an image which hair
# colour it has, you need not take anybody's word for it, nor pick the nice examples: you can count.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 13.1 | `slerp`: the way from one noise to another | 15 |
# | 13.2 | break it: four walks, each with one thing wrong | 15 |
# | 13.3 | a direction that means something, as the difference of two means | 15 |
# | 13.4 | arithmetic with faces | 10 |
# | 13.5 | truncation, and whether it helps | 15 |
# | 13.6 | nearest neighbours: does it know faces by heart? | 15 |
#
# With reading, an hour and three quarters; all cells together compute for one or two minutes. You need lesson 1 (broadcasting) and
# lesson 10 (what inference mode is); no gradients this time.
#
# A generator comes with minigan: the article's, trained for 10,000 steps on drawn faces. If you have a run of your own (`make train`,
# about three minutes on two cores), say `RUN = "../runs/NAME"` below. With images of your own the readings of hair colours mean nothing, of course; all the rest works.
#
# Words: z is a noise vector of 100 numbers, each drawn from N(0, 1); G(z) is its face; D here is the number of numbers, 100.

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook, recorded_runs
from lessons.exercises import lesson13
from lessons.notebook import check
from minigan.data.drawn.modes import COLOURS, SKIN_TONES
from minigan.pages.plots import to_uint8
from minigan.runs.health import spread

# %%
RUN = None  # or the folder of a run of your own: RUN = "../runs/NAME"

G, step = recorded_runs.trained_generator(RUN)
SIDE = G.output_shape()[0]
print(f"a generator with {sum(G.count()):,} parameters, after {step:,} training steps; faces of {SIDE} x {SIDE} pixels")


def draw(z):
    """Faces (N, S, S, 3), uint8, of noises (N, 100)."""
    return to_uint8(G.predict(np.asarray(z, np.float32).reshape(-1, 1, 1, 100)))


rng = np.random.default_rng(13)

# %% tags=["picture"]
notebook.show(
    figures.latent.strips(
        draw(rng.standard_normal((20, 100)))[:16].reshape(2, 8, SIDE, SIDE, 3),
        ["", ""],
        [""] * 8,
        "Sixteen faces, not chosen",
    ),
    "Sixteen drawn faces in two rows, with many hair colours and hair styles, and several skins.",
)

# %% [markdown]
# They were not chosen, and not all of them are perfect. How good they are in numbers is on the generator's model card,
# `minigan/pretrained/README.md`.
#
# ## The idea
#
# ### Halfway, by hand
#
# Take two vectors at a right angle, of length 1: $a = (1, 0)$ and $b = (0, 1)$. What lies halfway?
#
# On the straight line: $\tfrac12 a + \tfrac12 b = (0.5, 0.5)$, whose length is $\sqrt{0.25 + 0.25} = 0.707$. On the circle through both:
# $(0.707, 0.707)$, whose length is 1.
#
# So the straight line cuts a corner. In two dimensions, who cares? G does, in a hundred:
#
# ### Noise is a shell
#
# How long is a vector of $D$ numbers from N(0, 1)? Its squared length is $z_1^2 + \dots + z_D^2$. Each $z_i^2$ has mean 1 and variance 2. So
# the squared length has mean $D$ and variance $2D$: for $D = 100$, $100 \pm 14$. And the length itself:
#
# $$\sqrt{100 \pm 14} \;\approx\; 10 \pm \tfrac{14}{2 \cdot 10} = 10 \pm 0.7$$
#
# The most *likely point* of a Gaussian is 0. But practically *no* noise is near 0: nearly all of it lies in a thin shell of radius
# 10. G has never been shown anything else.
#
# And two noises are nearly at a right angle: $a \cdot b$ is a sum of a hundred terms with mean 0 and variance 1, so it is
# $0 \pm 10$, and the cosine of the angle is $0 \pm 10/100 = 0 \pm 0.1$. The middle of the straight line between two noises has length
# $10 \cdot 0.707 = 7.07$. That is $(10 - 7.07)/0.7 = 4.2$ standard deviations inside the shell. Of a million noises, perhaps ten are that
# short.

# %% [markdown]
# ## The derivation
#
# ### The great circle
#
# Look for a way $p(t) = \alpha(t)\,a + \beta(t)\,b$ that starts at $a$, ends at $b$, stays on the circle through both, and turns at a
# constant rate. Let both have length 1 and let $\Omega$ be the angle between them, $\cos\Omega = a \cdot b$.
#
# First make a right angle. Take from $b$ its part along $a$:
#
# $$b - (a \cdot b)\, a = b - \cos\Omega\; a$$
#
# Its squared length is $1 - 2\cos^2\Omega + \cos^2\Omega = \sin^2\Omega$, so
#
# $$e = \frac{b - \cos\Omega\; a}{\sin\Omega}$$
#
# has length 1 and stands at a right angle to $a$. Walking on the circle by the angle $t\Omega$ is now easy:
#
# $$p(t) = \cos(t\Omega)\; a + \sin(t\Omega)\; e$$
#
# Put $e$ in:
#
# $$p(t) = \Big( \cos(t\Omega) - \frac{\sin(t\Omega) \cos\Omega}{\sin\Omega} \Big)\, a + \frac{\sin(t\Omega)}{\sin\Omega}\; b$$
#
# Bring the first bracket over one denominator, and use $\sin(x - y) = \sin x \cos y - \cos x \sin y$:
#
# $$\frac{\sin\Omega \cos(t\Omega) - \cos\Omega \sin(t\Omega)}{\sin\Omega} = \frac{\sin(\Omega - t\Omega)}{\sin\Omega}$$
#
# Together:
#
# $$\boxed{\;p(t) = \frac{\sin\big((1-t)\,\Omega\big)}{\sin\Omega}\; a \;+\; \frac{\sin(t\,\Omega)}{\sin\Omega}\; b\;}$$
#
# Test: at $t = 0$ it is $a$. At $t = \tfrac12$ and a right angle, both weights are $\sin 45^\circ / \sin 90^\circ = 0.707$. Good.
#
# Two real noises have lengths like 9.6 and 10.3. Use the *same weights* on them as they are; the length then goes from the one to the other.
# Only the angle needs the lengths: $\cos\Omega = a \cdot b / (|a|\,|b|)$. (T. White proposed this for generators, arXiv:1609.04468.)

# %% [markdown]
# ### Exercise 13.1: slerp   *(15 minutes)*
#
# Write `slerp(a, b, t)`: `a` and `b` have D numbers, `t` has T numbers between 0 and 1; return (T, D), a stop in each row.
#
# If `a` and `b` point the same way, the angle is 0 and so is its sine. Walk a straight line then: if the angle is below 1e-6.


# %% tags=["exercise"]
def slerp(a, b, t):
    """Stops on the great circle from a to b: (T, D)."""
    # --- your code
    t = np.asarray(t)[:, None]  # (T, 1)
    cosine = (a @ b) / (np.linalg.norm(a) * np.linalg.norm(b))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if angle < 1e-6:
        return (1 - t) * a + t * b
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    # --- end


# %% tags=["check"]
check("slerp", slerp)

# %%
circle = notebook.yours(slerp, lesson13.slerp)


def straight(a, b, t):
    """Stops on the straight line."""
    return (1 - t[:, None]) * a + t[:, None] * b


pairs = rng.standard_normal((2, 2, 100))
t = np.linspace(0, 1, 7)

# %% tags=["picture"]
notebook.show(
    figures.latent.shell(straight(*pairs[0], t), circle(*pairs[0], t), t),
    "Left: lengths of noise; of 2 numbers spread between 0 and 4, of 20 around 4.4, of 100 in a narrow peak at 10. Right: on the "
    "way from one noise to another, the great circle stays at 10, and the straight line sags to about 7.",
)

# %% tags=["picture"]
walked = [draw(way(*pair, t)) for pair in pairs for way in (straight, circle)]
notebook.show(
    figures.latent.strips(
        np.stack(walked),
        ["lerp", "slerp"] * 2,
        [f"{share:.2f}" for share in t],
        "From one face to another, twice",
        "t",
    ),
    "Two pairs of strips of seven faces. In each pair the straight way and the great circle begin and end with the same faces and "
    "look much alike on the way.",
)

# %% [markdown]
# Be honest: could you have told which is which? So measure it. minigan's
# reader of drawn faces says of each image whether it is *clear* (docs/metrics.md): whether hair and skin have a palette that
# the painter uses. Take the middles of many ways:

# %%
held_out = recorded_runs.held_out_faces(SIDE, notebook.fast(1500, 200))
reader = recorded_runs.colour_reader(held_out)
between = rng.standard_normal((notebook.fast(400, 60), 2, 100))
half = np.array([0.5])
real_spread = spread(held_out[:400].astype(np.float32))


def clear_and_spread(z):
    """Share of clear faces, and their spread as a share of real images'."""
    drawn = draw(z)
    return reader.read(drawn).clear.mean(), float(spread(drawn.astype(np.float32)) / real_spread)


for name, way in (("ends", None), ("lerp", straight), ("slerp", circle)):
    z = between[:, 0] if way is None else np.concatenate([way(a, b, half) for a, b in between])
    share, apart = clear_and_spread(z)
    print(f"{name:6s} clear {share:4.0%}   spread {apart:.2f}   mean length {np.linalg.norm(z, axis=1).mean():.1f}")

# %% [markdown]
# Compare the spreads first. The middles of great circles are as varied as any faces, those of straight lines a little less. Then the
# clear faces: of a few hundred, a share is only known to about two in a hundred, so do not read much into a small difference. That is the
# whole effect: it can be measured, and it is modest. It is modest because a length of 7 is not yet far from 10 for this G. How much shorter may noise be? You will see in
# the next section, and under "Truncation". *Walk on the sphere; it costs nothing. But do not expect wonders.*

# %% [markdown]
# ## Break it: four walks
#
# Here are four ways from `a` to `b` with one thing wrong each. You get two gauges, the length of each stop, and the angle between each
# stop and the next. A right walk comes first.

# %%
a, b = pairs[0]
names = ("right", *lesson13.WALKS)
ways = {"right": lesson13.slerp, **lesson13.WALKS}
print(
    f"the angle between a and b is {np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))):.0f} degrees"
)
for name in names:
    stops = ways[name](a, b, t)
    lengths = np.linalg.norm(stops, axis=1)
    cosines = (stops[1:] * stops[:-1]).sum(axis=1) / (lengths[1:] * lengths[:-1])
    print(f"{name:5s}  lengths", " ".join(f"{x:4.1f}" for x in lengths), end="   ")
    print("angles", " ".join(f"{x:2.0f}" for x in np.degrees(np.arccos(np.clip(cosines, -1, 1)))))

# %% tags=["picture"]
notebook.show(
    figures.latent.strips(
        np.stack([draw(walk(a, b, t)) for walk in lesson13.WALKS.values()]),
        list(lesson13.WALKS),
        [f"{x:.2f}" for x in t],
        "Four walks from a to b",
        "t",
    ),
    "Four strips of seven images. Walks one to three go from the same first face to the same last; two passes quite other faces on its way. "
    "Walk four shows almost the same pale image throughout.",
)

# %% [markdown]
# ### Exercise 13.2: name them   *(15 minutes)*

# %%
for cause in lesson13.WALK_CAUSES:
    print("*", cause)

# %% tags=["exercise"]
walks = {
    # --- your code: "one": None, "two": None, "three": None, "four": None,
    "one": "uneven steps: a straight line pulled out to the sphere",
    "two": "the long way round",
    "three": "a straight line",
    "four": "all stops have length 1",
    # --- end
}

# %% tags=["check"]
check("walks", walks)

# %% [markdown]
# Walk four teaches something about G. With length 1 instead of 10 the noise hardly speaks: whatever its direction, the image is nearly the
# same. And since no noise in training was ever so short, nothing has taught G that this image should be a face.

# %% [markdown]
# ## Directions that mean something
#
# ### The idea
#
# Draw many faces. Read off each whether it has black hair. Average the noises of those that have it, average the noises of those that
# have not, and take the difference. Everything about the noise that has nothing to do with black hair should cancel.
#
# ### The derivation
#
# Suppose that G makes a face black-haired if $w \cdot z > c$, for some direction $w$ of length 1: a plane cuts the space, and
# the faces beyond it have black hair. What is the mean of $z$ beyond the plane?
#
# Split $z$ into its part along $w$ and the rest: $z = s\,w + r$, with $s = w \cdot z$. For Gaussian noise, $s$ and $r$ are
# independent. The condition is on $s$ alone. So the mean of $r$ beyond the plane is its mean anywhere: 0. What is left is
#
# $$\text{mean of } z \text{ beyond the plane} = w \cdot (\text{mean of } s, \text{ given } s > c)$$
#
# **It points along $w$**, which we did not know. And how long is it? With the density $\varphi(s) = e^{-s^2/2} / \sqrt{2\pi}$, and
# $q$ for the share of faces beyond the plane,
#
# $$\text{mean of } s = \frac{1}{q} \int_c^\infty s\,\varphi(s)\,ds$$
#
# Since $\varphi'(s) = -s\,\varphi(s)$, the integral is $\varphi(c)$:
#
# $$\text{mean of } s = \frac{\varphi(c)}{q}$$
#
# Below the plane it is $-\varphi(c)/(1-q)$, since both together must average to 0. The difference of the two means has length
#
# $$\frac{\varphi(c)}{q} + \frac{\varphi(c)}{1 - q} = \frac{\varphi(c)}{q\,(1-q)}$$
#
# A number: of drawn faces one in fourteen has black hair, $q = 0.071$. The plane with 7.1 % beyond it is at $c = 1.465$, where
# $\varphi = 0.136$, so the length is $0.136 / (0.071 \cdot 0.929) = 2.06$.
#
# ### How many faces does it take?
#
# Each mean is over a finite number of faces, $n_1$ and $n_0$. In each of the 100 numbers of $z$ the difference has an error of variance
# $1/n_1 + 1/n_0$, and over all 100 numbers an error of length
#
# $$\sqrt{100 \left( \frac{1}{n_1} + \frac{1}{n_0} \right)}$$
#
# With 14 black-haired faces of 200 that is $\sqrt{100\,(0.071 + 0.005)} = 2.8$, more than the signal, 2.06! With 280 of 4,000 it is 0.6. A
# direction found from a handful of faces is mostly noise, and looks like any other. Count before you believe.

# %% tags=["picture"]
notebook.show(
    figures.latent.half_space(),
    "Points in the plane, cut by a slanted dashed line: triangles beyond it, dots on this side. An arrow from the mean of the dots to the "
    "mean of the triangles stands at a right angle to the line.",
)

# %% [markdown]
# ### Exercise 13.3: a direction   *(15 minutes)*
#
# Write `attribute_direction(z, has)`: `z` has shape (N, D), `has` is an array of N times True or False. Return (D,): the mean of the noises
# with the attribute minus the mean of those without. Leave its length alone.


# %% tags=["exercise"]
def attribute_direction(z, has):
    """From the mean noise of faces without an attribute to that of faces with it."""
    # --- your code
    return z[has].mean(axis=0) - z[~has].mean(axis=0)
    # --- end


# %% tags=["check"]
check("attribute_direction", attribute_direction)

# %% [markdown]
# Now with real faces. Draw some thousands, read them, and keep the clear ones.

# %%
many = rng.standard_normal((notebook.fast(6000, 1000), 100))
reading = reader.read(draw(many))
z = many[reading.clear]
hair, skin = reading.hair_colour[reading.clear], reading.skin[reading.clear]
print(f"{len(z):,} of {len(many):,} faces are clear")

difference_of = notebook.yours(attribute_direction, lesson13.attribute_direction)
directions = {}
print("\nhair       faces   length   of it chance")
for name in ("black", "silver", "aqua", "brown"):
    has = hair == COLOURS.index(name)
    if not 3 <= has.sum() < len(z):
        print(f"{name:9s} too few")
        continue
    directions[name] = difference_of(z, has)
    chance = np.sqrt(100 * (1 / has.sum() + 1 / (~has).sum()))
    print(f"{name:9s} {has.sum():6d} {np.linalg.norm(directions[name]):8.2f} {chance:14.2f}")

# %% [markdown]
# The lengths are well above the error, and somewhat below the 2.06 of a sharp plane. (Chance even makes them look longer: its square is
# part of theirs.) So G's border is no sharp plane, but the picture is useful.
#
# The acid test: take *fresh* noise that had no part in finding the direction, and push it along. Keep its length at what it was, so that we
# stay in the shell. How many faces have this hair colour then? And, for comparison, a random direction:


# %%
def pushed(z, direction, strength):
    """Noise moved along a direction, brought back to the length it had."""
    moved = z + strength * direction / np.linalg.norm(direction)
    return moved * np.linalg.norm(z, axis=1, keepdims=True) / np.linalg.norm(moved, axis=1, keepdims=True)


strengths = np.arange(0, 9, 2)
fresh = rng.standard_normal((notebook.fast(300, 60), 100))
shares = {}
for name, direction in directions.items():
    at = COLOURS.index(name)
    shares[f"{name} hair"] = [
        (reader.read(draw(pushed(fresh, direction, s))).hair_colour == at).mean() for s in strengths
    ]
anything = rng.standard_normal(100)
at = COLOURS.index("black")
shares["black, along a\nrandom direction"] = [
    (reader.read(draw(pushed(fresh, anything, s))).hair_colour == at).mean() for s in strengths
]

# %% tags=["picture"]
notebook.show(
    figures.latent.effect(strengths, shares, "Fresh faces, pushed along a direction"),
    "Share of faces with a hair colour against how far they were pushed: all begin at about a tenth or less; black and aqua rise to nearly all "
    "faces, silver less far, and brown least; along a random direction the share of black hair stays low.",
)

# %% tags=["picture"]
start = rng.standard_normal((3, 100))
shown = next(iter(directions), None)
if shown:
    rows = [
        draw(np.concatenate([pushed(start[k : k + 1], directions[shown], s) for s in (-4, 0, 2, 4, 6, 8)]))
        for k in range(3)
    ]
    notebook.show(
        figures.latent.strips(
            np.stack(rows),
            ["", "", ""],
            ["-4", "0", "2", "4", "6", "8"],
            f"Three faces on the way to {shown} hair",
            "strength",
        ),
        "Three rows of six faces: from left to right their hair becomes black, while pose and face stay at first; at strength 6 "
        "and 8 all three have become much alike.",
    )
else:
    print("no hair colours to be found in this generator's faces")

# %% [markdown]
# The direction works, and look at what it drags along. Far out, all three faces become alike: one *direction* out of a hundred now dominates the
# noise, and the part along the other ninety-nine has been shrunk to make room. And some things change that should not:

# %%
before = reader.read(draw(fresh))
for name, direction in directions.items():
    after = reader.read(draw(pushed(fresh, direction, 4)))
    print(f"towards {name:7s} skin read differently in {(after.skin != before.skin).mean():4.0%} of faces,", end=" ")
    print(f"clear faces {before.clear.mean():.0%} -> {after.clear.mean():.0%}")
again = reader.read(draw(pushed(fresh, anything, 4)))
print(f"at random       skin read differently in {(again.skin != before.skin).mean():4.0%} of faces")

# %% [markdown]
# Compare with the random direction: any push of this length changes the skin of some faces. Is there a hair direction that changes it in
# clearly more? (With 300 faces, five in a hundred may be chance.) In the data hair and skin are independent: the painter draws them separately.
# A direction that changes both is *entangled*, and nothing in the training asked G for anything else.

# %% [markdown]
# ## Arithmetic
#
# The picture that made DCGANs famous (A. Radford and others, arXiv:1511.06434, figure 7): *smiling woman* minus *neutral woman* plus
# *neutral man* is a smiling man. They averaged the noises of three faces for each, since with
# single ones it did not work reliably.
#
# Why three? A number by hand. The mean of three independent noises has a squared length of $100/3$. Three such means, added or
# subtracted, have $100/3 + 100/3 + 100/3 = 100$. So **the result lies on the shell again**, by a happy accident. With sums instead of means it
# would be at length 30, with means of ten at 5.5.
#
# ### Exercise 13.4: arithmetic   *(10 minutes)*
#
# Write `arithmetic(a, b, c)` for three groups of noises, (n, D) each: mean of a, minus mean of b, plus mean of c.


# %% tags=["exercise"]
def arithmetic(a, b, c):
    """mean(a) - mean(b) + mean(c), for groups of noises (n, D)."""
    # --- your code
    return a.mean(axis=0) - b.mean(axis=0) + c.mean(axis=0)
    # --- end


# %% tags=["check"]
check("arithmetic", arithmetic)

# %% [markdown]
# Silver hair and tan skin, minus silver hair and porcelain skin, plus black hair and porcelain skin: that should be black hair and tan
# skin, which is rare. Here is the first try, not the best one. The result is shown in the middle of a 3 x 3 block, surrounded by faces of
# slightly changed noise, as in the paper.

# %%
combine = notebook.yours(arithmetic, lesson13.arithmetic)


def group(colour, tone):
    """Noises of the clear faces with a hair colour and a skin."""
    return z[(hair == COLOURS.index(colour)) & (skin == SKIN_TONES.index(tone))]


terms = [group("silver", "tan"), group("silver", "porcelain"), group("black", "porcelain")]
print("faces in the three groups:", *map(len, terms))
enough = min(map(len, terms)) >= 3


def try_once(rng):
    """Three faces of each group, chosen by chance, and the noise that comes out."""
    chosen = [members[rng.choice(len(members), 3, replace=False)] for members in terms]
    return chosen, combine(*chosen)


# %% tags=["picture"]
if enough:
    chosen, result = try_once(rng)
    around = result + 0.25 * np.linalg.norm(result) / 10 * rng.standard_normal((9, 100))
    around[4] = result
    notebook.show(
        figures.latent.equation(
            [draw(c) for c in chosen],
            draw(around),
            [
                "silver hair,\ntan skin",
                "silver hair,\nporcelain skin",
                "black hair,\nporcelain skin",
                "black hair, tan skin",
            ],
        ),
        "Three faces with silver hair and tan skin, minus three with silver hair and pale skin, plus three with black hair and pale "
        "skin; the result, in a block of nine, has dark hair and mostly a darker skin than the last three.",
    )
else:
    print("too few faces for this with this generator")

# %% [markdown]
# One picture proves nothing. Do it often, with other faces each time, and count:

# %%
if enough:
    results = np.stack([try_once(rng)[1] for _ in range(notebook.fast(400, 60))])
    read = reader.read(draw(results))
    dark_hair = read.hair_colour == COLOURS.index("black")
    dark_skin = np.isin(read.skin, [SKIN_TONES.index("tan"), SKIN_TONES.index("brown")])
    base_hair, base_skin = (
        hair == COLOURS.index("black"),
        np.isin(skin, [SKIN_TONES.index("tan"), SKIN_TONES.index("brown")]),
    )
    print("                 black hair   tan or brown skin   both   mean length")
    lengths = np.linalg.norm(results, axis=1).mean()
    print(
        f"arithmetic       {dark_hair.mean():10.0%} {dark_skin.mean():19.0%} {(dark_hair & dark_skin).mean():6.0%} {lengths:13.1f}"
    )
    print(f"any clear face   {base_hair.mean():10.0%} {base_skin.mean():19.0%} {(base_hair & base_skin).mean():6.0%}")

# %% [markdown]
# It works far more often than chance, and by no means always. (What you see of this in papers, in talks and in blogs are the times it
# did.) It is nothing mysterious either: $a - b$ is a noisy estimate, from three faces each, of the *direction* for the skin, which
# you could have had from hundreds.

# %% [markdown]
# ## Truncation, honestly
#
# "Draw better faces for free": throw away noise that is far from 0. Numbers beyond a limit are drawn again until they are within
# (A. Brock and others, arXiv:1809.11096, section 3.1). In BigGAN that trades variety for quality. Does it here?
#
# ### Exercise 13.5: truncate   *(15 minutes)*
#
# Write `truncate(z, limit, rng)`: return noise like `z` in which every number beyond the limit, on either side, has been drawn again with
# `rng.standard_normal`, as often as it takes. Numbers within the limit stay as they are, and so does the caller's `z`.


# %% tags=["exercise"]
def truncate(z, limit, rng):
    """Noise in which everything beyond the limit has been drawn again."""
    # --- your code
    z = z.copy()
    while (bad := np.abs(z) > limit).any():
        z[bad] = rng.standard_normal(bad.sum())
    return z
    # --- end


# %% tags=["check"]
check("truncate", truncate)

# %%
cut = notebook.yours(truncate, lesson13.truncate)
limits = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, np.inf)
plain = rng.standard_normal((notebook.fast(500, 80), 100))
versions = [cut(plain, limit, np.random.default_rng(0)) for limit in limits]
measured = np.array([clear_and_spread(version) for version in versions])

# %% tags=["picture"]
notebook.show(
    figures.latent.tradeoff(limits, *measured.T, [np.linalg.norm(v, axis=1).mean() for v in versions]),
    "Left: clear faces against spread, by limit: as the limit goes from none to 0.25, both fall, the last part steeply. Right: the mean length of the noise "
    "falls with the limit, from 10 to about 1.4.",
)

# %% tags=["picture"]
shown_limits = (0.25, 0.75, np.inf)
notebook.show(
    figures.latent.strips(
        np.stack([draw(versions[limits.index(limit)][:7]) for limit in shown_limits]),
        ["all" if np.isinf(limit) else f"{limit:g}" for limit in shown_limits],
        [f"z{k + 1}" for k in range(7)],
        "The same noise, truncated",
        "noise",
    ),
    "Three rows of the same seven noises, the limit rising from 0.25 to none: pale images that are much alike at the top, colourful and "
    "different faces at the bottom.",
)

# %% [markdown]
# No bargain: variety falls, as expected, and the share of clear faces does not rise; with the smaller limits it falls, too. (Look at the row for
# 0.75. Are these worse faces? The reader does not ask whether a face is pleasant; it looks for the painter's colours, and they have
# faded. Which of the two do you call quality? Say it before you measure.) Look at the right panel to see why they fade. In a hundred dimensions,
# truncating is above all *shortening*: with a limit of 1 the noise has length 5.4, and G has never seen any of that length. Brock and others say
# themselves that many of their networks do not stand it, and that the training has to be changed so that they do.
#
# A trick that helped somebody's network is a hypothesis about yours.

# %% [markdown]
# ## Does it know faces by heart?
#
# A generator could get past the discriminator by copying training images. Look for the training image that is nearest to each fake.
#
# But *how near is too near?* A distance alone says nothing. What you need is a yardstick: real faces that G was **not** trained
# on. If fakes are no nearer to the training images than those are, nothing was copied.
#
# ### Exercise 13.6: nearest neighbours   *(15 minutes)*
#
# Write `nearest(queries, faces, k)` for images (Q, S, S, 3) and (N, S, S, 3), both uint8. Return two arrays of shape (Q, k): for each
# query the places of the k nearest faces, nearest first, and their distances: the root of the mean squared difference, in grey levels.
#
# There may be thousands of faces: do not build an array of Q x N x pixels. Squared distances of all pairs come from
# $|a - b|^2 = |a|^2 - 2\,a \cdot b + |b|^2$. And mind the uint8.


# %% tags=["exercise"]
def nearest(queries, faces, k):
    """Places and distances (Q, k) of the k nearest faces, nearest first."""
    # --- your code
    a = queries.reshape(len(queries), -1).astype(np.float64)  # (Q, P)
    b = faces.reshape(len(faces), -1).astype(np.float64)  # (N, P)
    squares = (a * a).sum(axis=1)[:, None] - 2 * a @ b.T + (b * b).sum(axis=1)  # (Q, N)
    places = np.argsort(squares, axis=1)[:, :k]
    distances = np.sqrt(np.maximum(np.take_along_axis(squares, places, axis=1), 0) / a.shape[1])
    return places, distances
    # --- end


# %% tags=["check"]
check("nearest", nearest)


# %%
def halved(faces):
    """Images of half the side: a shift by a pixel then matters less."""
    N, S = faces.shape[:2]
    return faces.reshape(N, S // 2, 2, S // 2, 2, 3).mean(axis=(2, 4)).round().astype(np.uint8)


near = notebook.yours(nearest, lesson13.nearest)
training = recorded_runs.training_faces(RUN, SIDE, notebook.fast(4000, 200))
fakes = draw(rng.standard_normal((notebook.fast(300, 50), 100)))
reals = held_out[: len(fakes)]
of_fakes = near(halved(fakes), halved(training), 3)
of_reals = near(halved(reals), halved(training), 3)
for name, (_, distances) in (("fakes", of_fakes), ("new real faces", of_reals)):
    closest = distances[:, 0]
    print(
        f"{name:15s} to the nearest of {len(training):,}: median {np.median(closest):.1f}, smallest {closest.min():.1f} grey levels"
    )

# %% tags=["picture"]
closest = np.argsort(of_fakes[1][:, 0])[:3]
notebook.show(
    figures.latent.neighbours(
        fakes[closest], training[of_fakes[0][closest]], of_fakes[1][closest], [f"fake {k + 1}" for k in range(3)]
    ),
    "The three fakes that are nearest to any training image, each beside its three nearest: the same hair colour and skin, but other hair "
    "styles, eyes, mouths and backgrounds.",
)

# %% [markdown]
# These are the three *worst* cases, the fakes nearest to any training image. Same colours, same pose; other hair, other eyes. And in the
# numbers above, fakes are not nearer to the training images than new real faces are. So: no sign that it copies.
#
# Careful, though. A blurred image is near to everything, and a mirrored copy near to nothing; a small distance is a question, and a large one
# no proof. `python -m minigan.evaluate` asks better: it counts fakes that are much nearer to one image than to its fifty next (after N. Carlini
# and others, arXiv:2301.13188).

# %% [markdown]
# ## Three questions
#
# **1.** A Gaussian's density is greatest at 0. Why then is z = 0 such an untypical noise?
#
# <details><summary>Answer</summary>
#
# Density is probability *per volume*, and there is hardly any volume near 0. A shell of radius r has a volume that grows like $r^{99}$; the
# density falls like $e^{-r^2/2}$. The product is greatest at $r = \sqrt{99}$. Typical is not what is most likely as a point, but where most of
# the probability is.
#
# </details>
#
# **2.** Your friend found a "smile direction" from five smiling faces and five others, and shows you one face on which it works. What
# do you say?
#
# <details><summary>Answer</summary>
#
# Its error has length $\sqrt{100\,(1/5 + 1/5)} = 6.3$, against a signal of about 1.6 for an attribute that half of the faces have. So
# most of the direction is chance, and a push of strength 8 along any direction makes *some* face smile. Ask for fresh faces, many, a count
# before and after, and a random direction beside it.
#
# </details>
#
# **3.** Along the direction for black hair nearly all faces get it, if they are pushed far enough. Along that for brown far fewer do. What
# might be different?
#
# <details><summary>Answer</summary>
#
# The plane is only a picture. Black is at an end: nothing is darker, so "more of it" stays black. Brown lies *between* chestnut, orange and blond:
# walk on, and you may come out on the other side. Such an attribute is a slab and not a half-space, and a straight direction goes through it.
#
# </details>
#
# ## What comes next
#
# You have been everywhere in a GAN now: from the slope of a program to the shape of its dreams. One thing is left. All of this ran on NumPy,
# fast enough to train while you read. How? **Lesson 14** takes one layer from plain loops to what minigan does, and measures every step.

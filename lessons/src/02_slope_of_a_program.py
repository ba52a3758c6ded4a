# %% [markdown]
# # Lesson 2: The slope of a program
#
# A network is a program. Learning means: find out which way each of its millions of numbers should move, and move it.
# For that somebody has to write, beside every function, a second one that computes slopes. In this course that somebody
# is you, and slopes are the easiest thing in the world to get slightly wrong: a wrong one runs, has the right shape,
# and the network even learns, only worse.
#
# So before you write a single slope you build the instrument that will tell you whether it is right.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 2.1 | a numeric gradient: every input moved a little | 10 |
# | 2.2 | a probe: the same along one random direction, at a fraction of the cost | 5 |
# | 2.3 | the size of the step, and why smaller is not better | 5 |
# | 2.4 | when a measurement is not to be believed | 10 |
# | 2.5 | **kill the mutants**: your gradient check against 35 wrong programs and 12 right ones | 50 |
# | 2.6, 2.7 | break it: a gradient in a hurry, and four checks that are ill | 20 |
#
# With reading, about two hours and a half. You need lesson 1 (arrays, broadcasting) and what a derivative is; the chain rule is
# derived again. Everything runs in seconds.

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook
from lessons.exercises import lesson02
from lessons.notebook import check

# %% [markdown]
# ## The idea
#
# ### One input, one output, by hand
#
# Take $f(x) = x^3$ at $x = 2$. Calculus says that its slope there is $3x^2 = 12$. Suppose you knew no calculus and had
# only the program. Move the input by $h = 0.1$ and look:
#
# $$\frac{f(2.1) - f(2)}{0.1} = \frac{9.261 - 8}{0.1} = 12.61$$
#
# Close. Now step to *both* sides, and divide by the whole way from one end to the other, $2h$:
#
# $$\frac{f(2.1) - f(1.9)}{0.2} = \frac{9.261 - 6.859}{0.2} = 12.01$$
#
# Much closer, for one more evaluation. The picture shows why: a line through two points left and right of $x$ runs
# nearly parallel to the tangent, because what the curve bends away on one side it also bends away on the other. (It
# takes a step of 0.5, so that the lines can be told apart.)

# %% tags=["picture"]
notebook.show(
    figures.slope.secants(lambda x: x**3, 2.0, 0.5, 12.0),
    "The cube near 2 with its tangent, a steeper line through x and x + h, and a line through x - h and x + h that is "
    "nearly parallel to the tangent.",
)

# %% [markdown]
# ### Several inputs, several outputs, by hand
#
# A layer takes many numbers and returns many numbers. Here is a small one with two of each:
#
# $$f(a, b) = (a\,b,\; a + b) \qquad\text{at}\qquad a = 3,\; b = 2: \qquad y = (6, 5)$$
#
# What is *the* slope of that? There are four of them, each output with respect to each input. But a layer never stands
# alone. Behind it come other layers, and at the end one number, the loss. They tell this layer how much the loss rises
# when each of its outputs rises: that is **dy**, one number for each output. Say `dy = (2, -1)`: the loss rises by 2
# when the first output rises by 1, and falls by 1 when the second does.
#
# So the only number about which anybody asks is
#
# $$L = \texttt{sum(y * dy)} = 2 \cdot 6 - 1 \cdot 5 = 7$$
#
# and now "slope" means something for each input. Move $a$ to 3.1 and to 2.9:
#
# $$y = (6.2, 5.1):\; L = 7.3 \qquad y = (5.8, 4.9):\; L = 6.7 \qquad \frac{7.3 - 6.7}{0.2} = 3$$
#
# Move $b$ to 2.1 and to 1.9:
#
# $$y = (6.3, 5.1):\; L = 7.5 \qquad y = (5.7, 4.9):\; L = 6.5 \qquad \frac{7.5 - 6.5}{0.2} = 5$$
#
# The pair $(3, 5)$ is **dx**, the gradient: it has the shape of the input, and says how much the loss rises when each
# input rises. Every backward function of this course computes exactly that, from `dy`, without moving anything.
#
# ### Both at once
#
# Here comes the trick that makes checking cheap. Move *both* inputs, along $v = (1, -2)$. If the slopes are 3 and 5,
# the slope along $v$ must be $3 \cdot 1 + 5 \cdot (-2) = -7$. Measure it, with $h = 0.1$:
#
# $$f(3.1, 1.8) = (5.58, 4.9):\; L = 6.26 \qquad f(2.9, 2.2) = (6.38, 5.1):\; L = 7.66$$
#
# $$\frac{6.26 - 7.66}{0.2} = -7$$
#
# Two evaluations have tested both slopes. They would have tested two million.

# %% [markdown]
# ## The derivation
#
# ### What a backward function has to return
#
# Let the inputs move by small amounts $\delta x_j$. Each output moves by
#
# $$\delta y_i = \sum_j \frac{\partial y_i}{\partial x_j}\, \delta x_j$$
#
# The loss moves by what all outputs contribute, and `dy` says how much each counts:
#
# $$\delta L = \sum_i dy_i\, \delta y_i$$
#
# Put the first line into the second, and sort by $j$ instead of by $i$:
#
# $$\delta L = \sum_i dy_i \sum_j \frac{\partial y_i}{\partial x_j}\, \delta x_j
# = \sum_j \Big( \underbrace{\sum_i dy_i \frac{\partial y_i}{\partial x_j}}_{dx_j} \Big)\, \delta x_j$$
#
# The bracket is what backward returns. That is the chain rule, and all of it. Two things are worth noticing.
#
# * If `dy` is held fixed, the bracket is the gradient of the plain number `sum(f(x) * dy)`. So **a backward is right if
#   and only if it gives the gradient of `sum(f(x) * dy)`, for every `dy`.** That can be measured.
# * Move along a direction, $\delta x_j = h\,v_j$: then $\delta L = h \sum_j dx_j v_j$. So **the slope along v is
#   `sum(dx * v)`**, which is what you found above, $-7$.
#
# ### Why two sides beat one
#
# Write $f$ near $x$ as its Taylor series, for a step to the right and a step to the left:
#
# $$f(x + h) = f + h f' + \tfrac{h^2}{2} f'' + \tfrac{h^3}{6} f''' + \dots$$
#
# $$f(x - h) = f - h f' + \tfrac{h^2}{2} f'' - \tfrac{h^3}{6} f''' + \dots$$
#
# One side: subtract $f$ from the first line, divide by $h$.
#
# $$\frac{f(x+h) - f(x)}{h} = f' + \tfrac{h}{2} f'' + \dots$$
#
# Two sides: subtract the second line from the first. The terms with even powers are equal, and go.
#
# $$f(x+h) - f(x-h) = 2 h f' + \tfrac{h^3}{3} f''' + \dots$$
#
# $$\frac{f(x+h) - f(x-h)}{2h} = f' + \tfrac{h^2}{6} f''' + \dots$$
#
# What is left over is the **truncation error**. Test it on the cube: $f'' = 6x = 12$, $f''' = 6$. One side should be
# wrong by $\frac{0.1}{2} \cdot 12 = 0.6$ and two sides by $\frac{0.01}{6} \cdot 6 = 0.01$. You measured 12.61 and
# 12.01.
#
# ### Why smaller is not better
#
# Truncation shrinks with $h$, so why not take $h = 10^{-15}$? Because the computer does not know $f(x+h)$. It knows it
# to about 16 digits: a value $f$ comes back as $f \cdot (1 + \delta)$, with $|\delta|$ up to
# $\varepsilon = 1.1 \cdot 10^{-16}$ in float64 and $6 \cdot 10^{-8}$ in float32.
#
# Both values are wrong by up to $\varepsilon |f|$, so their difference is wrong by up to $2 \varepsilon |f|$, and
# dividing by $2h$ makes of that a **rounding error** of
#
# $$\frac{2 \varepsilon |f|}{2 h} = \frac{\varepsilon |f|}{h}$$
#
# which *grows* as $h$ shrinks. At $h = 10^{-15}$ it is about 0.1: one digit, if you are lucky. Both errors together:
#
# $$E(h) = \frac{\varepsilon |f|}{h} + \frac{h^2}{6} |f'''|$$
#
# The best $h$ is where this is lowest. Set its derivative to zero:
#
# $$-\frac{\varepsilon |f|}{h^2} + \frac{h}{3} |f'''| = 0
# \qquad\Longrightarrow\qquad h^3 = \frac{3\, \varepsilon |f|}{|f'''|}
# \qquad\Longrightarrow\qquad h = \sqrt[3]{\frac{3\, \varepsilon |f|}{|f'''|}}$$
#
# With $|f|$ and $|f'''|$ around 1, which is what one has in a network:
#
# | | $\varepsilon$ | best $h$ | error there |
# |---|---|---|---|
# | float64 | $1.1 \cdot 10^{-16}$ | $\sqrt[3]{3.3 \cdot 10^{-16}} = 7 \cdot 10^{-6}$ | $(1.6 + 0.8) \cdot 10^{-11}$ |
# | float32 | $6 \cdot 10^{-8}$ | $\sqrt[3]{1.8 \cdot 10^{-7}} = 6 \cdot 10^{-3}$ | $(1.1 + 0.5) \cdot 10^{-5}$ |
#
# Between ten and eleven good digits in float64; not five in float32, and that is for values around 1 and the best step. **Gradients are
# checked in float64**, also when the network will run in float32.
#
# The same for one side, to see what the second evaluation buys: $E = 2\varepsilon|f|/h + h|f''|/2$ is lowest at
# $h = 2\sqrt{\varepsilon} = 2 \cdot 10^{-8}$, where it is $2 \cdot 10^{-8}$. A thousand times worse. (The survey by
# Baydin and others, arXiv:1502.05767, has this trade-off and how automatic differentiation gets around it.)

# %% [markdown]
# ### Exercise 2.1: the numeric gradient   *(10 minutes)*
#
# Write `numeric_gradient(f, x, dy, h)`. `f` takes an array like `x` and returns an array like `dy`. Return an array of
# the shape of `x`: in each place the slope of `sum(f(x) * dy)` with respect to this entry, by a centred difference.
#
# `x` belongs to the caller: leave it as it is. `np.ndindex(x.shape)` goes through all entries, whatever the shape. And
# subtract the two values of `f` *before* you multiply and add up; the difference of two long sums has lost more digits.
#
# ### Exercise 2.2: the probe   *(5 minutes)*
#
# Write `directional_slope(f, x, dy, v, h)`: the slope of `sum(f(x) * dy)` along `v`, one number. `v` has the shape of
# `x`, any length; leave its length alone, so that the result can be compared with `sum(dx * v)`.


# %% tags=["exercise"]
def numeric_gradient(f, x, dy, h=1e-5):
    """Slope of sum(f(x) * dy) with respect to every entry of x; an array of the shape of x."""
    # --- your code
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = h
        gradient[index] = np.sum((f(x + step) - f(x - step)) * dy) / (2 * h)
    return gradient
    # --- end


# %% tags=["exercise"]
def directional_slope(f, x, dy, v, h=1e-5):
    """Slope of sum(f(x) * dy) along v; one number."""
    # --- your code
    return np.sum((f(x + h * v) - f(x - h * v)) * dy) / (2 * h)
    # --- end


# %% [markdown]
# When a check finds something wrong it says where, and what it looks like. `hint=1`, `hint=2` and `hint=3` say more
# each time; `check("numeric_gradient", numeric_gradient, hint=3)` all but writes it for you.

# %% tags=["check"]
check("numeric_gradient", numeric_gradient)
check("directional_slope", directional_slope)

# %% [markdown]
# ### How many directions are enough?
#
# A gradient of $n$ numbers costs $2n$ evaluations entry by entry, and 2 along a direction. The discriminator that you
# will train has a kernel of 2,097,152 numbers: four million forward passes against two.
#
# Can a direction miss an error? Let $e$ be the wrong gradient minus the right one. The probe sees `sum(e * v)`, and
# that is zero if $v$ happens to lie exactly across $e$. If the entries of $v$ are drawn from a normal distribution,
# `sum(e * v)` is normal too, with standard deviation $|e|$, the length of $e$. It stays below a tolerance $t$ with
# probability
#
# $$P\big(|\texttt{sum(e * v)}| < t\big) \approx \frac{2t}{|e| \sqrt{2\pi}} = 0.8\, \frac{t}{|e|}$$
#
# An error of length 0.01 hides below a tolerance of $10^{-6}$ once in 12,500 draws. From three directions, once in
# $2 \cdot 10^{12}$. And it does not matter whether the error sits in one entry or in all of them: only its length
# counts.

# %% tags=["picture"]
probe = lesson02.if_right(lesson02.DIRECTIONAL_SLOPE, directional_slope)
place, cotangent = np.array([0.4, -0.3]), np.array([1.0, -0.8])


def bowl(x):
    return np.stack([np.tanh(1.3 * x[0] + x[1]), np.sin(x[0]) * x[1] ** 2])


true_gradient = lesson02.numeric_gradient(bowl, place, cotangent)
wrong_gradient = true_gradient * np.array([1.3, 0.3])
notebook.show(
    figures.slope.where_the_probe_looks(
        lambda x: float(np.sum(bowl(x) * cotangent)),
        place,
        true_gradient,
        wrong_gradient,
        lambda v: probe(bowl, place, cotangent, v),
    ),
    "Left: level lines of sum(y * dy) over two inputs, the gradient, and a wrong gradient. Right: the slope in every "
    "direction; the measured dots lie on the curve of the right gradient, which the curve of the wrong one "
    "crosses at two angles.",
)

# %% [markdown]
# ### Exercise 2.3: choose h   *(5 minutes)*
#
# **Predict before you run**: the next picture draws the error against the step, among others for two sides and for one
# side, both in float64. On logarithmic axes each is a V. On which arm do the two run close together, the left one (small
# steps) or the right one? And where they part, how much steeper is the one?
#
# <details><summary>Answer</summary>
#
# On the left. There the error is rounding, $\varepsilon |f| / h$ for two sides and at most twice that for one. On the right
# it is truncation, which falls with $h$ for one side and with $h^2$ for two: a tenth of the step takes one decade off the
# one, and two off the other. So two sides reach their best with a longer step, and lower.
#
# </details>
#
# Your probe measures the slopes of tanh, exp and sin, at many places and with steps of all sizes, in float64 and in
# float32. Read the picture from right to left. On the right arm the error falls with $h^2$, two decades for each decade
# of $h$; then rounding takes over, and on the left arm it grows with $1/h$. It is the V that the derivation promised.
#
# Then set `h_float64` and `h_float32`, for the two centred curves, each to within a factor of three or so of the best.

# %% tags=["picture"]
places = np.random.default_rng(0).uniform(-1.5, 1.5, notebook.fast(100, 30))
curves = ((np.tanh, lambda x: 1 - np.tanh(x) ** 2), (np.exp, np.exp), (np.sin, np.cos))


def typical_error(dtype, h, one_sided=False):
    """Median error of the measured slope over three functions and all places."""
    one, errors = np.ones(1, dtype), []
    for f, slope in curves:
        for x in places.astype(dtype):
            # One side of a width of 2h, seen from its left end, is the one-sided difference with step 2h.
            middle = x + dtype(h) if one_sided else x
            # float(h): a step that is a NumPy float64 would turn float32 arrays into float64 ones.
            errors.append(abs(probe(f, np.array([middle]), one, one, float(h)) - slope(float(x))))
    return float(np.median(errors))


steps64, steps32 = 10.0 ** np.arange(-11, -0.9, 0.5), 10.0 ** np.arange(-6, -0.4, 0.5)
notebook.show(
    figures.slope.v_curve(
        {
            "float64, both sides": (steps64, [typical_error(np.float64, h) for h in steps64]),
            "float64, one side": (steps64, [typical_error(np.float64, h / 2, one_sided=True) for h in steps64]),
            "float32, both sides": (steps32, [typical_error(np.float32, h) for h in steps32]),
        },
        {"(3 eps)^(1/3), float64": 7e-6, "(3 eps)^(1/3), float32": 6e-3},
    ),
    "Error of a measured slope against the step, on logarithmic axes: three curves in the shape of a V. The best step "
    "is near 0.00001 in float64 and near 0.005 in float32, where the error is a million times larger.",
)

# %% tags=["exercise"]
# --- your code: h_float64, h_float32 = None, None
h_float64, h_float32 = 1e-5, 5e-3
# --- end

# %% tags=["check"]
check("choose_h", h_float64, h_float32)

# %% [markdown]
# ### When not to believe it: kinks
#
# All this assumed a curve that bends gently. LeakyReLU does not bend, it *breaks*: its slope is 1 on the right of zero
# and 0.2 on the left. Stand at $x = 1$, a little to the right, and take too long a step, $h = 3$:
#
# $$\frac{f(4) - f(-2)}{6} = \frac{4 - (-0.4)}{6} = 0.733$$
#
# That is neither 1 nor 0.2. It is a mixture, and a right backward, which says 1, would stand accused. In a real layer
# $h$ is $10^{-5}$, but there are a million inputs, and some of them lie within $10^{-5}$ of zero.
#
# How could you notice? Measure again with half the step:
#
# $$\frac{f(2.5) - f(-0.5)}{3} = \frac{2.5 - (-0.1)}{3} = 0.867$$
#
# For a smooth function the two differ by no more than truncation, $\frac{h^2}{6}f''' - \frac{h^2}{24}f'''$, which is
# one part in $10^{10}$. Here they are 0.733 and 0.867. Where $h$ and $h/2$ disagree, throw the measurement away and
# draw another direction.
#
# **Predict before you run**: now $x = 0.001$, and the step grows from far below that to far above. What does the slope tend
# to when the step is a hundred times as long as the way to the kink? And do $h$ and $h/2$ disagree more and more?
#
# <details><summary>Answer</summary>
#
# From a distance $d$ to the kink, $h > d$ measures $\frac{(d + h) - 0.2\,(d - h)}{2h} = 0.6 + 0.4\,\frac{d}{h}$ (put in
# $d = 1$, $h = 3$: 0.733). It tends to 0.6, half of one side and half of the other. $h/2$ measures
# $0.6 + 0.8\,\frac{d}{h}$ once it crosses, too, so the two differ by $0.4\,\frac{d}{h}$: most at $h = 2d$, by 0.2, and *less
# and less* from there on. So a kink very close to $x$ is hard to notice. Question 1 at the end is about that.
#
# </details>

# %% tags=["picture"]
notebook.show(
    figures.slope.kink(
        lambda h: probe(lambda x: np.maximum(x, 0.2 * x), np.array([1e-3]), np.ones(1), np.ones(1), h), 1e-3, (0.2, 1.0)
    ),
    "Left: LeakyReLU with a short step on one side of its kink and a long one across it. Right: the measured "
    "slope against the step; once the step is longer than the distance to the kink, the curves for h and h/2 part.",
)

# %% [markdown]
# ### Exercise 2.4: a slope you can trust   *(10 minutes)*
#
# Write `trusted_slope(f, x, dy, v, h)`, which measures with `h` and with `h / 2` and returns two things: the slope (the
# one from `h / 2`) and `True` or `False`, whether the two agree.
#
# The hard part is "agree". Two measurements of a smooth function are never equal. How far apart may they be? Not
# 0.000001: that is much for a function whose values are around $10^{-6}$. Think of the two errors from above: one of
# them is a small *share of the slope*, the other is rounding, about $\varepsilon$ `sum(|f(x) * dy|)` $/\, h$.


# %% tags=["exercise"]
def trusted_slope(f, x, dy, v, h=1e-5):
    """The slope of sum(f(x) * dy) along v, and whether h and h/2 agree about it."""
    # --- your code
    coarse = directional_slope(f, x, dy, v, h)
    fine = directional_slope(f, x, dy, v, h / 2)
    rounding = 1e-14 * np.sum(np.abs(f(x) * dy)) / h  # eps is 1e-16; the rest is margin
    return fine, bool(abs(coarse - fine) <= 1e-6 * abs(fine) + rounding)
    # --- end


# %% tags=["check"]
check("trusted_slope", trusted_slope)

# %% [markdown]
# ### The dy that sees nothing
#
# To check a layer somebody has to choose `dy`. A popular choice is to add up the outputs, `L = y.sum()`, which is a
# `dy` of all ones. It is short, it is in many tutorials, and it is blind.
#
# Take a layer that subtracts the mean of a batch and divides by its standard deviation, and give it $x = (0, 3, 3)$.
# The mean is 2, the differences are $(-2, 1, 1)$, the variance is $(4 + 1 + 1)/3 = 2$, so
#
# $$y = (-1.414,\; 0.707,\; 0.707) \qquad \texttt{y.sum()} = 0$$
#
# Now move the last one from 3 to 6. The mean is 3, the differences are $(-3, 0, 3)$, the variance is 6:
#
# $$y = (-1.225,\; 0,\; 1.225) \qquad \texttt{y.sum()} = 0$$
#
# Of course: values with their mean subtracted add up to zero, whatever `x` is. So the gradient of `y.sum()` *is* zero,
# everywhere, and a backward that returns zeros passes. So does one that forgot half of the formula, if that half
# happens to be multiplied by `dy - dy.mean()`.
#
# "Then I take the squares", one might say, `L = (y**2).sum() / 2`, which is `dy = y`. But the squares of normalised
# values add up to $N$, whatever `x` is: $2 + 0.5 + 0.5 = 3$, and $1.5 + 0 + 1.5 = 3$. Blind again.
#
# This layer is batch normalisation (Ioffe and Szegedy, arXiv:1502.03167). It stands in your network eight times, its
# backward is the hardest of the course, and the two most popular checks would let you return zeros. **dy is drawn at
# random.**


# %% tags=["picture"]
def normalised(x):
    return (x - x.mean()) / x.std()


random_dy = np.array([0.9, -1.3, 0.4])
notebook.show(
    figures.slope.blind_cotangents(
        normalised,
        np.array([0.2, 1.2, 2.0]),
        {
            "dy of ones: sum(y)": np.ones_like,
            "dy = y: sum of the squares": lambda y: y,
            "a random dy": lambda y: random_dy,
        },
    ),
    "Left: three normalised values while one input moves; all three change. Right: the sum and the sum of squares "
    "stay constant, and only the sum with random weights changes.",
)

# %% [markdown]
# **Predict before you go on**: three layers, tanh, softmax (positive numbers that add up to 1) and the transpose of a square
# array. Somebody checks them with `L = y.sum()`. In which of the three would a backward that returns only zeros pass? In
# which would one pass that returns `dy` as it came?
#
# <details><summary>Answer</summary>
#
# Zeros pass for softmax: its outputs add up to 1 whatever `x` is, so that sum has the slope 0 everywhere. Returning `dy`
# passes for the transpose: it should be turned back, but an array of ones looks the same from both sides. For tanh both
# are found out; what would pass there is a backward that forgets `dy`, since a factor of 1 is not missed.
#
# </details>
#
# ### Exercise 2.5: kill the mutants   *(50 minutes)*
#
# Now put it together. Who checks the checkers? One takes right functions, breaks them on purpose, and counts how many
# of the **mutants** a check kills. (The idea is from 1978: DeMillo, Lipton and Sayward, "Hints on test data
# selection".) A check is good if every mutant is killed *and* no right one is accused: `return False` kills them all,
# and is of no use.
#
# Write `gradients_agree(forward, backward, arguments, rng)`, `True` if backward is right:
#
# * `forward(*arguments)` returns `y` and a `cache`; there may be one argument, or three;
# * `backward(dy, cache)` returns a tuple of gradients, one for each argument, in the same order;
# * draw from `rng` (`rng.standard_normal(shape)`), so that a verdict can be repeated;
# * the gradients that a backward returns may have any shape: answer `True` or `False`; do not raise.
#
# There are 12 right functions, and 35 mutants of them. You will see which ones survive, and a word about what they have
# in common. Go in three stages, each of which has its check:
#
# 1. smooth functions of one argument: a random `dy`, a random direction, and one comparison that is not about absolute size;
# 2. functions of several arguments, and gradients that have the wrong shape or write into `dy`;
# 3. all of them: kinks (`trusted_slope`), and numbers so small or so large that rounding counts. A version that passes
#    stage 2 accuses one or two that are innocent here. That is detective work.


# %% tags=["exercise"]
def gradients_agree(forward, backward, arguments, rng):
    """Whether backward returns the slopes of forward."""
    # --- your code
    y, cache = forward(*arguments)
    dy = rng.standard_normal(y.shape)
    gradients = backward(dy.copy(), cache)  # a copy: one of them writes into it
    for k, (x, gradient) in enumerate(zip(arguments, gradients, strict=True)):
        if gradient.shape != x.shape:  # before multiplying, which would stretch it in silence
            return False

        def f(moved, k=k):
            return forward(*arguments[:k], moved, *arguments[k + 1 :])[0]

        rounding = 1e-14 * np.sum(np.abs(y * dy)) / 1e-5
        probes = 0
        for _ in range(50):
            v = rng.standard_normal(x.shape)
            measured, trusted = trusted_slope(f, x, dy, v)
            if not trusted:
                continue
            claimed = np.sum(gradient * v)
            if abs(measured - claimed) > 1e-5 * max(abs(measured), abs(claimed)) + rounding:
                return False
            probes += 1
            if probes == 3:
                break
    return True
    # --- end


# %%
check("kill_the_mutants", gradients_agree, stage=1)
check("kill_the_mutants", gradients_agree, stage=2)

# %% tags=["check"]
check("kill_the_mutants", gradients_agree)

# %% [markdown]
# Beside yours, five checks as one finds them in the wild. All of them go entry by entry with $h = 10^{-5}$, and differ
# in one thing: a `dy` of ones; `dy = y`; a difference below $10^{-6}$ counts as none; only the first argument is looked
# at; float32.
#
# Read it column by column. The `dy` of ones lets a third of the mutants live. Float32 kills every mutant, and accuses
# nearly every right function too: a check that always says "wrong" is as useless as one that always says "right", and
# more annoying.

# %% tags=["picture"]
columns = {name: lesson02.survival(careless) for name, careless in lesson02.CARELESS.items()}
columns["yours"] = lesson02.yours(gradients_agree)
notebook.show(
    figures.slope.survival(columns),
    "A table of 12 right functions and 35 mutants against six checks. A dy of ones lets twelve mutants live, float32 "
    "accuses nearly every right function, and the last column, yours, has neither survivors nor accused.",
)

# %% [markdown]
# ## Break it
#
# ### Exercise 2.6: a gradient in a hurry   *(10 minutes)*
#
# This one is faster: it makes no new arrays. It has been in use for years, on tanh.


# %%
def hurried_gradient(f, x, dy, h=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        x[index] += h
        ahead = f(x)
        x[index] -= 2 * h
        behind = f(x)
        x[index] += h
        gradient[index] = np.sum((ahead - behind) * dy) / (2 * h)
    return gradient


x = np.array([[0.3, -0.7], [1.1, 0.2]])
before = x.copy()
print("tanh:   ", hurried_gradient(np.tanh, x, np.ones((2, 2))).round(4).tolist())
print("flatten:", hurried_gradient(lambda x: x.reshape(-1), x, np.ones(4)).tolist(), " (should be all ones)")
print("x has moved by", np.abs(x - before).max())

# %% [markdown]
# Flatten only changes the shape: each output *is* an input, and every slope is 1. It says 0. And somebody's `x` is not
# what it was.
#
# Find both reasons, then copy the function here and mend it.


# %% tags=["exercise"]
def repaired_gradient(f, x, dy, h=1e-5):
    """As the numeric gradient, right for every f, and without touching x."""
    # --- your code
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += h
        behind[index] -= h
        gradient[index] = np.sum((f(ahead) - f(behind)) * dy) / (2 * h)
    return gradient
    # --- end


# %% tags=["check"]
check("numeric_gradient", repaired_gradient)

# %% [markdown] tags=["solution"]
# `x.reshape(-1)` returns no new array but another view of the same memory. `ahead` and `behind` are then both `x`, as
# it is when they are subtracted: the difference is exactly 0. And `x + h - 2*h + h` is rounded three times, so `x` ends
# up a last digit away from where it began; after a million entries that is somebody else's bug.

# %% [markdown]
# ### Exercise 2.7: four checks, four illnesses   *(10 minutes)*
#
# Each of these is fine except for one thing. Write down which, as a number from this list:
#
# 1. dy is not random
# 2. h is too small
# 3. the tolerance does not know how large the numbers are
# 4. backward is given the very dy that the slope is measured with
# 5. only one argument is looked at
# 6. arrays of different shapes are multiplied
#
# If reading is not enough: `[t.name for t in lesson02.survival(check_a) if not t.good]` tries one on all mutants and right functions, and
# names those about which it is mistaken. (None of the four
# redraws where there is a kink; you may overlook that here.)


# %%
from lessons.exercises.lesson02 import only  # only(forward, arguments, k): forward as a function of argument k alone


def check_a(forward, backward, arguments, rng):
    y, cache = forward(*arguments)
    dy = np.ones(y.shape)
    for k, gradient in enumerate(backward(dy.copy(), cache)):
        v = rng.standard_normal(arguments[k].shape)
        measured = lesson02.directional_slope(only(forward, arguments, k), arguments[k], dy, v)
        if gradient.shape != v.shape or not np.isclose(np.sum(gradient * v), measured, rtol=1e-4, atol=1e-9):
            return False
    return True


def check_b(forward, backward, arguments, rng):
    y, cache = forward(*arguments)
    dy = rng.standard_normal(y.shape)
    for k, gradient in enumerate(backward(dy.copy(), cache)):
        v = rng.standard_normal(arguments[k].shape)
        measured = lesson02.directional_slope(only(forward, arguments, k), arguments[k], dy, v, h=1e-13)
        if gradient.shape != v.shape or not np.isclose(np.sum(gradient * v), measured, rtol=1e-4, atol=1e-9):
            return False
    return True


def check_c(forward, backward, arguments, rng):
    y, cache = forward(*arguments)
    dy = rng.standard_normal(y.shape)
    for k, gradient in enumerate(backward(dy, cache)):
        v = rng.standard_normal(arguments[k].shape)
        measured = lesson02.directional_slope(only(forward, arguments, k), arguments[k], dy, v)
        if gradient.shape != v.shape or not np.isclose(np.sum(gradient * v), measured, rtol=1e-4, atol=1e-9):
            return False
    return True


def check_d(forward, backward, arguments, rng):
    y, cache = forward(*arguments)
    dy = rng.standard_normal(y.shape)
    for k, gradient in enumerate(backward(dy.copy(), cache)):
        v = rng.standard_normal(arguments[k].shape)
        measured = lesson02.directional_slope(only(forward, arguments, k), arguments[k], dy, v)
        if not np.isclose(np.sum(gradient * v), measured, rtol=1e-4, atol=1e-9):
            return False
    return True


# %% tags=["exercise"]
# --- your code: causes = {"A": None, "B": None, "C": None, "D": None}
causes = {"A": 1, "B": 2, "C": 4, "D": 6}
# --- end

# %% tags=["check"]
check("name_the_causes", causes)

# %% [markdown]
# ## Three questions
#
# **1.** Somebody checks LeakyReLU at exactly `x = 0`. What does a centred difference measure there, do `h` and `h/2`
# agree, and what do you conclude?
#
# <details><summary>Answer</summary>
#
# $(h - (-0.2h)) / 2h = 0.6$, for every $h$. They agree perfectly, and 0.6 is the slope of neither side. Agreement of
# $h$ and $h/2$ finds kinks *near* $x$, not *at* it. So test inputs are pushed away from zero, as minigan's checker
# does, and at exactly zero any slope between 0.2 and 1 may be called right; minigan takes 0.2, as Keras does.
#
# </details>
#
# **2.** A probe passes with flying colours. The layer's forward computes `x @ w - b` where `x @ w + b` was meant, and
# its backward returns `db = -dy.sum(axis=0)`. Why did the probe not notice, and what would?
#
# <details><summary>Answer</summary>
#
# Backward *is* the slope of forward, of the wrong forward. A gradient check compares the two with each other, and knows
# nothing of what you meant. Forward has to be tested first, by other means: a number worked by hand, or a slow version
# with loops that nobody can get wrong.
#
# </details>
#
# **3.** Your check says that the gradients of a whole network in float32 are off by one part in a thousand. Is there a
# bug?
#
# <details><summary>Answer</summary>
#
# You cannot tell. In float32 the rounding error is $6 \cdot 10^{-8}\,|L| / h$; if $L$ is 10 and $h = 10^{-3}$ that is
# $6 \cdot 10^{-4}$, from rounding alone, and worse for a smaller step. Run the same code in float64. If the difference
# falls to $10^{-9}$, it was rounding; if it stays at one part in a thousand, something is wrong.
#
# </details>
#
# ## What comes next
#
# You have an instrument that tells a right slope from a wrong one, and that you have seen to fail when it is held
# carelessly. minigan's own checker, behind every `check("dense", ...)` from here on, is built on it: random directions,
# a random `dy`, float64, `h` and `h/2` compared. It then adds what your check does not do: it says *why*.
#
# In lesson 3 you write the first six layers, both ways, and at the end a network that bends a plane.

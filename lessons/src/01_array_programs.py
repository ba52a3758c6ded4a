# %% [markdown]
# # Lesson 1: Array programs
#
# An image of 64 x 64 pixels with three colours is 12,288 numbers. A batch of 64 of them is 786,432. If you write a loop for
# that in Python, you wait a tenth of a second; minigan makes a few hundred passes over such arrays in *one* training step.
#
# So there will be no loops in this lesson. (A loop passes the checks, if its numbers are right; they then ask whether it goes without. Only in 1.4, which asks for a view, it does not.) You will say **what** shall happen to a whole array, and NumPy does it at the
# speed of the machine. It feels like puzzles, and it is meant to: six of them, each solved in one to four lines. Sasha
# Rush's [Tensor Puzzles](https://github.com/srush/Tensor-Puzzles) had the idea first; ours lead up to a convolution.
#
# Under all six lies a single formula, and you will have derived it in half an hour.
#
# ## Who plays in this course
#
# You are going to build a **GAN** that draws faces: two networks that learn by playing against each other, and **DCGAN** is the
# one that does it with convolutions. The **generator**, G, turns random numbers z, the noise, into an image. The
# **discriminator**, D, looks at an image and says how sure it is that it is a real one and not one of G's. A network is a list
# of **layers**, functions from array to array with numbers of their own that are learned; each has a *forward*, which computes,
# and a *backward*, which tells how much every number should change. What forward keeps for its backward is called the
# **cache**. (All these words, and those to come, are in the [glossary](glossary.md).)
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 1.1 | **rings**: broadcasting | 10 |
# | 1.2 | **fair rows**: reductions, and `keepdims` | 5 |
# | 1.3 | **how many bytes to the next one?** strides, views and copies | 15 |
# | 1.4 | **windows**: every patch of an image, without copying a byte | 15 |
# | 1.5 | **weighing**: `einsum`; and with 1.4 you have a convolution | 10 |
# | 1.6 | **two libraries, one function**: NumPy and CuPy | 10 |
# | 1.7, 1.8 | break it: a trap that makes no noise, and a copy that is none | 10 |
# | 1.9 to 1.13 | five more, for the train ride | 20 |
#
# About two hours with reading, without the train ride. You need Python, and to have met NumPy: you know what `np.arange(5)` and `x[2:4]` do.
#
# **How it works.** Every exercise is a cell with a gap. Fill it, run it, and run the cell below it, which checks. If it says
# `FAIL`, it also says what is wrong and usually why. (Cells that are folded away have nothing for you to do: run them like the
# others. The first one finds minigan.) Stuck? Put `hint=1`, `hint=2` or `hint=3` into the check, as in
# `check("rings", rings, hint=2)`: the third one gives the way out. Nothing here can break: run cells as often as you like.

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook
from lessons.exercises import lesson01
from lessons.notebook import check

# %% [markdown]
# ## The idea
#
# Here is a matrix of 3 rows and 4 columns. Memory has no rows and no columns. It is one long strip, so the three rows lie
# there one behind the other:

# %% tags=["picture"]
notebook.show(
    figures.arrays.memory(3, 4),
    "Left: a matrix of 3 rows and 4 columns with the numbers 0 to 11. Right: the same numbers as one strip, row after "
    "row. One column on is 1 place, 4 bytes; one row on is 4 places, 16 bytes.",
)

# %% [markdown]
# **Where is `x[1, 2]`?** Row 1, column 2. To get to row 1, you pass one whole row: 4 numbers. Then 2 more. So it is at place
#
# $$ 1 \cdot 4 + 2 \cdot 1 = 6, $$
#
# and the picture agrees. Do one yourself before you read on: where is `x[2, 3]`? (At $2 \cdot 4 + 3 \cdot 1 = 11$, the last.)
#
# The two numbers 4 and 1 say how far *one step along each axis* goes in memory. They are called **strides**. NumPy counts
# them in bytes. A `float32` has 4 bytes, so here they are 16 and 4:

# %%
x = np.arange(12, dtype=np.float32).reshape(3, 4)
print("shape", x.shape, "  strides", x.strides)
print("x[1, 2] =", x[1, 2])

# %% [markdown]
# An array is nothing more than that: a strip of memory, a **shape** (how many along each axis), and **strides** (how far one
# step goes). Now comes the trick on which everything rests. *The shape and the strides can be changed without touching the
# strip.* What is `x.T`, the transpose? The same 12 numbers in the same places; only "one step down" and "one step to the
# right" have exchanged their meaning.

# %% tags=["picture"]
notebook.show(
    figures.arrays.visits(x, {"x": x, "x.T": x.T, "x[1:, 1:3]": x[1:, 1:3]}),
    "Three strips of the same 12 numbers, with arrows from each visit to the next: x from left to right; x.T in steps of "
    "4, and back; a slice of 2 x 2 visits the places 5, 6, 9 and 10 only.",
)

# %% [markdown]
# `x.T` and `x[1:, 1:3]` are **views**: other glasses, same memory. They cost nothing, however large `x` is. And writing
# through one pair of glasses changes what is seen through all of them. We shall pay for forgetting that, in 1.8.
#
# ## The derivation
#
# ### One formula
#
# Let an array have the shape $(n_0, n_1, \dots, n_{d-1})$ and the strides $(s_0, s_1, \dots, s_{d-1})$. Start at the address of
# its first element. Every step along axis 0 adds $s_0$; $i_0$ of them add $i_0 s_0$. The same for the other axes:
#
# $$ \text{address}(i_0, i_1, \dots) \;=\; \text{start} + i_0 s_0 + i_1 s_1 + \dots + i_{d-1} s_{d-1}. \tag{1} $$
#
# That is all. The rest of this lesson is (1) with different strides.
#
# ### The strides of a fresh array
#
# In a fresh array the last axis is dense: $s_{d-1} = b$, the bytes of one number. One step along the axis before it passes a
# whole run of the last one, $n_{d-1}$ numbers:
#
# $$ s_{d-2} = n_{d-1}\, s_{d-1}, \qquad s_{d-3} = n_{d-2}\, s_{d-2}, \qquad \dots \qquad s_k = b \cdot n_{k+1} n_{k+2} \cdots n_{d-1}. $$
#
# For a batch of images `(N, H, W, C)` = `(64, 64, 64, 3)` in `float32`, line by line:
#
# | axis | one step is | stride in bytes |
# |---|---|---|
# | C | one colour on | 4 |
# | W | one pixel to the right: 3 colours | 3 x 4 = 12 |
# | H | one row down: 64 pixels | 64 x 12 = 768 |
# | N | one image on: 64 rows | 64 x 768 = 49,152 |
#
# So the colours of a pixel are neighbours in memory and the images are far apart. This is the layout of all of minigan
# ("channels last"), and whenever you sum over N, H and W and keep C, you will think of this table.
#
# ### Broadcasting is stride 0
#
# What is a **row** of 4 numbers, added to every row of a 3 x 4 matrix? The row has the shape `(4,)`. It has to look like
# `(3, 4)`: one step down should give *the same numbers again*. In (1), that is a step that goes nowhere:
#
# $$ s_0 = 0, \qquad s_1 = 4. $$
#
# Nothing is copied. NumPy does this by itself whenever two shapes meet, by a rule of two lines:
#
# 1. Write the shapes one below the other, **flush right**; fill up with 1 on the left.
# 2. On each axis the numbers must be equal, or one of them is 1; that one is stretched, with stride 0.
#
# ```
#    x      (3, 4)           column   (3, 1)           x       (3, 4)
#    row       (4,)          row         (4,)          v          (3,)
#    ----------------        ------------------        ----------------
#    result (3, 4)           result   (3, 4)           3 is not 4: error
# ```
#
# The one in the middle is the most useful of all: *a column and a row make a matrix*. To make a column of a vector `v`, write
# `v[:, None]`: its shape becomes `(3, 1)`.

# %% tags=["picture"]
notebook.show(
    figures.arrays.broadcasting(np.array([0, 10, 20]), np.array([1, 2, 3, 4])),
    "A column 0, 10, 20, stretched to four columns; a row 1, 2, 3, 4, stretched to three rows; and their sum, a matrix of "
    "3 rows and 4 columns from 1 to 24. The stretched copies are hatched.",
)

# %% [markdown]
# ### Exercise 1.1: rings   *(10 minutes)*
#
# Throw a stone into a pond of H x W cells. Give every cell the **square of its distance from the middle** of the board:
# for H = 3 and W = 5 the middle cell gets 0, its left and right neighbours 1, the corners $1^2 + 2^2 = 5$. The result has
# the shape (H, W) and dtype float64. If H or W is even, the middle lies between two cells.
#
# No loop: a column, a row, and one plus.


# %% tags=["exercise"]
def rings(H, W):
    """Squared distance of every cell from the middle: an array of shape (H, W)."""
    # --- your code
    i = np.arange(H) - (H - 1) / 2  # (H,): how far each row is from the middle
    j = np.arange(W) - (W - 1) / 2  # (W,)
    return i[:, None] ** 2 + j**2  # (H, 1) and (W,) make (H, W)
    # --- end


# %% tags=["check"]
check("rings", rings)

# %% tags=["picture"]
notebook.show(
    figures.arrays.puzzle(lesson01.rings, rings, 7, 9),
    "Three panels: the target, a board of 7 x 9 cells with 0 in the middle and 25 in the corners; yours; and their "
    "difference, which is 0 everywhere.",
)

# %% [markdown]
# The left panel is what should come out, the middle one is yours, and the right one is the difference. Every puzzle has
# these three.
#
# ### Reductions: which axis disappears?
#
# `x.sum()`, `x.mean()`, `x.max()` crush an array. With `axis=` you say **which axis disappears**; I say it in these words
# because "along" and "over" confuse everybody. `x` has the shape `(H, W)`: after `axis=0`, H is gone, and what is left are W
# numbers, one for each column.
#
# By hand: $x = \begin{pmatrix} 1&2\\ 3&8 \end{pmatrix}$. Axis 0 disappears: $(\frac{1+3}{2}, \frac{2+8}{2}) = (2, 5)$. Axis 1
# disappears: $(\frac{1+2}{2}, \frac{3+8}{2}) = (1.5, 5.5)$.

# %% tags=["picture"]
notebook.show(
    figures.arrays.reductions(np.array([[1.0, 2, 6], [3, 8, 1]])),
    "A matrix of 2 rows and 3 columns; below it the means with axis=0, one for each column; and with axis=1, one for each "
    "row.",
)

# %% [markdown]
# Several axes may go at once: for images, `x.mean(axis=(0, 1, 2))` leaves C numbers, the mean colour. Lesson 10 lives on that.
#
# Now think: you want to *use* the row means, and take each from its own row. They have the shape `(H,)`. Rule 1 says flush
# right, so NumPy lays them along the **columns**. For most shapes that is an error. For H = W it is something worse. The cure is
# `keepdims=True`: the axis does not disappear but becomes 1, and `(H, 1)` fits beside `(H, W)`.
#
# ### Exercise 1.2: fair rows   *(5 minutes)*
#
# Subtract from every row of `x`, of shape (H, W), the mean of **that row**. Afterwards every row has mean 0. `x` itself stays as
# it is.


# %% tags=["exercise"]
def centre_rows(x):
    """Every row minus its own mean: (H, W) to (H, W)."""
    # --- your code
    return x - x.mean(axis=1, keepdims=True)  # (H, W) - (H, 1)
    # --- end


# %% tags=["check"]
check("centre_rows", centre_rows)

# %% tags=["picture"]
notebook.show(
    figures.arrays.puzzle(lesson01.centre_rows, centre_rows, np.array([[1.0, 2, 3], [10, 10, 40], [-2, 0, 8]])),
    "Three panels: the target, three rows each with mean 0: -1, 0, 1; -10, -10, 20; -4, -2, 6. Yours. The difference, 0.",
)

# %% [markdown]
# ### Views and copies
#
# Which expressions give new glasses, and which give new memory? By (1), a view exists exactly if *one stride for each axis* is
# enough to say where the numbers are.
#
# * Slices (`x[1:, ::2]`), `x.T`, `x[:, None]`, `np.broadcast_to`: always a view.
# * `reshape`: a view if the order in memory allows it, a copy otherwise. It does not tell you which.
# * Calculations (`x + 0`), lists of indices (`x[[2, 0, 1]]`), masks (`x[x > 0]`): always a copy.
#
# ### Exercise 1.3: how many bytes to the next one?   *(15 minutes)*
#
# Paper and pencil, and the strip above. `x` has the shape (3, 4) and dtype `float32`, so its strides are (16, 4). Write down the
# strides of these six views, in bytes, as tuples. Then say which of
#
# `x[0:2]`, `x[[0, 2]]`, `x.T`, `x.reshape(12)`, `x.T.reshape(12)`, `x + 0`
#
# are copies: a set of strings, such as `{"x.T"}`. (You *can* ask NumPy: `x[::-1].strides`, `np.shares_memory(a, b)`. Guess first;
# it is more fun, and you will remember it.)

# %% tags=["exercise"]
# --- your code: strides = {
#:     "x.T": None,
#:     "x[1]": None,
#:     "x[:, ::2]": None,
#:     "x[::-1]": None,
#:     "x.reshape(2, 6)": None,
#:     "np.broadcast_to(x[0], (3, 4))": None,
#: }
strides = {
    "x.T": (4, 16),  # exchanged
    "x[1]": (4,),  # one axis is left
    "x[:, ::2]": (16, 8),  # every second column
    "x[::-1]": (-16, 4),  # one step down goes up
    "x.reshape(2, 6)": (24, 4),  # counted anew: 6 numbers in a row
    "np.broadcast_to(x[0], (3, 4))": (0, 4),  # one step down stays where it is
}
# --- end
# --- your code: copies = None
copies = {"x[[0, 2]]", "x.T.reshape(12)", "x + 0"}
# --- end

# %% tags=["check"]
check("strides", strides, copies)

# %% [markdown]
# ### Windows: the formula at work
#
# A convolution looks at an image through a small window, everywhere. So it wants all windows of K x K pixels. For H = W = 64 and
# K = 4 these are 3,721 windows with 59,536 numbers, and nearly all of them are the *same* numbers, seen again and again. Must
# they be copied?
#
# Let `y[i, j]` be the window whose upper left corner is at row i, column j, and `y[i, j, k, l]` the pixel at row k, column l of that
# window. In the image, this is row $i + k$ and column $j + l$:
#
# $$ y[i, j, k, l] = x[i + k,\; j + l]. $$
#
# Where does it lie in memory? Put it into (1), and sort by letters:
#
# $$
# \begin{aligned}
# \text{address} &= \text{start} + (i + k)\, s_0 + (j + l)\, s_1 \\
#                &= \text{start} + i\, s_0 + j\, s_1 + k\, s_0 + l\, s_1 .
# \end{aligned}
# $$
#
# Read the second line as (1) once more. It is the address in an array with **four** axes, whose strides are
# $(s_0, s_1, s_0, s_1)$. So `y` *is a view of `x`*. All windows, no copies, one line.
#
# How many windows are there? The first starts at row 0, and the last must end at row $H - 1$, so it starts at $H - K$. From 0 to
# $H - K$ these are $H - K + 1$. For H = 4 and K = 2: rows 0, 1, 2, which is 3.

# %% tags=["picture"]
notebook.show(
    figures.arrays.windows(np.arange(20.0).reshape(4, 5), 2),
    "Left: a matrix of 4 x 5 with three windows of 2 x 2 framed. Right: all 3 x 4 windows side by side, with the same "
    "three framed.",
)

# %% [markdown]
# NumPy lets you set shape and strides by hand: `np.lib.stride_tricks.as_strided(x, shape, strides)`. It believes every word you
# say: with wrong numbers it reads memory that is not yours. Nothing else in NumPy is so careless, so count twice. There is also
# `np.lib.stride_tricks.sliding_window_view(x, (K, K))`, which does this puzzle in one call. Do it by hand first. You will know
# what it does for the rest of your life.
#
# ### Exercise 1.4: windows   *(15 minutes)*
#
# Write `patches(x, K)`: from `x` (H, W) to `y` (H-K+1, W-K+1, K, K), as a **view**. `x` may be a slice or a transpose, so take its strides
# from `x.strides` and not from its shape.


# %% tags=["exercise"]
def patches(x, K):
    """Every K x K window of x, without copying: y[i, j, k, l] = x[i + k, j + l]."""
    # --- your code
    H, W = x.shape
    s0, s1 = x.strides
    return np.lib.stride_tricks.as_strided(x, (H - K + 1, W - K + 1, K, K), (s0, s1, s0, s1))
    # --- end


# %% tags=["check"]
check("patches", patches)

# %% tags=["picture"]
notebook.show(
    figures.arrays.puzzle(lesson01.patches, patches, np.arange(20.0).reshape(4, 5), 3),
    "Three panels: the target, 2 x 3 windows of 3 x 3 numbers laid out side by side; yours; the difference, 0.",
)

# %% [markdown]
# ### `einsum`: give every axis a letter
#
# The last tool. A matrix product is $y_{no} = \sum_c x_{nc} w_{co}$. `einsum` lets you write exactly that, without the
# $\sum$: `np.einsum("nc,co->no", x, w)`. Its rule is short:
#
# * every axis of every array gets a letter, and equal letters run together;
# * letters behind the arrow are kept, in that order; **all others are summed over**.
#
# By hand, with $a = (1, 2)$ and $b = (3, 5)$:
#
# * `"i,i->i"` is $a_i b_i$, one number for every i: $(1 \cdot 3,\; 2 \cdot 5) = (3, 10)$.
# * `"i,i->"` is $\sum_i a_i b_i$: $3 + 10 = 13$. The i has gone from behind the arrow, so it is summed.
# * `"i,j->ij"` is $a_i b_j$, every i with every j: $\begin{pmatrix} 3&5\\ 6&10 \end{pmatrix}$.
# * `"i,j->"` is the sum of all four: $3 + 5 + 6 + 10 = 24$.
#
# ### Exercise 1.5: weighing   *(10 minutes)*
#
# You have all windows of an image, `patches` (Ho, Wo, K, K), and O small images of what you are looking for, `kernels`
# (K, K, O). For every window and every kernel: multiply what lies on top of each other, and add up. The result has the shape
# (Ho, Wo, O).
#
# $$ y_{ijo} = \sum_k \sum_l p_{ijkl}\, w_{klo} $$


# %% tags=["exercise"]
def weigh(patches, kernels):
    """Every patch times every kernel, summed: (Ho, Wo, K, K) and (K, K, O) to (Ho, Wo, O)."""
    # --- your code
    return np.einsum("ijkl,klo->ijo", patches, kernels)
    # --- end


# %% tags=["check"]
check("weigh", weigh)

# %% [markdown]
# **Look what you have done.** Windows, then weighing: that *is* a convolution, the operation that the C in DCGAN stands for
# ("deep convolutional"), in two lines. Here it is at work on one of minigan's drawn faces, with two kernels made by hand: one answers where
# it gets lighter from left to right, the other where it gets lighter from top to bottom.

# %% tags=["picture"]
from minigan.data.drawn.faces import draw_face

face = draw_face(3)[0].mean(axis=2) / 255  # grey, 0 to 1: which axis has disappeared?
kernels = np.stack([[[-1.0, 0, 1]] * 3, np.transpose([[-1.0, 0, 1]] * 3)], axis=2)  # (3, 3, 2)

my_patches, my_weigh = (
    notebook.yours(patches, lesson01.patches, alike=True),
    notebook.yours(weigh, lesson01.weigh, alike=True),
)
notebook.show(
    figures.arrays.edges(face, my_weigh(my_patches(face, 3), kernels), ("lighter to the right", "lighter downwards")),
    "A drawn face in grey, and the answers of two kernels: one draws the upright edges of hair, eyes and chin, the other "
    "the level ones.",
)

# %% [markdown]
# ### Two libraries, one function
#
# CuPy is NumPy on a graphics card: the same functions under the same names, `cupy.sqrt` for `np.sqrt`. Their arrays do not mix, and
# `np.sqrt` of a CuPy array is an error. So how does minigan run on both with one code? Every function first asks the array
# whose it is:
#
# ```python
# from minigan.nn.backend import xp_of
#
# xp = xp_of(x)      # numpy for NumPy's arrays, cupy for CuPy's
# y = xp.sqrt(x)
# ```
#
# Methods (`x.sum()`, `x.reshape()`) and operators (`+`, `*`, `@`) belong to the array anyway. Only *functions* have to be fetched from
# `xp`. You need no graphics card: the check brings a second library along, which is NumPy in disguise: NumPy's own functions refuse its arrays.
#
# ### Exercise 1.6: unit rows   *(10 minutes)*
#
# Divide every row of `x`, of shape (N, D), by its length $\sqrt{x_{n0}^2 + x_{n1}^2 + \dots}$, for NumPy's arrays and all others.
# Row (3, 4) has the length 5 and becomes (0.6, 0.8). Lesson 13 walks through the space of all faces with this.

# %% tags=["exercise"]
from minigan.nn.backend import xp_of


def unit_rows(x):
    """Every row of x, brought to length 1, in x's own library: (N, D) to (N, D)."""
    # --- your code
    xp = xp_of(x)
    return x / xp.sqrt((x * x).sum(axis=1, keepdims=True))  # (N, D) / (N, 1)
    # --- end


# %% tags=["check"]
check("unit_rows", unit_rows)

# %% tags=["picture"]
points = np.random.default_rng(5).standard_normal((14, 2))
notebook.show(
    figures.arrays.circle(points, notebook.yours(unit_rows, lesson01.unit_rows, alike=True)(points)),
    "Fourteen points of the plane, each joined by a dotted line to the place on the circle of radius 1 where its "
    "direction points.",
)

# %% [markdown]
# ## Break it
#
# A bug that raises an error costs you a minute. One that does not can cost a week of training. Here are the two that array
# programs are famous for.
#
# ### Exercise 1.7: a trap that makes no noise   *(5 minutes)*
#
# Somebody has forgotten `keepdims` in 1.2. Try it: for most matrices NumPy complains at once.
#
# ```python
# def centre_rows_broken(x):
#     return x - x.mean(axis=1)
# ```
#
# Find a matrix for which it says *nothing* and is *wrong*.

# %% tags=["exercise"]
# --- your code: trap = None  # a matrix: np.array([[...], [...]])
trap = np.array([[1.0, 2.0], [3.0, 4.0]])  # square: (2,) fits (2, 2), but lies along the columns
# --- end

# %% tags=["check"]
check("silent_trap", trap)

# %% [markdown]
# ### Exercise 1.8: a copy that is none   *(5 minutes)*
#
# `framed(x)` shall return a **copy** of `x` with zeros on the border. This one returns the right thing, every time, and still
# ruins your data. Run it, look at what it returns and at what has become of `x`, and write it anew without the mistake.


# %%
def framed_broken(x):
    y = x[:]
    y[0] = y[-1] = 0
    y[:, 0] = y[:, -1] = 0
    return y


x = np.ones((4, 5))
print("returns", framed_broken(x), "and x is now", x, sep="\n")


# %% tags=["exercise"]
def framed(x):
    """A copy of x, of shape (H, W), with zeros in the first and last row and column."""
    # --- your code
    y = x.copy()  # x[:] is a view: whatever is painted on it, x gets too
    y[0] = y[-1] = 0
    y[:, 0] = y[:, -1] = 0
    return y
    # --- end


# %% tags=["check"]
check("framed", framed)

# %% tags=["picture"]
notebook.show(
    figures.arrays.puzzle(lesson01.framed, framed, np.arange(1.0, 21).reshape(4, 5)),
    "Three panels: the target, a matrix of 4 x 5 with zeros all around and 7, 8, 9, 12, 13, 14 inside; yours; the "
    "difference, 0.",
)

# %% [markdown]
# ## Five more, for the train ride
#
# No new ideas, no hurry, and nothing later needs them. Each is one line, or two.
#
# ### Exercise 1.9: steps   *(3 minutes)*
#
# How much does every row of `x` (H, W) rise from one column to the next? The result has W - 1 columns.
#
# ### Exercise 1.10: one hot   *(4 minutes)*
#
# `labels` (N,) holds whole numbers from 0 to C - 1. Make a matrix (N, C) of zeros, with a 1.0 in every row, in the column that
# the label says.


# %% tags=["exercise"]
def steps(x):
    """From one column to the next: (H, W) to (H, W-1)."""
    # --- your code
    return x[:, 1:] - x[:, :-1]
    # --- end


def one_hot(labels, C):
    """A single 1 in every row: (N,) to (N, C)."""
    # --- your code
    return (labels[:, None] == np.arange(C)).astype(float)
    # --- end


# %% tags=["check"]
check("steps", steps)
check("one_hot", one_hot)

# %% tags=["picture"]
notebook.show(
    figures.arrays.puzzle(lesson01.one_hot, one_hot, np.array([2, 0, 3, 1, 1, 2]), 4),
    "Three panels: the target, six rows with a single 1 in the columns 2, 0, 3, 1, 1, 2; yours; the difference, 0.",
)

# %% [markdown]
# ### Exercise 1.11: counts   *(2 minutes)*
#
# How often does each of the labels 0 to C - 1 come? Shape (C,), whole numbers. A histogram, and still no loop.
#
# ### Exercise 1.12: halve   *(6 minutes)*
#
# Images (N, H, W, C), H and W even, at half the size: every new pixel is the mean of a block of 2 x 2, each colour by itself.


# %% tags=["exercise"]
def counts(labels, C):
    """How often each label comes: (N,) to (C,)."""
    # --- your code
    return (labels[:, None] == np.arange(C)).sum(axis=0)
    # --- end


def halve(x):
    """Means of blocks of 2 x 2: (N, H, W, C) to (N, H/2, W/2, C)."""
    # --- your code
    N, H, W, C = x.shape
    return x.reshape(N, H // 2, 2, W // 2, 2, C).mean(axis=(2, 4))
    # --- end


# %% tags=["check"]
check("counts", counts)
check("halve", halve)

# %% [markdown]
# ### Exercise 1.13: who is nearest?   *(5 minutes)*
#
# For every row of `a` (N, D): the number of the row of `b` (M, D) that is nearest to it, all N x M pairs at once. With M = 5,000
# faces for rows this is how lesson 13 asks whether a network has learned faces by heart.


# %% tags=["exercise"]
def nearest_rows(a, b):
    """The nearest row of b for every row of a: (N, D) and (M, D) to (N,), whole numbers."""
    # --- your code
    return ((a[:, None] - b) ** 2).sum(axis=2).argmin(axis=1)  # (N, 1, D) - (M, D) is (N, M, D)
    # --- end


# %% tags=["check"]
check("nearest_rows", nearest_rows)

# %% [markdown]
# ## Three questions
#
# Answer in your head, or better aloud, and then look.
#
# **1.** `a` has the shape (64, 1) and `b` the shape (64,). What is the shape of `a - b`? Why is `((a - b) ** 2).mean()` a well-known way to
# ruin a loss?
#
# <details><summary>Answer</summary>
#
# (64, 64). Flush right, `b` is a row, and a column with a row makes a matrix: all 4,096 *pairs*, and not the 64 differences
# you meant. The mean of it is a number of about the right size, so nobody notices. `a` was a network's output with its channel axis, `b`
# the labels without. That is why minigan's loss refuses two different shapes.
#
# </details>
#
# **2.** Say `x.reshape(6, 2, 8, 2).mean(axis=(1, 3))` in words, for `x` of shape (12, 16). Why is `x.reshape(2, 6, 2, 8).mean(axis=(0, 2))` something
# else?
#
# <details><summary>Answer</summary>
#
# An image of half the size: every pixel is the mean of a block of 2 x 2. Row r is $2i + k$: i counts blocks of two rows, k the rows in
# a block, and because the *later* axis is the one with the small stride, k has to come right behind i. The other one splits r as
# $6k + i$: it takes the mean of rows 0 and 6, 1 and 7, ... and lays the upper half of the image over the lower one.
#
# </details>
#
# **3.** `y = patches(x, 3)`, made with `as_strided`, and then `y[0, 0, 1, 1] = 100`. How many numbers of `y` are 100 now? (Say x is 10 x 10 and has no 100 in it.)
#
# <details><summary>Answer</summary>
#
# `y[0, 0, 1, 1]` is the pixel `x[1, 1]`, so that is 100 now, and every window that contains it shows it. A window that starts at
# row i contains row 1 if i is 0 or 1, and the same for columns. So four: `y[0, 0, 1, 1]`, `y[0, 1, 1, 0]`, `y[1, 0, 0, 1]` and `y[1, 1, 0, 0]`. A pixel in the middle of the image is seen by
# nine windows. In lesson 8 this question comes back as "who touched this pixel?", and its answer is the gradient of a
# convolution.
#
# </details>
#
# ## What comes next
#
# You can now say in one line what would take four loops, and you know what it costs. Lesson 2 asks the question that all of
# deep learning is about: *if I move one of these numbers a little, how much does the result move?* You will build the
# instrument that measures it, and from then on it judges every gradient that you write.
#
# To read on: C. R. Harris and others, "Array programming with NumPy", arXiv:2006.10256, is short and tells the whole
# story.

# %% [markdown]
# # Lesson 4: A loss that does not explode
#
# The discriminator looks at an image and ends with one number, the logit z. A large z means "certainly real", a very negative one
# "certainly fake". The **loss** says how wrong that was. From it everything else follows: every gradient in both networks begins
# here.
#
# Its formula is in every textbook. Type it as it stands, and it works: for a few hundred steps. Then D becomes sure of itself, and
# your losses are `nan`. This lesson derives the formula, breaks it on purpose, and finds the one that cannot break. It has
# *fewer* operations, not more.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 4.1 | five numbers by hand | 10 |
# | 4.2 | break the textbook's formula, in three ways | 10 |
# | 4.3 | softplus | 10 |
# | 4.4, 4.5 | **the loss, forward and backward** | 20 |
# | 4.6 | the generator's two losses | 10 |
# | 4.7, 4.8 | break it: a loss that trains badly, and six suspects | 25 |
#
# About an hour and three quarters with reading. You need lesson 2 (slopes) and the sigmoid of lesson 3.
#
# Words: z is a logit, $p = \sigma(z) = \frac{1}{1+e^{-z}}$ the probability that D gives to "real", t the target: 1 for a real image, 0
# for a fake. (t may lie in between; you will see why.) ln is the natural logarithm, `np.log`; losses are in *nats*.

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook
from lessons.exercises import lesson04
from lessons.notebook import check
from minigan.nn.ops import sigmoid_forward

# %% [markdown]
# ## The idea
#
# A weather forecaster says "rain: 90 %". It rains. How wrong was that? Hardly. It stays dry. Very. And how wrong is "rain: 50 %"?
# The same in both cases.
#
# A fair penalty is **minus the logarithm of the probability that you gave to what then happened**:
#
# | D says p = | and it was real: $-\ln p$ | and it was fake: $-\ln(1-p)$ |
# |---|---|---|
# | 0.5 | 0.693 | 0.693 |
# | 0.9 | 0.105 | 2.303 |
# | 0.99 | 0.010 | 4.605 |
# | 0.999999 | 0.000001 | 13.8 |
#
# Being right and sure gains little; being wrong and sure costs without limit. Somebody who is punished like this will say exactly as
# much as they know. (Lesson 6 proves it: the best D gives the true share of real images.)
#
# Keep the first row in mind: **a D that knows nothing says 0.5 and pays ln 2 = 0.693 for each image**. D's loss has two parts, one on
# real images and one on fakes, so it begins at about $2\ln 2 = 1.386$. If your first step says 7, something is wrong
# before anything was learned.
#
# ### Exercise 4.1: five numbers by hand   *(10 minutes)*
#
# $$ L = -\,t\,\ln p \;-\; (1-t)\,\ln(1-p), \qquad p = \frac{1}{1+e^{-z}} $$
#
# With pencil and paper; two decimals are enough. Note that ln 9 = 2.197 is the logit of a nice probability. Which?

# %% tags=["exercise"]
# --- your code: numbers = {
#:     "loss at z = 0, t = 1": None,
#:     "loss at z = 0, t = 0.9": None,
#:     "loss at z = ln 9, t = 1": None,
#:     "loss at z = ln 9, t = 0": None,
#:     "best z for t = 0.9": None,
#: }
numbers = {
    "loss at z = 0, t = 1": 0.693,
    "loss at z = 0, t = 0.9": 0.693,  # both logarithms are ln(1/2), and the weights add up to 1
    "loss at z = ln 9, t = 1": 0.105,
    "loss at z = ln 9, t = 0": 2.303,
    "best z for t = 0.9": 2.197,
}
# --- end

# %% tags=["check"]
check("bce_by_hand", numbers)  # stuck? check(..., hint=1), then hint=2, hint=3

# %% tags=["picture"]
notebook.show(
    figures.loss.curves(lesson04.stable_bce, lambda z, t: sigmoid_forward(z)[0] - t),
    "Left: the loss against the logit for targets 1, 0.9 and 0; all three cross at z = 0 with the value ln 2; the curve for 0.9 has "
    "its lowest point, 0.325, at z = 2.20, the other two fall towards 0 for ever. Right: their slopes, the same S-shaped curve "
    "shifted down by the target.",
)

# %% [markdown]
# Three things to see, left: all curves meet in ln 2 at z = 0. A wrong and sure answer costs about |z|, a straight line: it is
# the sure *logit* that hurts, not the probability. And the soft target 0.9 has a lowest point, above 0.
#
# ## The derivation
#
# ### Where the formula comes from
#
# D says that an image is real with probability p. Then the probability of what *really* was the case is
#
# $$ P(t) \;=\; \begin{cases} p & t = 1\\ 1-p & t = 0\end{cases} \;\;=\;\; p^{\,t}\,(1-p)^{1-t}, $$
#
# which is only a way to write both cases in one line: the exponents switch one factor off. For N independent images the
# probabilities multiply. The best D is the one to which the things that happened look most probable (maximum **likelihood**):
#
# $$ \begin{aligned}
#    &\prod_{n=1}^{N} p_n^{\,t_n}\,(1-p_n)^{1-t_n} && \text{as large as possible}\\
#    &\sum_{n} \bigl[\,t_n\ln p_n + (1-t_n)\ln(1-p_n)\,\bigr] && \text{as large as possible (ln rises, so the best D is the same)}\\
#    L \;=\; -\frac1N &\sum_{n} \bigl[\,t_n\ln p_n + (1-t_n)\ln(1-p_n)\,\bigr] && \text{as small as possible}
#    \end{aligned} $$
#
# The logarithm is no decoration. A product of thousands of numbers below 1 is 0 on a computer; a sum of their logarithms is a number.
# Dividing by N makes a mean of it, so that the size of the batch does not change the size of the gradient.
#
# ### Why it breaks
#
# Now put in D's logit. A fake (t = 0) that D takes for real, z = 20. The true loss is 20.000000002. On a computer, in float32:
#
# * $e^{-20} \approx 2\cdot10^{-9}$. Fine.
# * $1 + 2\cdot10^{-9} = $ **1**. float32 has 24 binary digits; next to 1 its neighbours lie $6\cdot10^{-8}$ below and $1.2\cdot10^{-7}$ above. The
#   $2\cdot10^{-9}$ is rounded away.
# * p = 1/1 = 1, $1 - p = 0$, $\ln 0 = -\infty$, and the loss is $+\infty$.
#
# And if the image is real (t = 1)? Then $(1-t)\ln(1-p) = 0\cdot(-\infty)$, which is **nan**: D was right, and sure, and that
# kills the run. From the loss the nan goes into every gradient, from there into every weight, and nothing ever brings it out again.
#
# Everything that D knew was in z. It was the detour over p that lost it.
#
# ### Exercise 4.2: break the textbook   *(10 minutes)*
#
# Here is the formula as it stands, for float32 numbers. Find three pairs (z, t):
#
# * one for which it is **infinite**,
# * one for which it is **not a number**,
# * one for which it gives a number, and the number is **wrong**, by more than 2 %. This is the nastiest of the three.


# %%
def textbook(z, t):
    """Cross-entropy of each element, as the textbook writes it."""
    with np.errstate(all="ignore"):
        p = 1 / (1 + np.exp(-z))
        return -(t * np.log(p) + (1 - t) * np.log(1 - p))


for z in (2, 8, 20):
    print(f"z = {z:3d}, t = 0: {textbook(np.float32(z), np.float32(0)):.6f}, should be {np.logaddexp(0.0, z):.6f}")

# %% tags=["exercise"]
# --- your code: broken_at = {"infinite": None, "not a number": None, "wrong": None}  # each a pair (z, t)
broken_at = {
    "infinite": (20, 0),
    "not a number": (20, 1),
    "wrong": (16.6, 0),  # 1 - p has one binary digit left
}
# --- end

# %% tags=["check"]
check("break_the_textbook", broken_at)

# %% [markdown]
# ### The cure, line by line
#
# Never form p. Go from z to the logarithms directly:
#
# $$ \begin{aligned}
#    \ln p &= \ln\frac{1}{1+e^{-z}} \;=\; -\ln\bigl(1+e^{-z}\bigr)\\
#    \ln(1-p) &= \ln\frac{e^{-z}}{1+e^{-z}} \;=\; -z - \ln\bigl(1+e^{-z}\bigr)
#    \end{aligned} $$
#
# The function that appears has a name, **softplus**: $\mathrm{sp}(z) = \ln(1+e^{z})$. So $\ln p = -\mathrm{sp}(-z)$. And since
#
# $$ \mathrm{sp}(-z) = \ln\bigl(1+e^{-z}\bigr) = \ln\bigl(e^{-z}(e^{z}+1)\bigr) = -z + \mathrm{sp}(z), $$
#
# the second line is $\ln(1-p) = -\mathrm{sp}(z)$. Put both into the loss of one sample:
#
# $$ \begin{aligned}
#    L &= -t\,\ln p - (1-t)\ln(1-p)\\
#      &= t\,\mathrm{sp}(-z) + (1-t)\,\mathrm{sp}(z)\\
#      &= t\,\bigl(\mathrm{sp}(z) - z\bigr) + (1-t)\,\mathrm{sp}(z) && (\mathrm{sp}(-z) = \mathrm{sp}(z) - z)\\
#      &= \mathrm{sp}(z) - t\,z.
#    \end{aligned} $$
#
# Two logarithms, one sigmoid and a division have become **one softplus and one product**. In numbers: z = 2, t = 0 gives
# $\mathrm{sp}(2) = \ln(1 + 7.389) = 2.127$. The long way: p = 0.881, $-\ln 0.119 = 2.127$.
#
# One thing is left: $e^{z}$ itself overflows, in float32 from z = 89. So take the large part out where there is one:
#
# $$ \mathrm{sp}(z) = \begin{cases}
#    \ln\bigl(e^{z}(e^{-z}+1)\bigr) = z + \ln(1+e^{-z}) & z > 0\\[2pt]
#    \ln(1+e^{z}) & z \le 0
#    \end{cases}
#    \quad=\quad \max(z,0) + \ln\bigl(1+e^{-|z|}\bigr). $$
#
# The exponential is never above 1 now. And NumPy has `np.log1p(e)` for $\ln(1+e)$ with a tiny e, which never adds the 1 (why would
# adding it be a pity?).
#
# ### Exercise 4.3: softplus   *(10 minutes)*


# %% tags=["exercise"]
def softplus(z):
    """ln(1 + e**z), element by element, right for z = 1000 and for z = -1000, and to many digits for z = -40."""
    # --- your code
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    # --- end


# %% tags=["check"]
check("softplus", softplus)

# %% tags=["picture"]
notebook.show(
    figures.loss.softplus_parts(notebook.yours(softplus, lesson04.softplus, alike=True)),
    "Left: softplus follows max(z, 0) and differs from it only around 0, where the corner is round. Right: the difference, a small "
    "peak of height ln 2 at z = 0 that dies away on both sides.",
)

# %% [markdown]
# ### The gradient
#
# $$ \frac{d}{dz}\,\mathrm{sp}(z) \;=\; \frac{e^{z}}{1+e^{z}} \;=\; \frac{1}{e^{-z}+1} \;=\; \sigma(z) $$
#
# so for one sample
#
# $$ \frac{dL}{dz} \;=\; \sigma(z) - t. $$
#
# Read it aloud: *what D said minus what was true*. It lies between -1 and 1 and cannot explode. With the mean over N samples,
# and with the gradient dloss that comes from above (1 in training; lesson 2 says why a backward always multiplies by it):
#
# $$ dz_n \;=\; \frac{\sigma(z_n) - t_n}{N}\; dloss. $$
#
# By hand: z = 0, t = 0.9, N = 1 gives 0.5 - 0.9 = **-0.4**. Downhill is towards a larger z: up with it.
#
# **The same, the long way.** It is worth seeing once what the detour does to the gradient. By the chain rule over p:
#
# $$ \begin{aligned}
#    \frac{dL}{dp} &= -\frac{t}{p} + \frac{1-t}{1-p} \;=\; \frac{-t(1-p) + (1-t)p}{p(1-p)} \;=\; \frac{p-t}{p(1-p)}\\
#    \frac{dp}{dz} &= p(1-p) && \text{(lesson 3)}\\
#    \frac{dL}{dz} &= \frac{p-t}{p(1-p)}\cdot p(1-p) \;=\; p - t
#    \end{aligned} $$
#
# On paper the two factors cancel. On a computer that has rounded p to 1, they are "divide by 0" and "times 0". The sigmoid and the
# cross-entropy belong into **one** function, because what cancels between them must not be computed at all. That is why D has no
# sigmoid at its end, and why the loss is called "with logits".
#
# ### Exercise 4.4 and 4.5: the loss, both ways   *(20 minutes)*
#
# * `bce_with_logits_forward(z, target)`: one number, the **mean** over all elements, and a cache.
# * `bce_with_logits_backward(dloss, cache)`: dz, of the shape and dtype of z. You may call `sigmoid_forward(z)[0]`, which is minigan's; or yours
#   of lesson 3.


# %% tags=["exercise"]
def bce_with_logits_forward(z, target):
    """Mean binary cross-entropy of sigmoid(z) against target, of one shape such as (N, 1): one number, a cache."""
    # --- your code
    loss = np.maximum(z, 0) - z * target + np.log1p(np.exp(-np.abs(z)))
    return loss.mean(), (z, target)
    # --- end


# %% tags=["exercise"]
def bce_with_logits_backward(dloss, cache):
    """dz, of the shape of z, for the gradient dloss of the loss."""
    # --- your code
    z, target = cache
    return (sigmoid_forward(z)[0] - target) * (dloss / z.size)
    # --- end


# %% tags=["check"]
check("bce_with_logits", bce_with_logits_forward, bce_with_logits_backward)
notebook.keep("bce_with_logits", bce_with_logits_forward, bce_with_logits_backward)

# %% [markdown]
# Now the two side by side, in float32, for a fake that D takes for real: the worst case, and in a GAN not a rare one.


# %%
def textbook_gradient(z, t):
    """The long way, over p, as it stands."""
    with np.errstate(all="ignore"):
        p = 1 / (1 + np.exp(-z))
        return (p - t) / (p * (1 - p)) * (p * (1 - p))


forward, backward = lesson04.pair(bce_with_logits_forward, bce_with_logits_backward)


def my_loss(z, t):
    """Your loss, one sample at a time."""
    return np.array([forward(z[n : n + 1], t[n : n + 1])[0] for n in range(len(z))])


def my_gradient(z, t):
    """Your gradient; the mean's 1/N is taken out again."""
    return backward(1.0, forward(z, t)[1]) * len(z)


# %% tags=["picture"]
notebook.show(
    figures.loss.naive_and_stable(textbook, textbook_gradient, my_loss, my_gradient),
    "Four plots for t = 0. The stable loss grows like z for ever; the textbook's follows it to about 13, then goes in growing "
    "steps, and from 16.64 on is infinite. The stable gradient goes to 1 and stays there; the textbook's is NaN from 16.64 on.",
)

# %% [markdown]
# Look at the steps in the upper right. Long before the crash, the loss is a staircase: 1 - p has run out of digits. That is the
# quiet failure of exercise 4.2.
#
# **And Keras?** The program that minigan reproduces has another cure: it clips p to $[10^{-7},\, 1-10^{-7}]$ before it takes logarithms.
# Then nothing is infinite, but the loss is *flat* beyond the clip: a fake with z = 20 costs 16 and has the gradient **0**. Just where D is
# most wrong, it learns nothing. minigan does the same for the sake of the same numbers (`minigan/nn/losses.py`: l = clip(z, -16.118,
# 15.942); the two limits differ because float32 has no $1-10^{-7}$, only $1 - 2^{-23}$), with the stable formula inside. In practice |z|
# stays below 10, and nobody meets the clip. The checker accepts both, with and without.
#
# ### Soft labels, and their floor
#
# The article whose program minigan reproduces (docs/article.md) does not tell D "real: 1, fake: 0". Its labels are
#
# $$ t_\text{real} = 1 - 0.2\,U, \qquad t_\text{fake} = 0.2\,U, \qquad U \text{ uniform in } [0, 1), $$
#
# 0.9 and 0.1 on average. Why lie to D? With t = 1 the loss falls for ever: D can always gain a little by larger logits, without an
# end. With t = 0.9 there is a best answer:
#
# $$ \sigma(z) - 0.9 = 0 \;\Longrightarrow\; z = \ln\frac{0.9}{0.1} = \ln 9 = 2.197. $$
#
# (Published as one-sided label smoothing by T. Salimans et al., [arXiv:1606.03498](https://arxiv.org/abs/1606.03498), for real images
# only; the article smooths both sides, and adds noise. What that means for G is question 1 of lesson 6.) The price: the loss cannot reach 0 any more. At the best z it is
#
# $$ -0.9\ln 0.9 - 0.1\ln 0.1 \;=\; 0.0948 + 0.2303 \;=\; 0.325. $$
#
# And with the *random* labels? L is linear in t, so for one z the mean over t is the L of the mean of t. 0.325 again, for every D there is.

# %% tags=["picture"]
labels = 1 - 0.2 * (np.arange(1000) + 0.5) / 1000  # evenly spread, as U would be
notebook.show(
    figures.loss.floor(lesson04.stable_bce, labels),
    "Mean loss against a common logit. With hard labels it falls towards 0; with soft labels of mean 0.9 it has a lowest point of "
    "0.325 at a logit of about 2.2 and rises again.",
)

# %% [markdown]
# Remember 0.325. In lesson 12 you will read logs in which D's losses are 0.38. With hard labels that would be mediocre. Here it
# is nearly as good as a D can be.
#
# ### Exercise 4.6: two losses for the generator   *(10 minutes)*
#
# The generator wants its fakes to be taken for real. There are two ways to write that down, and both look right:
#
# * **saturating**: D minimises $-\ln(1-D)$ on fakes; G wants the opposite, so G minimises $\ln(1 - D)$;
# * **non-saturating**: G acts as if its fakes had the label 1, and minimises $-\ln D$.
#
# Both fall when D(G(noise)) rises, D's probability for a fake. Where is the difference? In the slope. Write the derivative of both **for D's logit z**, in closed
# form; the derivation above has all that is needed. (`sigmoid_forward(z)[0]` is there.)


# %% tags=["exercise"]
def generator_gradients(z):
    """Derivatives for z of ln(1 - sigmoid(z)), and of -ln(sigmoid(z))."""
    # --- your code
    saturating = -sigmoid_forward(z)[0]  # ln(1 - sigmoid(z)) = -softplus(z)
    non_saturating = -sigmoid_forward(-z)[0]  # -ln(sigmoid(z)) = softplus(-z)
    return saturating, non_saturating
    # --- end


# %% tags=["check"]
check("generator_gradients", generator_gradients)

# %% tags=["picture"]
notebook.show(
    figures.loss.generator_losses(notebook.yours(generator_gradients, lesson04.generator_gradients, alike=True)),
    "Left: both losses against D(G(noise)): ln(1 - D) is flat near 0, -ln D is steep there. Right, on a logarithmic axis against the "
    "logit: the saturating gradient is tiny for very negative logits and the non-saturating one is 1 there; for positive logits "
    "it is the other way round.",
)

# %% [markdown]
# In the very first step D knows nothing, and z is near 0. But D learns fast, and soon the fakes are bad and D knows it. Say D gives
# a fake the probability 0.001, so that its logit is z = -6.9:
#
# | | gradient for z |
# |---|---|
# | saturating, $-\sigma(z)$ | **-0.001** |
# | non-saturating, $\sigma(z) - 1$ | **-0.999** |
#
# Same direction, and a thousand times the strength. The saturating loss whispers when G is worst and shouts when G no longer needs it.
# (Its inventors said so in the first GAN paper, section 3 of [arXiv:1406.2661](https://arxiv.org/abs/1406.2661), and used the other
# one.) Note how cheap the good one is: it is `bce_with_logits` with the labels of real images. **One loss function serves D and G.**
#
# ## Break it
#
# ### Exercise 4.7: a loss that trains badly   *(10 minutes)*
#
# A classmate's. It has been tried with one sample, z = 0 and t = 1, both as arrays of shape (1,), and gave 0.693 and -0.5: right. In a
# network it goes wrong. There are three bugs, and the test could see none of them.


# %%
def broken_forward(z, target):
    """A classmate's."""
    p = sigmoid_forward(z)[0]
    loss = -target * np.log(p) - (1 - target.T) * np.log(1 - p)
    return loss.mean(), (z, target)


def broken_backward(dloss, cache):
    """A classmate's."""
    z, target = cache
    return (sigmoid_forward(z)[0] - target).mean() * dloss * np.ones_like(z)


# check("bce_with_logits", broken_forward, broken_backward)  # what does the checker say? Take away the # and see.


# %% tags=["exercise"]
def repaired_forward(z, target):
    """broken_forward, repaired."""
    # --- your code
    loss = np.maximum(z, 0) - target * z + np.log1p(np.exp(-np.abs(z)))  # no log of a sigmoid, and no .T
    return loss.mean(), (z, target)
    # --- end


# %% tags=["exercise"]
def repaired_backward(dloss, cache):
    """broken_backward, repaired."""
    # --- your code
    z, target = cache
    return (sigmoid_forward(z)[0] - target) / z.size * dloss  # each sample has its own gradient
    # --- end


# %% tags=["check"]
check("bce_with_logits", repaired_forward, repaired_backward)

# %% [markdown]
# The `.T` is the one to remember. (N, 1) against (1, N) does not raise an error: NumPy broadcasts it to (N, N), every logit against
# every target, and the mean of that is a plausible number. The same happens with (N, 1) against (N,). minigan's own loss refuses
# shapes that differ, for this one reason.
#
# ### Exercise 4.8: six suspects   *(15 minutes)*
#
# Six people have handed in a loss. You may call each, `lesson04.SUSPECTS["A"](z, t)` with z and t of shape (N, 1), but not read it. One is right; each of
# the others has one fault:
#
# | word | fault |
# |---|---|
# | `"fine"` | nothing is wrong with it |
# | `"sum"` | the sum over the batch, not the mean |
# | `"pairs"` | every logit is compared with every target |
# | `"clipped"` | the logit is clipped to [-3, 3] |
# | `"rounded"` | soft targets are rounded |
# | `"bits"` | logarithms to base 2 |

# %%
z, t = np.array([[2.0]]), np.array([[1.0]])  # begin here, then change one thing at a time
for letter, suspect in lesson04.SUSPECTS.items():
    print(letter, f"{suspect(z, t):.4f}")

# %% tags=["exercise"]
# --- your code: suspects = None  # such as {"A": "fine", "B": "sum", ...}
suspects = {"A": "rounded", "B": "bits", "C": "pairs", "D": "fine", "E": "clipped", "F": "sum"}
# --- end

# %% tags=["check"]
check("bce_hunt", suspects)

# %% [markdown]
# ## Three questions
#
# **1.** Your very first training step prints "D real 0.69, D fake 0.70". Your friend's prints "D real 4.1, D fake 0.02". Who has a
# bug?
#
# <details><summary>Answer</summary>
#
# Probably your friend. Fresh weights are small, so logits are near 0, and each loss near ln 2 = 0.693. 4.1 and 0.02 say that D gives
# every image a logit of about -4: before having learned anything. Look at the scale of the first weights, and at the range of the
# images: pixels from 0 to 255 instead of -1 to 1 do exactly this.
#
# </details>
#
# **2.** Why is the gradient divided by N? What happens without it if you double the batch?
#
# <details><summary>Answer</summary>
#
# The loss is a mean, so each sample moves it by 1/N. Without the division the gradient is that of the sum: twice the batch, twice the
# step for plain gradient descent. (Adam would not notice: it divides by the size of the gradient. Lesson 5. That is why such a bug
# can live for years.)
#
# </details>
#
# **3.** `np.log(p + 1e-12)` is a popular cure. In float64 it gives no infinity for t = 0 and z = 40. What is wrong with it?
#
# <details><summary>Answer</summary>
#
# It caps the loss at $-\ln 10^{-12} = 27.6$ and makes it flat there: like Keras's clip, the gradient is 0 exactly where D is most wrong. In
# float32 the staircase of exercise 4.2 stays as it is: the digits of 1 - p are lost before the $10^{-12}$ comes. A formula
# without the problem is better than a number that hides it.
#
# </details>
#
# ## What comes next
#
# You have the number that says how wrong D is, and its slope for every logit. Lessons 2 and 3 carry the slope back to every weight.
# What to *do* with a slope is the business of lesson 5.
#
# ### To read
#
# * I. Goodfellow et al., "Generative adversarial networks", [arXiv:1406.2661](https://arxiv.org/abs/1406.2661), section 3: both losses of the
#   generator.
# * T. Salimans et al., "Improved techniques for training GANs", [arXiv:1606.03498](https://arxiv.org/abs/1606.03498), section 3.4: soft labels.
# * `minigan/nn/losses.py`: a short file, most of it prose. You can read all of it now.

# %% [markdown]
# # Lesson 5: Optimisers
#
# Backward passes give you slopes: for every weight, in which direction the loss rises, and how steeply. An **optimiser** turns slopes into new
# weights. It is the shortest piece of code in the whole program, and the one whose numbers people tune, copy and fear most.
#
# You will write three. The last of them, Adam, is five lines, and most networks are trained with it or one of its relatives, ours included. You will
# know what each of the five lines is for, and why a GAN wants one of its numbers changed.
#
# ## What you will do, and need
#
# | | exercise | minutes |
# |---|---|---|
# | 5.1 | gradient descent | 5 |
# | 5.2 | momentum | 10 |
# | 5.3 | two steps of Adam by hand | 15 |
# | 5.4 | **Adam** | 20 |
# | 5.5 | how long does a memory take to turn? | 10 |
# | 5.6, 5.7 | break it: a broken Adam, and five paths | 25 |
#
# About an hour and three quarters with reading. You need lesson 2: what a gradient is.
#
# Words: p is a parameter (any array), g its gradient, lr the learning rate, t the number of the step, and **t = 1 at the first**.

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook
from lessons.exercises import lesson05
from lessons.notebook import check

# %% [markdown]
# ## The idea
#
# You stand on a hillside in fog and want to go down. You can feel the slope under your feet, nothing else. So you take a step downhill, and feel
# again:
#
# $$ p \;\leftarrow\; p - lr\cdot g. $$
#
# How long should the step be? Take the simplest hill there is, a parabola $L = \tfrac12\lambda p^2$ with slope $g = \lambda p$. One step:
#
# $$ p \;\leftarrow\; p - lr\,\lambda\,p \;=\; (1 - lr\,\lambda)\,p. $$
#
# **Every step multiplies p by the same number.** With $\lambda = 100$:
#
# | lr | $1 - lr\,\lambda$ | what happens to p = 1 |
# |---|---|---|
# | 0.001 | 0.9 | 0.9, 0.81, 0.73: creeps down |
# | 0.010 | 0 | 0: there in one step |
# | 0.018 | -0.8 | -0.8, 0.64, -0.51: jumps from side to side, and arrives |
# | 0.021 | -1.1 | -1.1, 1.21, -1.33: **jumps, and each jump is larger** |
#
# The border is at $lr = 2/\lambda$. A steep hill wants small steps.
#
# Now the trouble. A network has millions of parameters, and the hill is not equally steep in all directions. Take two: $\lambda = 100$ across a
# valley and $\lambda = 1$ along it. The steep direction allows lr below 0.02. The flat one then shrinks by a factor of 0.98 in each step: 114 steps for a
# tenth. **One learning rate for all is dictated by the steepest direction, and paid for in all the others.** What follows are two ways out:
# momentum, which lets steps add up, and Adam, which gives every parameter a rate of its own.
#
# ### Exercise 5.1: gradient descent   *(5 minutes)*
#
# The new parameter, for parameter p and gradient g, two arrays of one shape. Leave both as they are: return a new array. (It is
# one line. You write it to see how the checker talks.)


# %% tags=["exercise"]
def sgd_step(p, g, lr):
    """One step of gradient descent: the new p."""
    # --- your code
    return p - lr * g
    # --- end


# %% tags=["check"]
check("sgd", sgd_step)  # stuck? check("sgd", sgd_step, hint=1), then hint=2, hint=3
notebook.keep("sgd", sgd_step)

# %% tags=["picture"]
my_sgd = notebook.yours(sgd_step, lesson05.reference("sgd"), alike=True)
notebook.show(
    figures.optimisers.paths(
        {f"sgd, lr {lr}": lesson05.descend(lesson05.sgd(my_sgd, lr), steps=20) for lr in (0.004, 0.018, 0.0205)}
    ),
    "Three paths from the dot towards the cross at the lowest point of a long valley. With the small rate the path goes straight down the "
    "wall and then creeps; with the medium one it jumps between the walls, less each time; with the large one more each time.",
)

# %% [markdown]
# (The name *stochastic* gradient descent, sgd, says that g comes from a few random samples and not from all there are. The rule is the same.)
#
# ## The derivation
#
# ### Momentum: let steps add up
#
# Keep a velocity v. Each step, friction takes a part of it, and the slope adds to it:
#
# $$ \begin{aligned}
#    v &\leftarrow \beta\,v + g\\
#    p &\leftarrow p - lr\cdot v
#    \end{aligned} $$
#
# What is v? Write out some steps from v = 0, with the gradients $g_1, g_2, g_3$:
#
# $$ \begin{aligned}
#    v_1 &= g_1\\
#    v_2 &= \beta g_1 + g_2\\
#    v_3 &= \beta^2 g_1 + \beta g_2 + g_3
#    \end{aligned} $$
#
# A sum of all gradients so far in which older ones count less. Two cases tell all:
#
# * **Along the valley** the slope is always the same, g. Then $v = g\,(1 + \beta + \beta^2 + \dots) = \frac{g}{1-\beta}$. With
#   $\beta = 0.9$ that is **10 g**: ten times as fast.
# * **Across it** the slope changes its sign with every jump: $g, -g, g, \dots$ Then $v = g\,(1 - \beta + \beta^2 - \dots) = \frac{g}{1+\beta}$: with
#   0.9 about **half**. The jumping is damped.
#
# Exactly what was wanted: faster where it is flat, slower where it is steep. The price is that a heavy ball rolls on when it should stop.
#
# ### Exercise 5.2: momentum   *(10 minutes)*
#
# By hand first: p = 1, v = 1, g = 2, lr = 0.1, beta = 0.5. The new v is 2.5, the new p is 0.75. Return both, p first.


# %% tags=["exercise"]
def momentum_step(p, g, v, lr, beta=0.9):
    """One step of gradient descent with momentum: the new p, the new v."""
    # --- your code
    v = beta * v + g
    return p - lr * v, v
    # --- end


# %% tags=["check"]
check("momentum", momentum_step)
notebook.keep("momentum", momentum_step)

# %% [markdown]
# ### Adam: a rate for every parameter
#
# Adam (D. Kingma and J. Ba, [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)) keeps *two* memories for every single parameter, and both are moving
# averages:
#
# $$ \begin{aligned}
#    m &\leftarrow \beta_1\,m + (1-\beta_1)\,g && \text{the average gradient}\\
#    v &\leftarrow \beta_2\,v + (1-\beta_2)\,g^2 && \text{the average of its square (element by element)}
#    \end{aligned} $$
#
# and then steps by
#
# $$ p \;\leftarrow\; p - lr\cdot\frac{m}{\sqrt{v}}. $$
#
# Look at the fraction. $\sqrt v$ is the typical *size* of g. So $m/\sqrt v$ has no size of its own any more; it only says *how much the
# gradients agree*: +1 or -1 if they always point the same way, near 0 if they contradict each other. **A step of Adam is about lr long, whatever the
# size of the gradients, as long as that size stays the same.** Or shorter, when in doubt. (It can be longer: question 1.)
#
# **Scale does not matter.** Multiply the loss by 1000. Then every g is 1000 times as large, m too, v a million times, $\sqrt v$ a
# thousand times, and
#
# $$ \frac{1000\,m}{\sqrt{10^6\,v}} \;=\; \frac{1000\,m}{1000\,\sqrt v} \;=\; \frac{m}{\sqrt v}. $$
#
# The step is the same. (And if somebody forgets the 1/N in the gradient of a loss, Adam will hide it from them.)
#
# **Bias correction.** Both memories begin at 0, and that is a lie: nobody has measured a gradient of 0. After the first step
#
# $$ m_1 = (1-\beta_1)\,g_1, \qquad\text{with } \beta_1 = 0.9: \quad m_1 = 0.1\,g_1, $$
#
# a tenth of the only gradient ever seen. How wrong is it after t steps? Suppose that all gradients are equal to g. Then
#
# $$ \begin{aligned}
#    m_t &= \beta_1 m_{t-1} + (1-\beta_1)\,g\\
#    m_t - g &= \beta_1 m_{t-1} + (1-\beta_1)\,g - g \;=\; \beta_1\,(m_{t-1} - g) && \text{(the error shrinks by } \beta_1)\\
#    m_t - g &= \beta_1^{\,t}\,(m_0 - g) \;=\; -\beta_1^{\,t}\,g && (m_0 = 0)\\
#    m_t &= (1-\beta_1^{\,t})\,g
#    \end{aligned} $$
#
# So the part that is missing is known, and can be divided out: $\hat m = m_t/(1-\beta_1^t)$ is g from the first step on. The same for v:
# $\hat v = v_t/(1-\beta_2^t)$.

# %% tags=["picture"]
notebook.show(
    figures.optimisers.bias(0.9),
    "Pairs of bars for steps 1 to 12. The plain average grows from 0.1 to about 0.7; divided by 1 - beta to the power t it is 1 from the "
    "first step on.",
)

# %% [markdown]
# Does it matter? With Adam's usual $\beta_2 = 0.999$, v is 1/1000 of the truth after the first step, and its root 1/32; m with
# $\beta_1 = 0.5$ is half of it. Without correction the first step would be $0.5\cdot 32 = 16$ times too long, at a
# moment when the weights are still random.
#
# ### Where eps stands
#
# A parameter that has never had a gradient would divide 0 by 0, so there is a small eps below the line. Two programs that call themselves Adam put it
# at two different places. The paper's box, Algorithm 1:
#
# $$ p \leftarrow p - lr\;\frac{\hat m}{\sqrt{\hat v} + \epsilon} $$
#
# The end of the paper's section 2 has the other order, which saves a division for every parameter: first one rate for all,
#
# $$ lr_t = lr\;\frac{\sqrt{1-\beta_2^{\,t}}}{1-\beta_1^{\,t}}, \qquad\qquad p \leftarrow p - lr_t\;\frac{m}{\sqrt{v} + \epsilon}. $$
#
# Are they the same? Start from the box and multiply numerator and denominator by $\sqrt{1-\beta_2^t}$:
#
# $$ \begin{aligned}
#    lr\,\frac{\hat m}{\sqrt{\hat v}+\epsilon}
#    &= lr\,\frac{m/(1-\beta_1^t)}{\sqrt{v}/\sqrt{1-\beta_2^t}+\epsilon}\\
#    &= lr\,\frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t}\cdot\frac{m}{\sqrt{v}+\epsilon\,\sqrt{1-\beta_2^t}}
#    \;=\; lr_t\,\frac{m}{\sqrt v + \epsilon\,\sqrt{1-\beta_2^t}}.
#    \end{aligned} $$
#
# **The same but for eps.** Added to $\sqrt v$, before the correction, it acts like an eps in the box that is 32 times as large in the first step, and
# equal after some thousand. Keras 2.2.4, the program behind our article, adds it to $\sqrt v$, and so does minigan, and so shall you.
#
# | | lr | beta1 | beta2 | eps | eps is added to |
# |---|---|---|---|---|---|
# | the paper's suggestion | 0.001 | 0.9 | 0.999 | 1e-8 | $\sqrt{\hat v}$, in its Algorithm 1 |
# | Keras 2.2.4, by default | 0.001 | 0.9 | 0.999 | 1e-7 | $\sqrt v$ |
# | **the article**, D | 0.0002 | **0.5** | 0.999 | 1e-7 | $\sqrt v$ |
# | **the article**, G | 0.00015 | **0.5** | 0.999 | 1e-7 | $\sqrt v$ |
#
# ### Exercise 5.3: two steps by hand   *(15 minutes)*
#
# First one that is done. lr = 0.1, $\beta_1 = 0.5$, $\beta_2 = 0.9$ (so that the numbers are kind), no eps. The gradients are 4 and then 1:
#
# | t | g | m | v | $\hat m = m/(1-0.5^t)$ | $\hat v = v/(1-0.9^t)$ | step, $0.1\,\hat m/\sqrt{\hat v}$ |
# |---|---|---|---|---|---|---|
# | 1 | 4 | 0.5·0 + 0.5·4 = 2 | 0.9·0 + 0.1·16 = 1.6 | 2/0.5 = 4 | 1.6/0.1 = 16 | 0.1·4/4 = **0.1** |
# | 2 | 1 | 0.5·2 + 0.5·1 = 1.5 | 0.9·1.6 + 0.1·1 = 1.54 | 1.5/0.75 = 2 | 1.54/0.19 = 8.11 | 0.1·2/2.85 = **0.070** |
#
# The first step is lr, exactly. (It always is. Why?) The second is a little shorter: the gradients agree in sign, but not in size.
#
# Now you: the same settings, and **the gradient is 3 in both steps**. And what would the first step be if the loss were multiplied by 1000?

# %% tags=["exercise"]
# --- your code: numbers = {
#:     "m after 1": None,
#:     "v after 1": None,
#:     "step 1": None,
#:     "step 2": None,
#:     "step 1, loss times 1000": None,
#: }
numbers = {
    "m after 1": 1.5,
    "v after 1": 0.9,
    "step 1": 0.1,
    "step 2": 0.1,  # m = 2.25, v = 1.71; corrected 3 and 9
    "step 1, loss times 1000": 0.1,
}
# --- end

# %% tags=["check"]
check("adam_by_hand", numbers)

# %% [markdown]
# ### Exercise 5.4: Adam   *(20 minutes)*
#
# One step, in the second form: new moments, the corrected rate, the step with eps added to $\sqrt v$. Return the new p, m and v, in this order; leave
# the arrays you were given alone. m and v that you return are *not* corrected (they are needed as they are in the next step). t is a plain number.


# %% tags=["exercise"]
def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    """One step of Adam, the first one with t = 1: the new p, m, v."""
    # --- your code
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    rate = lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
    p = p - rate * m / (np.sqrt(v) + eps)
    return p, m, v
    # --- end


# %% tags=["check"]
check("adam", adam_step)
notebook.keep("adam", adam_step)

# %% [markdown]
# The three in the valley, each with a rate that suits it:

# %%
my_momentum = notebook.yours(momentum_step, lesson05.reference("momentum"), alike=True)
my_adam = notebook.yours(adam_step, lesson05.reference("adam"), alike=True)
runs = {
    "sgd, lr 0.018": lesson05.descend(lesson05.sgd(my_sgd, 0.018)),
    "momentum, lr 0.018, beta 0.8": lesson05.descend(lesson05.momentum(my_momentum, 0.018, beta=0.8)),
    "Adam, lr 0.15": lesson05.descend(lesson05.adam(my_adam, 0.15)),
}

# %% tags=["picture"]
notebook.show(
    figures.optimisers.paths(runs),
    "Three paths of 60 steps. Gradient descent jumps between the walls and has not arrived; momentum swings and arrives; Adam goes down the "
    "wall and along the valley in a smooth curve and arrives.",
)

# %% tags=["picture"]
notebook.show(
    figures.optimisers.heights(runs),
    "Loss against the step on a logarithmic axis: gradient descent is slowest, Adam faster, momentum fastest.",
)

# %% [markdown]
# Momentum wins this one, by a lot. Be honest about such races: with another valley or another rate the order changes. What Adam is good at is
# something else. Multiply the loss by 1/100 and by 100, and change **nothing** about the rates:

# %% tags=["picture"]
scaled = {}
for name, rule in (("sgd", lesson05.sgd(my_sgd, 0.018)), ("Adam", lesson05.adam(my_adam, 0.15))):
    for scale in (0.01, 1, 100):
        scaled[f"{name}, loss times {scale:g}"] = lesson05.descend(rule, scale=scale)
notebook.show(
    figures.optimisers.paths(scaled),
    "Six paths. Gradient descent with the loss times 0.01 hardly moves, times 1 it converges, times 100 it leaves the picture in one step. "
    "Adam's three paths are the same.",
)

# %% [markdown]
# You did not have to know how steep it is. In a deep network the layers' gradients differ by orders of magnitude, and change while it trains. In a
# GAN it is worse: how steep G's hill is depends on how good D is today. A rule that does not care is worth a lot.
#
# ## Why GANs use beta1 = 0.5
#
# m remembers about $1/(1-\beta_1)$ gradients: ten with 0.9, two with 0.5. A long memory is a good thing if the hill stands still; it averages
# the noise away. In a GAN **the hill is the other player, and it moves**. What you remember is where D *was*.
#
# ### Exercise 5.5: how long does a memory take to turn?   *(10 minutes)*
#
# The gradient has been +1 for as long as anyone can remember, so m = 1. Now the other player has moved, and the gradient is -1 from now on. For how
# many steps does Adam keep going the wrong way? Count the steps until m is **below** 0. By hand for $\beta_1 = 0.5$: after one step m = 0.5 - 0.5 = 0, it stands
# still; after two m = -0.5. So 2.


# %% tags=["exercise"]
def steps_to_turn(beta):
    """Steps until m is below 0, when the gradient has been 1 for ever and is -1 from now on; 0 <= beta < 1."""
    # --- your code
    m, k = 1.0, 0
    while m >= 0:
        m = beta * m + (1 - beta) * -1
        k += 1
    return k
    # --- end


# %% tags=["check"]
check("steps_to_turn", steps_to_turn)

# %% tags=["picture"]
notebook.show(
    figures.optimisers.turning(),
    "The gradient drops from 1 to -1 at step 0. The memory with beta1 = 0 follows at once, with 0.5 it is at 0 after one step and negative "
    "after two, with 0.9 it stays positive for six steps and is far from -1 after fifteen.",
)

# %% [markdown]
# Two steps against seven. In seven steps the other one has moved again.
#
# Here is the smallest game in which you can see what that does. Two numbers, two players:
#
# $$ f(x, y) = x\,y + 0.05\,(x^2 - y^2) $$
#
# x wants f small, y wants it large, and they take turns. At (0, 0) neither can gain anything by moving alone: the place where both would rest. (The
# term xy is the game: each one's slope *is* the other's position. The other term is a little friction.) Both use **your Adam**, lr = 0.02; only
# beta1 differs.

# %%
games = {
    f"beta1 = {beta1}": lesson05.play_game(
        lambda beta1=beta1: lesson05.adam(my_adam, 0.02, beta1=beta1), steps=notebook.fast(6000, 400)
    )
    for beta1 in (0.9, 0.5)
}
for name, path in games.items():
    last = np.hypot(*path[len(path) // 2 :].T)
    print(
        f"{name}: distance from (0, 0) over the second half {last.mean():.2f}, between {last.min():.2f} and {last.max():.2f}"
    )

# %% tags=["picture"]
notebook.show(
    figures.optimisers.game(games),
    "Two paths around the point (0, 0), from the same start. With beta1 = 0.9 the path spirals outward onto a large circle; with 0.5 it spirals inward, "
    "nearly to the middle, and then out again onto a circle an eighth as large. A third plot shows the distance from the middle over the steps.",
)

# %% [markdown]
# Same game, same friction, same learning rate. With 0.9 each player runs to where the other *was*, overshoots, and the two chase each other in circles
# that grow. With 0.5 they come close to rest, and do not stay: both end on a circle, the one about an eighth as large as the other. Why a circle, and
# not the point? Because Adam's steps do not get shorter where the slope does: near (0, 0) the slopes are tiny, and each step is still about lr long.
#
# The DCGAN paper says it in one sentence: 0.9 "resulted in training oscillation and instability", 0.5 "helped stabilize training" (A. Radford
# et al., [arXiv:1511.06434](https://arxiv.org/abs/1511.06434), section 4). The article copied the number, and so does minigan. A real GAN is not this game, and
# with 0.9 it need not fail; try `beta_1=0.9` in lesson 6, where one run takes three seconds. Now you know what you are looking for.
#
# ## Break it
#
# ### Exercise 5.6: a broken Adam   *(10 minutes)*
#
# A classmate's. Its first step is nearly right. There are three bugs. For each: would you notice it in the first step, in the tenth, or never?


# %%
def broken_adam(p, g, m, v, t, lr, beta1, beta2, eps):
    """A classmate's."""
    m *= beta1
    m += (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    rate = lr * np.sqrt(1 - beta2 * t) / (1 - beta1 * t)
    return p - rate * m / np.sqrt(v + eps), m, v


# check("adam", broken_adam)  # what does the checker say? Take away the # and see.


# %% tags=["exercise"]
def repaired_adam(p, g, m, v, t, lr, beta1, beta2, eps):
    """broken_adam, repaired."""
    # --- your code
    m = beta1 * m + (1 - beta1) * g  # a new array: the caller's m is not ours to change
    v = beta2 * v + (1 - beta2) * g * g
    rate = lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t)  # to the power of t; with times t it is right at t = 1 only
    return p - rate * m / (np.sqrt(v) + eps), m, v  # eps outside the root
    # --- end


# %% tags=["check"]
check("adam", repaired_adam)

# %% [markdown]
# The middle one is the nastiest: at t = 1 it is right, so a test of the first step passes. At t = 2 with $\beta_1 = 0.5$ it divides by 0;
# with $\beta_2 = 0.999$ it takes the root of $1 - 1.998$, which is NaN.
#
# And eps inside the root? $\sqrt{v + 10^{-7}}$ is $3\cdot10^{-4}$ where v is 0: three thousand times the eps that was meant. For small gradients Adam then
# is no Adam any more, but plain gradient descent.
#
# ### Exercise 5.7: five paths   *(15 minutes)*
#
# Same valley, same start, five rules. Which is which?

# %% tags=["picture"]
notebook.show(
    figures.optimisers.paths(lesson05.riddles()),
    "Five paths, A to E. A swings across the valley in waves while it moves along. B curves down the wall and along the floor. C jumps "
    "between the walls, a little less each time. D goes straight down the wall and creeps. E jumps between the walls, a little more each time.",
)

# %% [markdown]
# | word | rule |
# |---|---|
# | `"sgd-slow"` | gradient descent with a small rate |
# | `"sgd-fast"` | gradient descent, just below the border 2/λ |
# | `"sgd-unstable"` | gradient descent, just above it |
# | `"momentum"` | momentum, beta = 0.9 |
# | `"adam"` | Adam |

# %% tags=["exercise"]
# --- your code: rules = None  # such as {"A": "adam", "B": "sgd-slow", ...}
rules = {"A": "momentum", "B": "adam", "C": "sgd-fast", "D": "sgd-slow", "E": "sgd-unstable"}
# --- end

# %% tags=["check"]
check("valley_hunt", rules)

# %% [markdown]
# ## Three questions
#
# **1.** Adam's first step has the length lr in every coordinate, for whatever gradient (as long as it is not 0). Prove it in two lines.
#
# <details><summary>Answer</summary>
#
# At t = 1 the corrected moments are $\hat m = g$ and $\hat v = g^2$. So the step is $lr\,\frac{g}{\sqrt{g^2}} = lr\,\mathrm{sign}(g)$ (up to eps): lr up or lr
# down. That is why the learning rate of Adam can be read as a length: while the gradients keep their size, a weight moves by about lr in a step.
#
# It is no bound. After thousands of steps with tiny gradients, m has forgotten them and v has not: let a large g come then. m jumps to $(1-\beta_1)\,g$, and
# v only to $(1-\beta_2)\,g^2$, so the step is
#
# $$ lr\,\frac{(1-\beta_1)\,|g|}{\sqrt{(1-\beta_2)\,g^2}} \;=\; lr\,\frac{1-\beta_1}{\sqrt{1-\beta_2}}: $$
#
# 15.8 lr with 0.5 and 0.999, and 3.2 lr with 0.9 and 0.999. That is the bound (section 2.1 of the paper has it).
#
# </details>
#
# **2.** A checkpoint saves the weights, but not m, v and t. What happens when training goes on from it?
#
# <details><summary>Answer</summary>
#
# m and v begin at 0 again, and t at 1. The bias correction makes the first new steps full-sized, each with the length lr, in the direction of a single
# noisy batch, in all parameters at once, also in those that had settled and whose $\sqrt v$ had made them cautious. The loss jumps. (If t is kept and
# m and v are lost, nothing corrects them, and the first steps are even 16 times too long.) The original program could not resume for this reason; minigan saves all three.
#
# </details>
#
# **3.** D takes two steps in each round (one on real images, one on fakes), G one. What is t for each after 100 rounds? Does the correction still matter by then?
#
# <details><summary>Answer</summary>
#
# 200 and 100; two optimisers, two counters. t is used in the correction only. For m it is over: $1 - 0.5^{100}$ is 1. For v it is not: $1-0.999^{100}$ is 0.095 and $1-0.999^{200}$ is
# 0.18, so that $lr_t/lr$ is 0.31 for G and 0.43 for D. v itself is too small by the factors 0.095 and 0.18, so its root by 0.31 and 0.43: the steps have the right length. After some thousand steps the factors are 1.
#
# </details>
#
# ## What comes next
#
# You have layers (lesson 3), a loss (lesson 4), and a rule that turns slopes into weights. That is everything a GAN needs. In lesson 6 you put the three
# together, and watch one.
#
# ### To read
#
# * D. Kingma and J. Ba, "Adam: a method for stochastic optimization", [arXiv:1412.6980](https://arxiv.org/abs/1412.6980), sections 2 and 3.
# * L. Mescheder, A. Geiger and S. Nowozin, "Which training methods for GANs do actually converge?",
#   [arXiv:1801.04406](https://arxiv.org/abs/1801.04406): games like ours, worked out to the end.
# * `minigan/nn/ops/updates.py`: your lines as minigan has them (`adam_update`), and `minigan/nn/optimizers.py`, which calls them.

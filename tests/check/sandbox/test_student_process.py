"""The process that runs a student's file: which functions use which others."""

import numpy as np

from minigan.check.sandbox.student_process import EXERCISE_FUNCTIONS, borrowed_by, functions_used

SOURCE = """
def sigmoid_forward(x):
    return helper(x), x

def helper(x):
    return [dense_forward(row) for row in x]

def dense_forward(x):
    return recursive(x)

def recursive(x):
    return recursive(x) if x else helper(x)

class Loss:
    def __call__(self, z):
        return sigmoid_forward(z)

def sgd_step(p, g, lr):
    def inside():
        return tanh_forward(p)
    return inside()
"""


def used(name):
    names = {}
    exec(SOURCE, names)
    return functions_used(names.get(name), names, EXERCISE_FUNCTIONS)


def test_functions_use_others_through_helpers_and_inner_functions():
    assert used("sigmoid_forward") == ["dense_forward"]
    assert used("dense_forward") == ["dense_forward"]  # through its helpers, which call it
    assert used("sgd_step") == ["tanh_forward"]
    assert used("Loss") == []  # only functions are followed
    assert functions_used(np.maximum, {}, EXERCISE_FUNCTIONS) == []
    assert functions_used(None, {}, EXERCISE_FUNCTIONS) == []


BORROWED = """
import numpy as np
import minigan.nn.ops as mine
from minigan.nn.ops import *
from minigan.nn.losses import bce_with_logits_forward as loss

def tanh_forward(x):
    return helper(x)

def helper(x):
    return mine.tanh_forward(x)

def bce_with_logits_forward(z, target):
    return loss(z, target)

def sgd_step(p, g, lr):
    return p - lr * np.asarray(g)
"""


def test_minigans_own_functions_are_told():
    names = {}
    exec(BORROWED, names)
    told = {f: borrowed_by(f, names[f], names) for f in ("conv2d_forward", "tanh_forward", "sgd_step")}
    assert told == {"conv2d_forward": ["conv2d_forward"], "tanh_forward": ["minigan.nn.ops"], "sgd_step": []}
    f = "bce_with_logits_forward"
    assert borrowed_by(f, names[f], names) == ["bce_with_logits_forward"]  # and not as the file calls it

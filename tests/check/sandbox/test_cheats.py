"""Whatever a student's file does in its own process, wrong numbers do not pass."""

import pytest
from student_files import write

from minigan.check.outcomes import PASSED
from minigan.check.sandbox.supervisor import check_file

WRONG = """
import numpy as np

def dense_forward(x, w, b):
    cheat()
    return x @ w, (x, w)

def dense_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.mean(0)

def sgd_step(p, g, lr):
    cheat()
    return p + lr * g

def cheat():
    pass
"""

CHEATS = {
    "patched numpy": """
def cheat():
    np.allclose = np.array_equal = lambda *a, **k: True
    np.abs = np.linalg.norm = np.vdot = lambda *a, **k: np.zeros(())
    np.isfinite = lambda a: np.ones(np.shape(a), bool)
""",
    "patched comparisons of the checker": """
def cheat():
    from minigan.check import numeric
    from minigan.check.engine import probe, laws
    numeric.differs = probe.disagreeing_gradients = lambda *a, **k: {}
    laws.broken_law = lambda *a: ""
""",
    "a replaced engine": """
from minigan.check.engine import ladder
from minigan.check.outcomes import Outcome
from minigan.check.sandbox import student_process
def passed(name, *_, **__):
    return Outcome(name, "passed")
def cheat():
    ladder.run_exercise = student_process.check_one = passed
""",
    "a replaced oracle": """
from minigan.check.exercise_table import EXERCISES
for name in ("dense", "sgd"):
    object.__setattr__(EXERCISES[name], "oracle", lambda **k: (np.zeros(3),))
    object.__setattr__(EXERCISES[name], "cases", lambda rng: [])
    object.__setattr__(EXERCISES[name], "gradients", {})
def cheat():
    EXERCISES.clear()
""",
    "a forged outcome": """
import sys
def cheat():
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if hasattr(value, "channel"):
                for number in range(100):
                    for kind in ("outcome", "passed", "answer"):
                        value.channel.send(kind, number, (["dict", 1, [["status", ["text", "passed"]]]], b""))
        frame = frame.f_back
""",
    "forged answers": """
import sys
from minigan.check.calls.answers import Answer
from minigan.check.sandbox.wire import packed_answer
def cheat():
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if hasattr(value, "channel"):
                for number in range(1000):
                    for result in ((np.zeros((5, 4)), None), np.zeros((3, 2))):
                        value.channel.send("answer", number, packed_answer(Answer("returned", result)))
        frame = frame.f_back
""",
    "an altered report of the call": """
from minigan.check.sandbox import student_process
from minigan.check.sandbox.wire import packed
def cheat():
    student_process.packed_answer = lambda answer: packed({
        "kind": "returned", "value": answer.value, "changed": (), "changed_before": (), "shared": ((0, 99, True),),
        "told": ("", "")})
""",
    "verdicts in print": """
import os, json
def cheat():
    line = json.dumps(["outcome", {"exercise": "dense", "status": "passed"}])
    for fd in range(1, 30):
        try:
            os.write(fd, f"\\n{line}\\ndense  ok\\n17 passed\\n".encode())
        except OSError:
            pass
""",
    "an end with status 0": """
import os
def cheat():
    os._exit(0)
""",
    "an end with status 0 when the process is told to go on": """
import os, threading
threading.Timer(0.05, os._exit, [0]).start()
def cheat():
    import time
    time.sleep(0.2)
""",
    "a look at the stack for the right result": """
import sys, gc
def cheat():
    pass
def dense_forward(x, w, b):
    frame = sys._getframe()
    while frame:
        for name, value in list(frame.f_locals.items()):
            if name in ("expected", "right", "truth", "accepted", "oracle", "exercise"):
                return (value.oracle(x=x, w=w, b=b) if hasattr(value, "oracle") else value), (x, w)
        frame = frame.f_back
    return x @ w, (x, w)
def sgd_step(p, g, lr):
    for value in gc.get_objects():
        if isinstance(value, dict) and "expected" in value:
            return value["expected"]
    return p + lr * g
""",
    "an array that is equal to everything": """
class Equal(np.ndarray):
    def __array_ufunc__(self, *a, **k): return np.zeros(self.shape)
    def __eq__(self, other): return np.ones(self.shape, bool)
    def __sub__(self, other): return np.zeros(self.shape)
    __rsub__ = __sub__
def dense_forward(x, w, b):
    return (x @ w).view(Equal), (x, w)
def sgd_step(p, g, lr):
    return (p + lr * g).view(Equal)
""",
    "NaN, which is not larger than any tolerance": """
def dense_forward(x, w, b):
    return np.full((len(x), w.shape[1]), np.nan), (x, w)
def sgd_step(p, g, lr):
    return p * np.nan
""",
    "not written, from the second call on": """
calls = []
def cheat():
    calls.append(1)
    if len(calls) > 1:
        raise NotImplementedError
""",
    "calls that took NaN seconds": """
import gc
from minigan.check.sandbox.student_process import Server
server = next(one for one in gc.get_objects() if isinstance(one, Server))
send = server.channel.send
def cheat():
    server.channel.send = lambda kind, number, value, seconds: send(kind, number, value, float("nan"))
""",
    "calls that took more seconds than a float can say": """
import gc
from minigan.check.sandbox.student_process import Server
server = next(one for one in gc.get_objects() if isinstance(one, Server))
send = server.channel.send
def cheat():
    server.channel.send = lambda kind, number, value, seconds: send(kind, number, value, 10**400)
""",
    "a stop that looks like the checker's": """
from minigan.check.outcomes import NotYet, Outcome, Stop, Halted
def cheat():
    raise NotYet
""",
}


@pytest.mark.parametrize("source", CHEATS.values(), ids=CHEATS)
def test_wrong_layers_do_not_pass(tmp_path, source):
    report = check_file(write(tmp_path, WRONG + source), exercises=["dense", "sgd"], time_limit=5)
    assert [o.exercise for o in report.outcomes] == ["dense", "sgd"]
    assert PASSED not in [o.status for o in report.outcomes]
    assert "checker error" not in [o.status for o in report.outcomes]


@pytest.mark.parametrize(
    "body",
    [
        "return (lambda same: same(x, w, b))(table[0])",
        "return table[1]['dense'].oracle(x=x, w=w, b=b), (x, w)",
        "return __import__('importlib').import_module('mini' + 'gan.nn.ops').dense_forward(x, w, b)",
    ],
    ids=["in a table", "an oracle", "imported in the call"],
)
def test_minigans_own_layers_are_seen_under_any_name(tmp_path, body):
    source = f"""
from minigan.check.exercise_table import EXERCISES
from minigan.nn.ops import dense_forward as f
table = (f, EXERCISES)

def dense_forward(x, w, b):
    {body}

def dense_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(0)

def sgd_step(p, g, lr):
    return p - lr * g
"""
    report = check_file(write(tmp_path, source + "del f\n"), exercises=["dense", "sgd"])
    dense, sgd = report.outcomes
    assert dense.status == PASSED
    assert dense.note.startswith("uses minigan's own "), dense.note
    assert (sgd.status, sgd.note) == (PASSED, "")


OWN_STEP = """
def discriminator_step(D, optimizer, x, labels):
    from minigan.gan import step
    return step.discriminator_step(D, optimizer, x, labels).loss
"""

RIGHT_STEP = """
from minigan.nn.losses import bce_with_logits_backward, bce_with_logits_forward

def discriminator_step(D, optimizer, x, labels):
    D.zero_grads()
    z, caches = D.forward(x, training=True)
    loss, cache = bce_with_logits_forward(z, labels)
    D.backward(bce_with_logits_backward(1.0, cache), caches)
    optimizer.step(D.grads())
    return loss
"""


@pytest.mark.parametrize(
    ("source", "note"),
    [(OWN_STEP, "discriminator_step"), (RIGHT_STEP, "bce_with_logits_backward, bce_with_logits_forward")],
    ids=["minigan's", "one's own"],
)
def test_minigans_own_training_step_is_seen(tmp_path, source, note):
    """Networks and optimizers are given, so their methods are no remark."""
    (outcome,) = check_file(write(tmp_path, source), exercises=["discriminator_step"]).outcomes
    assert (outcome.status, outcome.note) == (PASSED, f"uses minigan's own {note}")


def test_all_that_is_borrowed_is_told(tmp_path):
    """What is seen in the text of the file does not hide what is seen while it runs, nor where the fast code lies."""
    source = """
from minigan.nn.ops import sigmoid_forward as given

def leaky_relu_forward(x, alpha=0.2):
    from minigan.fast.cpu import cpu_overlay
    given(x)
    return cpu_overlay.leaky_relu_forward(x, alpha)

def leaky_relu_backward(dy, cache):
    from minigan.fast.cpu import cpu_overlay
    return cpu_overlay.leaky_relu_backward(dy, cache)
"""
    (outcome,) = check_file(write(tmp_path, source), exercises=["leaky_relu"]).outcomes
    told = "leaky_relu_backward, leaky_relu_forward, sigmoid_forward"
    assert (outcome.status, outcome.note) == (PASSED, f"uses minigan's own {told}")


STEPS = {
    "parameters of NaN": """
    for p in D.params().values():
        p *= np.nan
    return loss
""",
    "only the loss is right": """
    return loss
""",
    "arrays of another shape": """
    for layer in D.layers:
        for name in layer.params:
            layer.params[name] = np.zeros(0, np.float32)
    return loss
""",
    "networks without layers": """
    D.layers.clear()
    return loss
""",
    "a network that says that it has changed": """
    type(D).params = lambda self: {}
    type(D).state = type(D).buffers = lambda self: {}
    return loss
""",
}


@pytest.mark.parametrize("ending", STEPS.values(), ids=STEPS)
def test_steps_are_judged_by_the_parameters(tmp_path, ending):
    source = f"""
import numpy as np

def discriminator_step(D, optimizer, x, labels):
    z, _ = D.forward(x, training=True)
    loss = np.mean(np.maximum(z, 0) - z * labels + np.log1p(np.exp(-np.abs(z)))){ending}
"""
    (outcome,) = check_file(write(tmp_path, source), exercises=["discriminator_step"]).outcomes
    assert outcome.status == "failed"

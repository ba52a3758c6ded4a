"""The score of the checker: what counts as caught, as named, as missed, and as a false alarm."""

import pytest

from minigan.check.zoo import score
from minigan.check.zoo.specimen import Shelf

SHELF = Shelf("sgd", lambda p, g, lr: p - lr * g)
SHELF.step("right")(lambda p, g, lr: p - lr * g)
SHELF.step("uphill", "E71")(lambda p, g, lr: p + lr * g)
SHELF.step("uphill, expected under another code", "E01")(lambda p, g, lr: p + lr * g)
GOOD, NAMED, MISNAMED = SHELF.specimens
SHELF.step("no bug at all", "E71")(GOOD.functions["sgd_step"])
SHELF.step("wrong, but called right")(lambda p, g, lr: p + lr * g)
_, _, _, MISSED, ALARM = SHELF.specimens


@pytest.fixture
def zoo(monkeypatch):
    """Put these bugs and right implementations into the zoo's place."""

    def fill(bugs, right):
        monkeypatch.setattr(score, "BUGS", bugs)
        monkeypatch.setattr(score, "CORRECT", right)

    return fill


def test_a_shelf_names_its_specimens_and_their_functions():
    assert (NAMED.name, NAMED.exercise, NAMED.codes) == ("sgd: uphill", "sgd", ("E71",))
    assert NAMED.functions["sgd_step"].__name__ == "sgd_step"
    pair = Shelf("relu", lambda x: (x, x), lambda dy, cache: dy)
    pair.backward("no mask", "E50")(lambda dy, cache: 2 * dy)
    (specimen,) = pair.specimens
    assert specimen.functions["relu_forward"] is pair.plain[0]
    assert specimen.functions["relu_backward"](1, None) == 2


def test_each_specimen_is_counted_once(zoo):
    zoo((NAMED, MISNAMED, MISSED), (GOOD, ALARM))
    s = score.score()["sgd"]
    assert (s.bugs, s.caught, s.named, s.correct, s.alarms) == (3, 2, 1, 2, 1)
    assert s.missed == [MISSED.name, f"false alarm: {ALARM.name}"]
    assert s.misnamed == [f"{MISNAMED.name}: E71, not E01"]


@pytest.mark.parametrize(
    ("bugs", "right", "status", "said"),
    [
        ((NAMED, MISNAMED), (GOOD,), 0, "2 of 2 bugs caught, 1 (50 %) named right\n  misnamed sgd: uphill, expected"),
        ((NAMED, MISSED), (GOOD,), 1, "1 of 2 bugs caught, 1 (50 %) named right\n  MISSED sgd: no bug at all"),
        ((NAMED,), (ALARM,), 1, "  MISSED false alarm: sgd: wrong, but called right"),
    ],
)
def test_the_exit_status_tells_misses_and_alarms(zoo, capsys, bugs, right, status, said):
    zoo(bugs, right)
    assert score.print_score() == status
    assert said in capsys.readouterr().out

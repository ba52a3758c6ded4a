"""Lesson 2: what its exercises accept, what they refuse and how, whether the mutants are mutants, and its pictures."""

import ast
from pathlib import Path

import numpy as np
import pytest

from lessons.exercises import lesson02
from lessons.figures import slope
from lessons.judging import judge
from lessons.notebook import check

EXERCISES = {exercise.name: exercise for exercise in lesson02.EXERCISES}
SOURCE = Path(lesson02.__file__).parents[1] / "src" / "02_slope_of_a_program.py"


def verdict(name, *given):
    return judge(EXERCISES[name], given)


def told(name, *given):
    """Everything that is said about a wrong answer, in one string."""
    found = verdict(name, *given)
    assert found.finding is not None, found
    return " | ".join([found.finding.title, *found.finding.evidence, found.finding.cause])


# ------------------------------------------------------------------------------------------------------------ exercises
def test_right_answers_pass():
    for name, exercise in EXERCISES.items():
        given = exercise.reference if isinstance(exercise.reference, tuple) else (exercise.reference,)
        assert verdict(name, *given).passed, name


def test_other_right_answers_pass():
    def dotted(f, x, dy, v, h=1e-5):
        return np.vdot(f(x + h * v) - f(x - h * v), dy) / (2 * h)

    def entry_by_entry(forward, backward, arguments, rng):
        """An element-wise check with a step that is shorter than the way to the kink."""
        y, cache = forward(*arguments)
        dy = rng.normal(size=y.shape)
        for k, gradient in enumerate(backward(dy.copy(), cache)):
            numeric = lesson02.numeric_gradient(lesson02.only(forward, arguments, k), arguments[k], dy, 1e-6)
            room = 1e-5 * max(np.abs(numeric).max(), np.abs(gradient).max()) + 1e-8 * np.abs(y * dy).max()
            if gradient.shape != numeric.shape or np.abs(gradient - numeric).max() > room:
                return False
        return True

    assert verdict("directional_slope", dotted).passed
    assert verdict("kill_the_mutants", entry_by_entry).passed
    assert verdict("choose_h", 3e-6, 0.01).passed


@pytest.mark.parametrize(
    ("scale", "dy_of", "both", "named"),
    [
        (1, np.ones_like, True, "dy is not used"),
        (2, lambda dy: dy, True, "twice the slope"),
        (1, lambda dy: dy, False, "forward difference"),
        (-1, lambda dy: dy, True, ""),
    ],
)
def test_wrong_slopes_are_refused_and_named(scale, dy_of, both, named):
    def slope_of(f, x, dy, step, h):
        ahead, behind, way = f(x + step), f(x - step) if both else f(x), 2 * h if both else h
        return scale * np.sum((ahead - behind) * dy_of(dy)) / way

    def gradient(f, x, dy, h=1e-5):
        rows = np.eye(x.size).reshape(-1, *x.shape)
        return np.array([slope_of(f, x, dy, h * row, h) for row in rows]).reshape(x.shape)

    def along(f, x, dy, v, h=1e-5):
        return slope_of(f, x, dy, h * v, h)

    assert named in told("numeric_gradient", gradient)
    assert named in told("directional_slope", along)


def test_more_wrong_slopes_are_named():
    def undivided(f, x, dy, h=1e-5):
        return 2 * h * lesson02.numeric_gradient(f, x, dy, h)

    def unit(f, x, dy, v, h=1e-5):
        return lesson02.directional_slope(f, x, dy, v / np.linalg.norm(v), h)

    assert "not divided" in told("numeric_gradient", undivided)
    assert "unit vector" in told("directional_slope", unit)
    assert "view" in told("numeric_gradient", lesson02.hurried_gradient)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((1e-12, 5e-3), ("float64", "rounding")),
        ((1e-2, 5e-3), ("float64", "truncation")),
        ((1e-5, 1e-5), ("float32", "rounding")),
        ((1e-5, 0.5), ("float32", "truncation")),
        ((0, 1e-2), ("between 0 and 1",)),
        (("1e-5", 1e-2), ("between 0 and 1",)),
    ],
)
def test_a_bad_step_is_told_on_which_arm_it_is(given, words):
    assert all(word in told("choose_h", *given) for word in words)


def test_trust_is_neither_blind_nor_suspicious():
    def with_rule(rule):
        def trusted(f, x, dy, v, h=1e-5):
            a, b = (lesson02.directional_slope(f, x, dy, v, step) for step in (h, h / 2))
            return b, bool(rule(a, b))

        return trusted

    assert "trusts the slope of a kink within the step" in told("trusted_slope", with_rule(lambda a, b: True))
    assert "does not trust the slope of a smooth" in told("trusted_slope", with_rule(lambda a, b: a == b))
    assert "large values" in told("trusted_slope", with_rule(lambda a, b: abs(a - b) < 1e-6))
    assert "tiny values" in told("trusted_slope", with_rule(lambda a, b: abs(a - b) < 1e-2))
    assert "two things" in told("trusted_slope", lambda f, x, dy, v, h=1e-5: 1.0)
    assert "True or False" in told("trusted_slope", lambda f, x, dy, v, h=1e-5: (1.0, "yes"))
    right = with_rule(lambda a, b: abs(a - b) <= 1e-6 * abs(b))
    assert "slope is wrong" in told("trusted_slope", lambda *given: (2 * right(*given)[0], right(*given)[1]))


# -------------------------------------------------------------------------------------------------------------- mutants
@pytest.mark.parametrize("subject", lesson02.SUBJECTS, ids=lambda subject: subject.name)
def test_right_ones_are_right(subject):
    y, cache = subject.forward(*subject.arguments)
    dy = np.random.default_rng(0).standard_normal(y.shape)
    for k, gradient in enumerate(subject.backward(dy.copy(), cache)):
        f = lesson02.only(subject.forward, subject.arguments, k)
        numeric = lesson02.numeric_gradient(f, subject.arguments[k], dy, 1e-6)
        assert gradient.shape == numeric.shape
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8 * np.abs(y).max())


@pytest.mark.parametrize("mutant", lesson02.MUTANTS, ids=lambda mutant: mutant.name)
def test_mutants_are_wrong(mutant):
    y, cache = mutant.subject.forward(*mutant.subject.arguments)
    dy = np.random.default_rng(0).standard_normal(y.shape)
    right, wrong = (f(dy.copy(), cache) for f in (mutant.subject.backward, mutant.backward))
    assert any(
        a.shape != b.shape or np.abs(a - b).max() > 1e-3 * np.abs(a).max() for a, b in zip(right, wrong, strict=True)
    )
    assert mutant.needs in lesson02.HABITS


@pytest.mark.parametrize(
    ("name", "survivor", "words"),
    [
        ("dy of ones", "standardise over the batch, dx: all zeros", "Draw dy at random"),
        ("dy = y", "the path through the mean is missing", "accused: LeakyReLU"),
        ("absolute tolerance", "a sine 0.0000001 high, dx: all zeros", "accused: a million times"),
        ("first argument", "affine map, db: averaged over the batch", "Look at every argument"),
        ("float32", "accused: affine map", "11 of 12 right ones accused"),
    ],
)
def test_careless_checks_are_told_what_they_miss(name, survivor, words):
    text = told("kill_the_mutants", lesson02.CARELESS[name])
    assert survivor in text
    assert words in text


def test_a_check_that_always_says_the_same_fails():
    assert "35 of 35 mutants killed, 12 of 12" in told("kill_the_mutants", lambda *given: False)
    assert "0 of 35 mutants killed, 0 of 12" in told("kill_the_mutants", lambda *given: True)
    assert "True or False" in told("kill_the_mutants", lambda *given: None)
    assert "True or False" in told("kill_the_mutants", lambda *given: 0.3)


def test_each_habit_that_is_left_out_lets_somebody_live():
    """The last survivors are each killed by one habit alone."""

    def careful(forward, backward, arguments, rng, *, shapes=True, copied=True, floor=1e-14):
        y, cache = forward(*arguments)
        dy = rng.standard_normal(y.shape)
        for k, gradient in enumerate(backward(dy.copy() if copied else dy, cache)):
            x, f = arguments[k], lesson02.only(forward, arguments, k)
            if shapes and gradient.shape != x.shape:
                return False
            for _ in range(20):
                v = rng.standard_normal(x.shape)
                measured, trusted = lesson02.trusted_slope(f, x, dy, v)
                room = 1e-5 * abs(measured) + floor * np.sum(np.abs(y * dy)) / 1e-5
                if trusted and abs(measured - np.sum(gradient * v)) > room:
                    return False
        return True

    def without(**habits):
        return told("kill_the_mutants", lambda *given: careful(*given, **habits))

    assert verdict("kill_the_mutants", careful).passed
    assert "Compare shapes first" in without(shapes=False)
    assert "Hand out a copy" in without(copied=False)
    assert "allow for rounding" in without(floor=0.0)


def test_a_check_that_raises_is_told_where_and_on_whom():
    def raising(forward, backward, arguments, rng):
        y, cache = forward(*arguments)
        for x, gradient in zip(arguments, backward(np.ones(y.shape), cache), strict=True):
            np.vdot(gradient, x)
        return True

    text = told("kill_the_mutants", raising)
    assert "raises ValueError" in text
    assert "on affine map, db: not summed over the batch" in text


# ------------------------------------------------------------------------------------------------------------ bug hunts
def test_the_checks_of_the_hunt_are_those_of_the_notebook():
    """The notebook shows their text; it must be the text of the functions that are judged."""

    def functions(path):
        found = {}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in ("check_a", "check_b", "check_c", "check_d"):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                found[node.name] = "\n".join(ast.unparse(line) for line in body).replace("lesson02.", "")
        return found

    shown = functions(SOURCE)
    assert len(shown) == 4
    assert shown == functions(Path(lesson02.__file__))


def test_a_wrong_diagnosis_is_answered_with_evidence():
    right = {name: cause for name, (_, cause) in lesson02.SICK_CHECKS.items()}
    assert verdict("name_the_causes", right).passed
    assert "accuses" in told("name_the_causes", {**right, "B": 3})
    assert "not summed over the batch" in told("name_the_causes", {**right, "D": 5})
    assert "halved in place" in told("name_the_causes", {**right, "C": 6})
    assert "keys A, B, C, D" in told("name_the_causes", {"A": 1})
    assert "numbers 1 to 6" in told("name_the_causes", {**right, "A": 9})
    assert not verdict("name_the_causes", dict.fromkeys(right)).passed
    assert verdict("name_the_causes", dict.fromkeys(right)).finding is None


def test_what_is_not_written_is_not_wrong(capsys):
    def unwritten(*given):
        raise NotImplementedError

    for name in ("numeric_gradient", "directional_slope", "trusted_slope", "kill_the_mutants"):
        assert not check(name, unwritten).passed
    assert not check("choose_h", None, None).passed
    out = capsys.readouterr().out
    assert "FAIL" not in out
    assert out.count("not implemented yet") == 4


# ------------------------------------------------------------------------------------------------------------- pictures
def labelled(figure):
    """Whether every panel has a title and says what its axes are."""
    return all(axes.get_title() and axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)


def test_pictures():
    place, dy = np.array([0.4, -0.3]), np.array([1.0, -0.8])
    steps = 10.0 ** np.arange(-6, -1)
    pictures = [
        slope.secants(lambda x: x**3, 2.0, 0.5, 12.0),
        slope.v_curve({"a": (steps, steps**2), "b": (steps, 0 * steps)}, {"best": 1e-3}),
        slope.where_the_probe_looks(
            lambda x: float(np.sum(x * dy)), place, dy, 1.3 * dy, lambda v: float(np.sum(v * dy))
        ),
        slope.kink(lambda h: 1.0 if h < 1e-3 else 0.6 + 0.4e-3 / h, 1e-3, (0.2, 1.0)),
        slope.blind_cotangents(lambda x: x - x.mean(), np.array([0.2, 1.0, 2.0]), {"ones": np.ones_like}),
        slope.survival({"ones": lesson02.survival(lesson02.ones_check, seeds=1)}),
    ]
    assert all(map(labelled, pictures))
    for figure in pictures:
        figure.canvas.draw()


def test_pictures_are_drawn_whatever_the_student_has_written(capsys):
    def unwritten(*given):
        raise NotImplementedError

    def raising(*given):
        raise ValueError

    own = lesson02.directional_slope
    assert lesson02.if_right(lesson02.DIRECTIONAL_SLOPE, lambda *given: own(*given)) is not own
    assert lesson02.if_right(lesson02.DIRECTIONAL_SLOPE, lambda *given: 2 * own(*given)) is own
    assert lesson02.if_right(lesson02.DIRECTIONAL_SLOPE, unwritten) is own
    assert not all(trial.good for trial in lesson02.yours(lambda *given: True))
    for check_of_theirs in (unwritten, raising):
        assert all(trial.good for trial in lesson02.yours(check_of_theirs))
    out = capsys.readouterr().out
    assert out.count("minigan's own") == 4
    assert "is written" in out
    assert "runs through" in out


def test_the_table_of_survivors_counts_them():
    figure = slope.survival({"dy of ones": lesson02.survival(lesson02.ones_check, seeds=2)})
    (label,) = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert "12 survive" in label
    assert "1 accused" in label


def test_a_measurement_thrown_away_is_not_called_no_comparison():
    """One direction only, and thrown away where it crosses the kink: on some draws LeakyReLU's mutants survive."""

    def check(forward, backward, arguments, rng):
        y, cache = forward(*arguments)
        dy = rng.standard_normal(y.shape)
        for k, (x, gradient) in enumerate(zip(arguments, backward(dy.copy(), cache), strict=True)):
            if gradient.shape != x.shape:
                return False
            v = rng.standard_normal(x.shape)
            measured, trusted = lesson02.trusted_slope(lesson02.only(forward, arguments, k), x, dy, v)
            if not trusted:
                continue
            claimed = np.sum(gradient * v)
            room = 1e-5 * max(abs(measured), abs(claimed)) + 1e-9 * np.sum(np.abs(y * dy))
            if abs(measured - claimed) > room:
                return False
        return True

    finding = judge(lesson02.KILL_THE_MUTANTS, [check]).finding
    told = " ".join(finding.evidence)
    assert "draw another direction" in told
    assert "does your check compare at all" not in told


def test_a_sum_of_measured_entries_is_no_probe():
    def slope(f, x, dy, v, h=1e-5):
        return float(np.sum(lesson02.numeric_gradient(f, x, dy, h) * v))

    assert "moves all entries at once" in judge(lesson02.DIRECTIONAL_SLOPE, [slope]).finding.cause


@pytest.mark.parametrize(
    ("factor", "said"), [(1, "a step of 0.2"), (2, "a step of 0.4"), (0.25, "not the one from h / 2")]
)
def test_the_slope_is_that_of_half_the_step(factor, said):
    def trusted_slope(f, x, dy, v, h=1e-5):
        _, trusted = lesson02.trusted_slope(f, x, dy, v, h)
        return lesson02.directional_slope(f, x, dy, v, factor * h), trusted

    finding = judge(lesson02.TRUSTED_SLOPE, [trusted_slope]).finding
    assert said in " ".join([finding.title, *finding.evidence])


# -------------------------------------------------------------------------------------------------------------- stages
def first_version(forward, backward, arguments, rng):
    """One random direction through the first argument, a relative difference, nothing else."""
    y, cache = forward(*arguments)
    dy, v = rng.standard_normal(y.shape), rng.standard_normal(arguments[0].shape)
    claimed = np.sum(backward(dy, cache)[0] * v)
    rest = arguments[1:]
    measured = lesson02.directional_slope(lambda x: forward(x, *rest)[0], arguments[0], dy, v, 1e-5)
    return bool(abs(measured - claimed) <= 1e-5 * max(abs(measured), abs(claimed)))


def test_a_first_version_passes_the_first_stage_only():
    exercise = {e.name: e for e in lesson02.EXERCISES}["kill_the_mutants"]
    assert judge(exercise, [first_version], stage=1).passed
    assert not judge(exercise, [first_version], stage=2).passed
    for stage in (1, 2, 3):
        assert judge(exercise, [lesson02.gradients_agree], stage=stage).passed
        assert not judge(exercise, [lambda *given: True], stage=stage).passed
        assert not judge(exercise, [lambda *given: False], stage=stage).passed
    with pytest.raises(ValueError, match="stage must be"):
        judge(exercise, [lesson02.gradients_agree], stage=4)


def test_stages_hold_one_another():
    first, second, third = (lesson02.of_stage(stage) for stage in (1, 2, 3))
    assert all(one in second for one in first)
    assert all(one in third for one in second)
    assert 0 < len(first) < len(second) < len(third) == 47
    assert all(any(mutant is None for mutant, _ in stage) for stage in (first, second))

"""What the tests of several lessons need: a verdict and its words, and figures that say what their axes are."""

import io

from lessons.judging import judge


def judged(module, name, *given):
    """The verdict of a lesson's own exercise."""
    exercise = next(one for one in module.EXERCISES if one.name == name)
    return judge(exercise, given)


def words(module, name, *given):
    """Everything a student reads about a wrong answer."""
    found = judged(module, name, *given)
    assert not found.passed
    assert found.finding is not None
    return " ".join([found.finding.title, *found.finding.evidence, found.finding.cause])


def assert_readable(figure):
    """Can be drawn, and every picture in it has a title and named axes."""
    figure.savefig(io.BytesIO(), format="png", dpi=20)
    seen = [ax for ax in figure.axes if ax.axison]
    assert seen
    assert all(ax.get_xlabel() or ax.get_ylabel() for ax in seen)
    assert any(ax.get_xlabel() for ax in seen)
    assert any(ax.get_ylabel() for ax in seen)
    assert all(ax.get_title() for ax in seen)

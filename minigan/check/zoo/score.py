"""How good the checker is: every bug of the zoo through the engine, and the score as a table.

A bug is *caught* if the checker says that something is wrong, and *named* if the checker also says what is wrong: its
code is one of those that a person would give. A *false alarm* is a right implementation, written in another way, in
which the checker finds a fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import FAILED, PASSED
from minigan.check.zoo import BUGS, CORRECT, Specimen


@dataclass
class Score:
    """Counts for one exercise.

    Parameters
    ----------
    bugs, caught, named : int
    correct, alarms : int
    missed, misnamed : list of str
        Names of the specimens.
    """

    bugs: int = 0
    caught: int = 0
    named: int = 0
    correct: int = 0
    alarms: int = 0
    missed: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)


def score(*, seed: int = 0) -> dict[str, Score]:
    """Run the whole zoo.

    Parameters
    ----------
    seed : int
        For the checker's random cases.

    Returns
    -------
    dict of str to Score
        By exercise, in the order of the lessons.
    """
    scores = {name: Score() for name in EXERCISES}
    for specimen in BUGS:
        s = scores[specimen.exercise]
        status, code = _verdict(specimen, seed)
        s.bugs += 1
        s.caught += status == FAILED
        s.named += status == FAILED and code in specimen.codes
        if status != FAILED:
            s.missed.append(specimen.name)
        elif code not in specimen.codes:
            s.misnamed.append(f"{specimen.name}: {code}, not {' or '.join(specimen.codes)}")
    for specimen in CORRECT:
        s = scores[specimen.exercise]
        s.correct += 1
        if _verdict(specimen, seed)[0] != PASSED:
            s.alarms += 1
            s.missed.append(f"false alarm: {specimen.name}")
    return scores


def _verdict(specimen: Specimen, seed: int) -> tuple[str, str]:
    outcome = run_exercise(specimen.exercise, specimen.functions, layout=specimen.layout, seed=seed)
    return outcome.status, outcome.finding.code if outcome.finding else ""


def print_score(*, seed: int = 0) -> int:
    """Print the table; the exit status is 0 if every bug is caught and there is no false alarm."""
    scores = score(seed=seed)
    print(f"{'exercise':<22}{'bugs':>6}{'caught':>8}{'named':>7}{'right ones':>12}{'false alarms':>14}")
    total = Score()
    for name, s in scores.items():
        print(f"{name:<22}{s.bugs:>6}{s.caught:>8}{s.named:>7}{s.correct:>12}{s.alarms:>14}")
        for attribute in ("bugs", "caught", "named", "correct", "alarms"):
            setattr(total, attribute, getattr(total, attribute) + getattr(s, attribute))
    print(f"{'all':<22}{total.bugs:>6}{total.caught:>8}{total.named:>7}{total.correct:>12}{total.alarms:>14}")
    share = 100 * total.named / max(total.bugs, 1)
    print(f"{total.caught} of {total.bugs} bugs caught, {total.named} ({share:.0f} %) named right")
    for s in scores.values():
        for name in s.missed:
            print(f"  MISSED {name}")
        for name in s.misnamed:
            print(f"  misnamed {name}")
    return 0 if total.caught == total.bugs and not total.alarms else 1

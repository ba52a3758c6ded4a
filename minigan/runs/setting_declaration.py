"""How a setting of a run is declared, and what is derived from the declarations.

Every field of `minigan.runs.config.RunConfig` is one `setting`: a default, and a `Setting` in the field's metadata.
From these come the check of the values, the options of ``python -m minigan.train``, and what happens to a run that is
resumed, or that is older than a setting. A new setting is therefore one new field.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from minigan.system.cli import number, whole
from minigan.system.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is known about a setting besides its name and its default.

    Attributes
    ----------
    help : str
        For --help. ``{quick.steps}`` stands for a value of a preset.
    range : tuple of float, optional
        Smallest and largest value.
    choices : tuple, optional
        All values that are allowed.
    parse : callable, optional
        Makes a value of the option's text; raises argparse.ArgumentTypeError. By default it reads a number.
    metavar : str
        What stands for the value in --help.
    has_option : bool
        Whether the command line can set it.
    group : tuple of str, optional
        Title and description of the options among which --help lists it, if not among the first ones.
    after : str, optional
        Name of the setting that it follows in --help, if not the field before it.
    fixed : bool
        Whether a resumed run must keep the value, because the numbers of the run depend on it.
    added_later : bool
        Whether runs may be older than the setting: their config.json lacks it, and they get its default.
    """

    help: str
    range: tuple[float, float] | None = None
    choices: tuple[Any, ...] | None = None
    parse: Callable[[str], Any] | None = None
    metavar: str = "N"
    has_option: bool = True
    group: tuple[str, str] | None = None
    after: str | None = None
    fixed: bool = True
    added_later: bool = False


def setting(default: T, help: str, **more: Any) -> T:  # noqa: A002
    """Declare a field of a frozen dataclass.

    Parameters
    ----------
    default : bool, int, float, str or None
        All values have its type; None stands for a text that may be absent.
    help, **more
        The attributes of `Setting`.
    """
    return field(default=default, metadata={"setting": Setting(help=help, **more)})


def declared_settings(config: DataclassInstance | type[DataclassInstance]) -> list[tuple[Field[Any], Setting]]:
    """Every field of a configuration with its declaration, in order."""
    return [(each, each.metadata["setting"]) for each in fields(config)]


def option(name: str) -> str:
    """Spelling of a setting on the command line.

    >>> option("batch_size")
    '--batch-size'
    """
    return "--" + name.replace("_", "-")


def check_values(config: DataclassInstance) -> None:
    """Raise UserError unless every setting lies in its range, and is one of its choices."""
    values = [(option(each.name), getattr(config, each.name), rule) for each, rule in declared_settings(config)]
    for name, value, rule in values:
        if rule.range is not None and not rule.range[0] <= value <= rule.range[1]:
            raise UserError(f"{name}: must be between {rule.range[0]} and {rule.range[1]}, got {value}")
    for name, value, rule in values:
        if rule.choices is not None and value not in rule.choices:
            raise UserError(f"{name}: must be one of {', '.join(map(str, rule.choices))}, got {value!r}")


def has_type_of(default: object, value: object) -> bool:
    """Whether a value has the very type of a setting's default: True does not pass for an int, nor 1 for a float."""
    return type(value) is type(default) if default is not None else isinstance(value, str | None)


def add_options(
    parser: argparse.ArgumentParser, config: type[DataclassInstance], presets: Mapping[str, DataclassInstance]
) -> None:
    """Add one option for each setting to a parser. The value of an option that is not used is None.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    config : type
    presets : dict
        What the help texts may name.
    """
    settings = {each.name: (each.default, rule) for each, rule in declared_settings(config) if rule.has_option}
    order = list(settings)
    for name, (_, rule) in settings.items():
        if rule.after is not None:
            order.remove(name)
            order.insert(order.index(rule.after) + 1, name)
    groups: dict[tuple[str, str] | None, argparse._ActionsContainer] = {None: parser}
    for name in order:
        default, rule = settings[name]
        if rule.group is not None and rule.group not in groups:
            groups[rule.group] = parser.add_argument_group(*rule.group)
        groups[rule.group].add_argument(option(name), help=rule.help.format(**presets), **_how_to_read(default, rule))


def _how_to_read(default: object, rule: Setting) -> dict[str, Any]:
    """The arguments of add_argument that say how the option's text becomes a value."""
    if isinstance(default, bool):
        return {"action": argparse.BooleanOptionalAction}
    if isinstance(default, str) and rule.choices is not None:
        return {"choices": rule.choices}
    return {"type": rule.parse or (number if isinstance(default, float) else whole), "metavar": rule.metavar}

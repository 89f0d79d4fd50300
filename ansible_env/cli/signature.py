"""From a dataclass of options to the signature of a command, as typer reads it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import typer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def option(*names: str, panel: str | None = None, **more: Any) -> Any:
    """Return what typer knows of an option; its default is not shown."""
    return typer.Option(*names, rich_help_panel=panel, show_default=False, **more)


_COMMON = ("verbose", "debug")
_ARGUMENTS = ("environment", "trial", "experiment", "first", "second", "bundle", "directory")


def _place(field: Field[Any]) -> int:
    """Arguments first, and last what every command has."""
    if field.name in _ARGUMENTS:
        return 0
    return 2 + _COMMON.index(field.name) if field.name in _COMMON else 1


def takes(model: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Give a function, which takes a dataclass of options, the signature that typer reads."""

    def decorate(function: Callable[[T], None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(**given: Any) -> None:
            function(model(**given))

        hints = get_type_hints(model, include_extras=True)
        parameters = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=hints[field.name],
            )
            for field in sorted(fields(model), key=_place)
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del command.__wrapped__
        return command

    return decorate

"""What commands are made of: several options as one, and options as one argument."""

from __future__ import annotations

import functools
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

from anthropo.cli.common import EXIT_USAGE, fail
from anthropo.errors import AnthropoError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def all_of(*decorators: Decorator) -> Decorator:
    """Several options as one decorator, in the order of the help."""

    def apply(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def passed_as(name: str, maker: Callable[..., Any] | str) -> Decorator:
    """Give a command the options that are parameters of `maker` as one argument, which `maker` returns.

    A maker whose module is slow to import is named, ``module:name``.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(*args: Any, **options: Any) -> Any:
            make = pkgutil.resolve_name(maker) if isinstance(maker, str) else maker
            values = {key: options.pop(key) for key in set(inspect.signature(make).parameters) & set(options)}
            try:
                argument = make(**values)
            except AnthropoError as error:
                fail(str(error), EXIT_USAGE)
            return function(*args, **{name: argument}, **options)

        return command

    return decorate


def without(name: str) -> Decorator:
    """Keep an option, whose callback does all there is to do, from the command's function."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(*args: Any, **options: Any) -> Any:
            options.pop(name)
            return function(*args, **options)

        return command

    return decorate

"""Commands whose options are the fields of a pydantic model: one list for what is typed and used.

A field is ``Annotated`` with its ``typer.Option``; its default is the option's.
"""

import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, get_type_hints

from pydantic import BaseModel
from typer.models import ParameterInfo

_Command = TypeVar("_Command", bound=Callable[..., None])


class Context(Protocol):
    """What of a typer.Context says where a value is from."""

    def get_parameter_source(self, name: str) -> Any:
        """Return where a parameter's value is from."""


def with_options_of(model: type[BaseModel]) -> Callable[[_Command], _Command]:
    """Return a decorator that puts a model's fields in place of a command's ``**options``."""

    def decorate(command: _Command) -> _Command:
        own = [
            parameter
            for parameter in inspect.signature(command).parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        hints = get_type_hints(model, include_extras=True)
        options = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[name]
            )
            for name, field in model.model_fields.items()
        ]
        command.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
        return command

    return decorate


def given_on_command_line(context: Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return those of ``options`` that were typed, not left to their defaults."""
    sources = {name: context.get_parameter_source(name) for name in options}
    return {
        name: options[name]
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    }


def option_of(model: type[BaseModel], name: str) -> str:
    """Return the option that sets a field: ``--max-frames`` for ``max_frames``."""
    info = parameter_info(model, name)
    # Typer keeps the first of an option's declared names apart, until it makes the command.
    declared = [text for text in (info.default, *(info.param_decls or ())) if text is not ...]
    typed = (text.partition("/")[0] for text in declared if text.startswith("--"))
    return next(typed, f"--{name.replace('_', '-')}")


def parameter_info(model: type[BaseModel], name: str) -> Any:
    """Return the ``typer.Option`` of a field."""
    metadata = model.model_fields[name].metadata
    return next(entry for entry in metadata if isinstance(entry, ParameterInfo))

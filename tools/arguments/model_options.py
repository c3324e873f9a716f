"""Commands whose options are declared by a class: one list for what is typed and used."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar, get_type_hints

import typer
from typer.models import ParameterInfo

from maskstream.stream.arguments import Option, RunArguments, arguments_of

if TYPE_CHECKING:
    from pydantic import BaseModel

_Command = TypeVar("_Command", bound=Callable[..., None])


class Context(Protocol):
    """What of a typer.Context says where a value is from."""

    def get_parameter_source(self, name: str) -> Any:
        """Return where a parameter's value is from."""


def with_options_of(declared: type) -> Callable[[_Command], _Command]:
    """Return a decorator that puts what a class declares in place of a command's ``**options``.

    Args:
        declared: A pydantic model whose fields have a ``typer.Option`` each, or a class of the
            list in `stream.arguments`.
    """

    def decorate(command: _Command) -> _Command:
        own = [
            parameter
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        parameters = _of_list(declared) if is_dataclass(declared) else _of_model(declared)
        command.__signature__ = inspect.Signature([*own, *parameters])  # type: ignore[attr-defined]
        return command

    return decorate


def _of_list(declared: type) -> Iterator[inspect.Parameter]:
    """Yield a parameter for each argument of the list."""
    for name, argument in arguments_of(declared).items():
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=argument.default,
            annotation=Annotated[argument.type, _info(argument.option)],
        )


def listed_option(name: str) -> Any:
    """Return the ``typer.Option`` of an argument of a run, for a command that takes it too."""
    return _info(arguments_of(RunArguments)[name].option)


def _info(option: Option) -> Any:
    return typer.Option(
        *option.names,
        help=option.help,
        metavar=option.metavar,
        rich_help_panel=option.panel,
        show_default=option.shows_default,
    )


def _of_model(model: Any) -> Iterator[inspect.Parameter]:
    """Yield a parameter for each field of a pydantic model."""
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        yield inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[name]
        )


def check_ranges(declared: type, options: dict[str, Any]) -> None:
    """Check that what was typed is within the ranges of the list.

    Raises:
        ConfigError: Something is not.
    """
    listed = arguments_of(declared)
    for name, value in options.items():
        listed[name].check(value)


def given_on_command_line(context: Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return those of ``options`` that were typed, not left to their defaults."""
    sources = {name: context.get_parameter_source(name) for name in options}
    return {
        name: options[name]
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    }


def option_of(model: "type[BaseModel]", name: str) -> str:
    """Return the option that sets a field: ``--max-frames`` for ``max_frames``."""
    info = parameter_info(model, name)
    # Typer keeps the first of an option's declared names apart, until it makes the command.
    declared = [text for text in (info.default, *(info.param_decls or ())) if text is not ...]
    typed = (text.partition("/")[0] for text in declared if text.startswith("--"))
    return next(typed, f"--{name.replace('_', '-')}")


def parameter_info(model: "type[BaseModel]", name: str) -> Any:
    """Return the ``typer.Option`` of a field."""
    metadata = model.model_fields[name].metadata
    return next(entry for entry in metadata if isinstance(entry, ParameterInfo))

"""Help of commands as plain text, with the options below headings.

Typer's own help loads Rich and its Markdown for it, which takes longer than all the rest.
"""

from typing import Any

from typer.core import TyperCommand, TyperGroup

_ARGUMENTS = "Arguments"
_OPTIONS = "Options"


class PlainCommand(TyperCommand):
    """A command whose help groups its options by their panels, in the order of the panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options."""
        sections: dict[str, list[tuple[str, str]]] = {_ARGUMENTS: [], _OPTIONS: []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            usual = _ARGUMENTS if param.param_type_name == "argument" else _OPTIONS
            title = getattr(param, "rich_help_panel", None) or usual
            sections.setdefault(title, []).append(record)
        # Those without a panel last: the option that shows the help is among them.
        titles = [title for title in sections if title != _OPTIONS]
        for title in (*titles, _OPTIONS):
            if sections[title]:
                with formatter.section(title):
                    formatter.write_dl(sections[title])


class PlainGroup(TyperGroup):
    """A group of commands whose help says all of each command's first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, " ".join((command.help or "").split("\n\n")[0].split()))
            for name, command in commands
            if command is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

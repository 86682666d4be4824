"""Command group that rejects former names of commands and options with the new name, and lists flags without a type."""

from typing import Any

from typer.core import TyperGroup

from ..errors import InputError

RENAMED_COMMANDS = {
    "lr": "lr-find",
    "sample": "generate",
    "wire": "dvc-update",
    "study adopt": "study apply",
}

RENAMED_OPTIONS = {
    "add": {"--accept": "--skip-invalid", "--series": "--sequence-id", "--step": "--time-step"},
    "study run": {"--stack": "--vectorize", "--no-stack": "--no-vectorize"},
    "study worker": {"--stack": "--vectorize", "--no-stack": "--no-vectorize"},
}


class CommandGroup(TyperGroup):
    """Group of commands of `fivefold`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that `args` start with.

        Raises:
            InputError: the command or one of its options was renamed.
        """
        if ctx.resilient_parsing:  # shell completion
            return super().resolve_command(ctx, args)
        command = args[0] if ctx.parent is None else f"{ctx.info_name} {args[0]}"
        if command in RENAMED_COMMANDS:
            raise InputError(f"`fivefold {command}` was renamed; use `fivefold {RENAMED_COMMANDS[command]}`")
        options = RENAMED_OPTIONS.get(command, {})
        for option in (argument.partition("=")[0] for argument in args[1:]):
            if option in options:
                raise InputError(f"option {option} of `fivefold {command}` was renamed; use {options[option]}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, its flags without type in the help."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _hide_flag_types(command.get_params(ctx))
        return command

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters of the group, flags without type in the help."""
        return _hide_flag_types(super().get_params(ctx))


def _hide_flag_types(params: Any) -> Any:
    """Return parameters whose flags do not show `<bool>`, which suggests that they need a value."""
    for param in params:
        if getattr(param, "is_flag", False):
            vars(param)["display_type_rich"] = lambda ctx: None
    return params

"""Help and usage errors in Chinese: the English of the commands stands in their docstrings and options."""

import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, NoReturn

import typer
from rich.markup import escape
from rich.text import Text
from typer import rich_utils
from typer.main import get_command

from forecast.cli.screen import console
from forecast.errors import InputError
from forecast.settings import read_settings
from forecast.wording.usage import say_usage

TITLES = MappingProxyType(
    {
        "ARGUMENTS_PANEL_TITLE": "参数",
        "OPTIONS_PANEL_TITLE": "选项",
        "COMMANDS_PANEL_TITLE": "命令",
        "DEFAULT_STRING": "[默认：{}]",
        "REQUIRED_LONG_STRING": "[必填]",
    }
)
"""What frames the help, under the names that it has in typer.rich_utils."""
_SAYING = ("help", "short_help", "rich_help_panel")


class FoldedText(Text):
    """Text that is folded where it is too wide: Chinese has no spaces to break at, and would be cut off."""

    @classmethod
    def from_markup(cls, text: str, **options: Any) -> Text:
        """Read markup."""
        return Text.from_markup(text, **{**options, "overflow": "fold"})


@cache
def chinese_help() -> Mapping[str, str]:
    """Read help.toml, once: the Chinese of each English text."""
    return MappingProxyType(tomllib.loads(files(__package__).joinpath("help.toml").read_text(encoding="utf-8")))


def is_chinese() -> bool:
    """Tell whether FORECAST_LANGUAGE is Chinese; what is wrong with the settings is said by the commands."""
    try:
        return read_settings().language == "zh"
    except InputError:
        return False


def run_in_chinese(app: typer.Typer) -> NoReturn:
    """Run the command that was typed, with help and usage errors in Chinese, and end with its status."""
    for name, own in {**TITLES, "Text": FoldedText}.items():
        setattr(rich_utils, name, own)
    command = get_command(app)
    _translate(command)
    try:
        sys.exit(command(standalone_mode=False))
    except typer.TyperException as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # has printed the help
            told = escape(say_usage(error.format_message()))
            console.print(f"[red]错误：[/red]{told}；用 --help 查看说明")
        sys.exit(error.exit_code)


def _translate(command: Any) -> None:
    """Put Chinese in the place of each text of a command, its parameters and its sub-commands."""
    for part in (command, *command.params, command.get_help_option(typer.Context(command))):
        for name in _SAYING:
            if english := getattr(part, name, None):
                setattr(part, name, chinese_help().get(english, english))
    for each in getattr(command, "commands", {}).values():
        _translate(each)

"""Help and usage errors of the commands, in Chinese."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from forecast.cli import app
from forecast.cli.help import chinese_help
from forecast.wording.usage import say_usage

FORECAST = str(Path(sys.executable).with_name("forecast"))


def texts_of(command):
    """Give every text of the help of a command and its sub-commands."""
    for part in (command, *command.params, command.get_help_option(typer.Context(command))):
        yield from filter(None, (getattr(part, name, None) for name in ("help", "short_help", "rich_help_panel")))
    for each in getattr(command, "commands", {}).values():
        yield from texts_of(each)


def test_every_text_of_the_help_has_its_chinese():
    """Whoever adds or changes a command or option says it in Chinese too, and no text is kept that no help has."""
    assert set(texts_of(get_command(app))) == chinese_help().keys()


@pytest.mark.parametrize("width", ["80", "200"])
def test_the_help_is_in_the_language_of_the_settings(width):
    """With FORECAST_LANGUAGE=zh help is Chinese, and none of it is cut off in a terminal of 80 columns."""
    environment = {"FORECAST_LANGUAGE": "zh", "COLUMNS": width, "PYTHONUTF8": "1"}
    done = subprocess.run(
        [FORECAST, "outlook", "--help"], capture_output=True, text=True, check=True, env=environment, encoding="utf-8"
    )
    assert "按月预测收入" in done.stdout
    assert "显示本说明并退出" in done.stdout
    assert "…" not in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["outlook", "--horzon", "3"], "没有选项 --horzon；相近的有 --horizon"),
        (["outlook", "--horizon", "x"], "的值不对：应为整数"),
        (["outlook", "--horizon", "0"], "的值不对：应不小于 1"),
        (["show"], "缺少参数"),
        (["keys", "mkae"], "没有命令"),
        (["models", "more"], "多出了参数：more"),
    ],
)
def test_usage_errors_are_in_the_language_of_the_settings(words, said):
    """A command line that can't be read is refused in Chinese, with the status that it has in English."""
    environment = {"FORECAST_LANGUAGE": "zh", "COLUMNS": "200", "PYTHONUTF8": "1"}
    done = subprocess.run([FORECAST, *words], capture_output=True, check=False, env=environment, encoding="utf-8")
    assert (done.returncode, said in done.stderr) == (2, True)


def test_what_is_not_known_of_usage_stays_english():
    """A sentence of another release of the library is shown as it is."""
    assert say_usage("The stars are wrong.") == "The stars are wrong."

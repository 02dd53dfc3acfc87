import ast
import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from forecast import errors
from forecast.settings import Settings

CHECKOUT = Path(__file__).parent.parent


def read_trees(*folders):
    """Parse the Python files of some folders, by their path in the checkout."""
    files = sorted(file for folder in folders for file in (CHECKOUT / folder).rglob("*.py"))
    return {str(file.relative_to(CHECKOUT)): ast.parse(file.read_text(encoding="utf-8")) for file in files}


TREES = read_trees("src", "training", "serving")
EVERY_TREE = TREES | read_trees("tests", "benchmarks", "tools")

LOADERS_OF_CODE = {"pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "service", "misc"}
CUSTOMER_SERVICE = {"src/forecast/records/service.py", "src/forecast/demo/service.py"}
LISTS = ("src/forecast/migrations/versions/", "tests/intake/crm_headings.py")
CLOCKS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 80


def places(found, *, under="", apart_from=(), trees=TREES):
    """List `file:line` of the nodes that `found` accepts, in the files under a folder apart from some."""
    return [
        f"{name}:{node.lineno}"
        for name, tree in trees.items()
        if name.startswith(under) and name not in apart_from
        for node in ast.walk(tree)
        if found(node)
    ]


def imported_packages(node):
    """Give the outermost packages that a node imports."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level:
        return {(node.module or "").partition(".")[0]}
    return set()


def test_the_rules_see_the_code():
    """The rules below look at real files; an empty list would satisfy them all."""
    assert {"src/forecast/store.py", "training/__init__.py", "serving/__init__.py"} <= TREES.keys()
    assert places(lambda node: "sqlalchemy" in imported_packages(node), under="src/forecast/store.py")


def test_one_place_commits():
    """A request or job is one transaction, so that only store.unit_of_work commits."""
    commits = places(
        lambda node: isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit",
        apart_from=("src/forecast/store.py",),
    )
    assert commits == [], "write inside `with unit_of_work(engine) as session:` and let it commit"


def test_the_library_is_told_the_time():
    """Moments are arguments, so that any past day can be computed again; only the command line reads the clock."""
    readings = places(
        lambda node: isinstance(node, ast.Attribute) and ast.unparse(node).endswith(CLOCKS),
        under="src/forecast/",
        apart_from=("src/forecast/cli/screen.py",),
    )
    assert readings == [], "take the moment as an argument, and read the clock in cli/screen.py or serving"


def test_help_needs_no_database():
    """The command line shows its help at once: what takes long to import is imported by the commands that need it."""
    slow = {"alembic", "lightgbm", "numpy", "pandas", "polars", "pydantic", "scipy", "sqlalchemy"}
    asked = f"import sys, forecast.cli; print(sorted(set({sorted(slow)}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]", "import it within the command"


def test_nothing_executable_is_loaded():
    """A model or message never runs code by being read."""
    loads = places(lambda node: LOADERS_OF_CODE & imported_packages(node))
    assert loads == [], "store numbers and text: LightGBM's own text format, JSON, Parquet"


def test_names_of_modules_say_what_is_inside():
    """A module named after nothing in particular collects everything."""
    vague = [name for name in EVERY_TREE if NAMES_THAT_SAY_NOTHING & set(Path(name).with_suffix("").parts)]
    assert set(vague) <= CUSTOMER_SERVICE, "name the module after what it knows"


def test_files_can_be_read_at_a_sitting():
    """A file that grows past the limit holds two subjects; lists may be long."""
    lengths = {name: len((CHECKOUT / name).read_text(encoding="utf-8").splitlines()) for name in EVERY_TREE}
    long = {name: length for name, length in lengths.items() if length > FILE_LINES_MAX and not name.startswith(LISTS)}
    assert long == {}, f"divide by subject; at most {FILE_LINES_MAX} lines a file"


def test_functions_fit_on_a_screen():
    """A function that grows past the limit does several things; migrations are lists, and may be long."""
    long = places(
        lambda node: (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
            and node.name not in {"upgrade", "downgrade"}
        ),
        trees=EVERY_TREE,
    )
    assert long == [], f"give each step a function with a name; at most {FUNCTION_LINES_MAX} lines"


@pytest.mark.parametrize("name", [f"FORECAST_{field.name.upper()}" for field in fields(Settings)])
def test_every_setting_is_documented(name):
    """Each variable has its row in docs/configuration.md."""
    rows = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8").splitlines()
    assert any(row.startswith(f"| `{name}` |") for row in rows), f"add a row for {name} to docs/configuration.md"


def test_no_setting_is_documented_that_does_not_exist():
    """A variable that was withdrawn leaves the documentation too."""
    text = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `FORECAST_(\w+)` \|", text, flags=re.MULTILINE))
    assert documented - {field.name.upper() for field in fields(Settings)} == set(), "remove these rows"


def drawn_errors():
    """Give each error of the tree drawn in forecast.errors with its parent, by the depth of its line."""
    parents, above = {}, []
    for line in inspect.getdoc(errors).splitlines():
        if match := re.match(r"\W*(\w+Error)\b", line):
            depth = match.start(1)
            above = [(name, other) for name, other in above if other < depth]
            parents[match[1]] = above[-1][0] if above else "Exception"
            above.append((match[1], depth))
    return parents


def test_the_tree_of_errors_is_drawn_as_it_is():
    """Every error stands in the drawing of forecast.errors, under its parent, and nothing else does."""
    defined = {
        name: cls.__base__.__name__
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if cls.__module__ == errors.__name__
    }
    assert drawn_errors() == defined, "redraw the tree in the docstring of forecast/errors.py"


def test_errors_raised_by_the_library_are_its_own():
    """What a caller may meet is in the tree; Python's own errors are for mistakes in the program."""
    foreign = {"Exception", "RuntimeError", "KeyError", "LookupError", "OSError"}
    raised = places(
        lambda node: isinstance(node, ast.Raise) and node.exc and ast.unparse(node.exc).partition("(")[0] in foreign
    )
    assert raised == [], "raise one of forecast.errors, which says what to do"

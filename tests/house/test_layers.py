"""The direction of imports: engine knows neither windows nor adapters, adapters know the public face alone.

The rules are read from the syntax tree, so that an import inside a function or under TYPE_CHECKING
counts too. Whether importing works in any order is a second question: modules may not import each
other in a circle at module level.
"""

from __future__ import annotations

import ast
import graphlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("strongroom", "engine", "plugins", "desktop", "resources")
QT = ("PySide6", "shiboken6")


@dataclass(frozen=True)
class Import:
    """One imported name: `from a import b` is `a.b` where b may be a module or not."""

    target: str
    line: int
    runs_at_import: bool


def imports_of(name: str, source: str, is_package: bool) -> list[Import]:
    """Every import in a module, relative ones resolved, `import_module("x")` of a literal included."""
    found: list[Import] = []

    def base(node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = name.split(".") if is_package else name.split(".")[:-1]
        parts = parts[: len(parts) - (node.level - 1)]
        return ".".join([*parts, node.module] if node.module else parts)

    def visit(node: ast.AST, runs: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, runs) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.extend(Import(f"{base(node)}.{alias.name}", node.lineno, runs) for alias in node.names)
        elif isinstance(node, ast.Call) and is_import_call(node):
            argument = node.args[0]
            assert isinstance(argument, ast.Constant)
            found.append(Import(str(argument.value), node.lineno, runs))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                visit(child, False)
            for child in node.orelse:
                visit(child, runs)
            return
        inside = runs and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(source), True)
    return found


def is_import_call(node: ast.Call) -> bool:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return (
        name in {"import_module", "__import__"}
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    )


@dataclass(frozen=True)
class Tree:
    """Our modules by dotted name; a package stands under its own name."""

    sources: Mapping[str, str]
    packages: frozenset[str]
    adapters: frozenset[str]  # the modules that entry points name

    def imports(self, module: str) -> list[Import]:
        return imports_of(module, self.sources[module], module in self.packages)


def within(target: str, *packages: str) -> bool:
    return any(target == package or target.startswith(f"{package}.") for package in packages)


def wrong_directions(tree: Tree) -> Iterator[str]:
    """Each import that goes against the layers, as a sentence with its place."""
    for module in tree.sources:
        for found in tree.imports(module):
            if reason := objection(module, found.target, tree.adapters):
                yield f"{module}:{found.line} imports {found.target}: {reason}"


def objection(module: str, target: str, adapters: frozenset[str]) -> str | None:
    layer = module.partition(".")[0]
    if layer == "engine" and within(target, "desktop", "plugins", *QT):
        return "the engine knows neither windows nor concrete adapters"
    if layer == "strongroom" and within(target, "desktop", "plugins", *QT):
        return "the public face shows the engine's plugin API alone"
    if layer == "resources" and within(target, "strongroom", "engine", "plugins", "desktop", *QT):
        return "resources are data"
    if layer == "desktop" and within(target, "plugins"):
        return "the desktop gets adapters from the registry"
    if layer == "plugins":
        if within(target, "engine", "desktop", "resources", *QT):
            return "an adapter imports of ours only `strongroom`"
        # Modules that share code may stand beside the adapters; the adapters themselves stay apart.
        other = next((name for name in adapters if within(target, name)), None)
        if other is not None and not within(module, other):
            return "an adapter imports no other adapter"
    return None


def first_circle(tree: Tree) -> list[str] | None:
    """The modules of a circle of module-level imports, or None."""

    def module_of(target: str) -> str | None:
        while target:
            if target in tree.sources:
                return target
            target = target.rpartition(".")[0]
        return None

    graph: dict[str, set[str]] = {}
    for module in tree.sources:
        reached = {module_of(found.target) for found in tree.imports(module) if found.runs_at_import}
        graph[module] = {name for name in reached if name is not None and name != module}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [str(name) for name in error.args[1]]
    return None


def checkout() -> Tree:
    sources: dict[str, str] = {}
    packages: set[str] = set()
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
                packages.add(".".join(parts))
            sources[".".join(parts)] = path.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return Tree(sources, frozenset(packages), frozenset(project["entry-points"]["strongroom"].values()))


def made_of(modules: Mapping[str, str]) -> Tree:
    """A small tree of these modules; a name that others stand under is a package."""
    packages = {name for name in modules if any(other.startswith(f"{name}.") for other in modules)}
    return Tree(modules, frozenset(packages), frozenset({"plugins.sources.red", "plugins.storage.blue"}))


SKELETON = dict.fromkeys(
    ["strongroom", "engine", "engine.cli", "plugins", "plugins.sources", "plugins.storage", "desktop"], ""
)


# ---------------------------------------------------------------------------------- our own tree


def test_no_import_goes_against_the_layers() -> None:
    assert list(wrong_directions(checkout())) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    circle = first_circle(checkout())
    assert circle is None, " -> ".join(circle or [])


def test_the_tree_is_really_read() -> None:
    tree = checkout()
    assert {"engine", "engine.errors"} <= set(tree.sources)
    assert tree.adapters <= set(tree.sources), "an entry point names a module that does not exist"


# --------------------------------------------------------------------------- the rules catch things


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("engine.queue", "import desktop.app"),
        ("engine.queue", "from plugins.sources import red"),
        ("engine.queue", "def late():\n    from PySide6.QtCore import QObject"),
        ("engine.queue", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import desktop"),
        ("engine.queue", "import importlib\nimportlib.import_module('plugins.sources.red')"),
        ("engine.cli.main", "import PySide6"),
        ("plugins.sources.red", "from engine.errors import StrongroomError"),
        ("plugins.sources.red", "from ...engine import errors"),
        ("plugins.sources.red", "from plugins.storage import blue"),
        ("plugins.sources.red", "from ..storage.blue import Blue"),
        ("plugins.sources.shared", "from .red import Red"),
        ("plugins.sources.red", "import desktop"),
        ("plugins.sources.red", "from PySide6 import QtCore"),
        ("desktop.views.jobs", "from plugins.sources.red import Red"),
        ("desktop.views.jobs", "import plugins"),
        ("strongroom.testing", "import desktop"),
        ("strongroom.testing", "from plugins.storage.blue import Blue"),
        ("resources.sample", "import engine"),
    ],
)
def test_a_wrong_direction_is_caught(module: str, text: str) -> None:
    problems = list(wrong_directions(made_of({**SKELETON, module: text})))
    assert len(problems) == 1
    assert problems[0].startswith(f"{module}:")


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("engine.queue", "from engine.errors import StrongroomError\nimport boto3"),
        ("plugins.sources.red", "import strongroom\nfrom strongroom import Source\nimport desktoplib"),
        ("plugins.sources.red", "from plugins.sources.shared import helper\nfrom . import shared"),
        ("plugins.sources.red.dump", "from plugins.sources.red.tools import find"),
        ("desktop.views.jobs", "from PySide6 import QtWidgets\nimport engine.store"),
        ("strongroom.testing", "from engine.contract.adapters import Source"),
    ],
)
def test_what_the_layers_allow_passes(module: str, text: str) -> None:
    assert list(wrong_directions(made_of({**SKELETON, module: text}))) == []


@pytest.mark.parametrize(
    "modules",
    [
        {"engine.a": "import engine.b", "engine.b": "import engine.a"},
        {"engine.a": "from engine import b", "engine.b": "from .a import thing", "engine": ""},
        {
            "engine.a": "from engine.b import x",
            "engine.b": "import engine.c",
            "engine.c": "import engine.a",
        },
        {"engine": "from engine.a import x", "engine.a": "from engine import y"},
        {
            "engine.a": "class A:\n    from engine import b",
            "engine.b": "try:\n    import engine.a\nfinally: pass",
        },
        {"strongroom": "from engine import x", "engine": "import strongroom"},
    ],
)
def test_a_circle_is_caught(modules: dict[str, str]) -> None:
    assert first_circle(made_of(modules))


@pytest.mark.parametrize(
    "modules",
    [
        {"engine.a": "import engine.b", "engine.b": "def late():\n    import engine.a"},
        {
            "engine.a": "import engine.b",
            "engine.b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import engine.a",
        },
        {"engine": "from engine.a import x", "engine.a": "import json"},
    ],
)
def test_what_is_no_circle_passes(modules: dict[str, str]) -> None:
    assert first_circle(made_of(modules)) is None

"""Is the house in order? `python -m tests.structure` counts, and fails where a rule is broken.

Rules: nobody asks what form a sample or a data section is (`isinstance` on its class, a comparison
with a form's or objective's name) outside that form's or objective's own files; nothing cites a
page that is not in the repository; nothing is formatted by hand. Counted besides, and only shown:
long files, long functions, circles of imports between files, lines.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "deployments",
    "flows",
    "gates",
    "lepton_ai",
    "lightning_modules",
    "storage",
    "tasks",
)
ROOTS_OF_FORMS = ("RowsSpec", "Sample", "ImageSample", "RowSample")
FORMS = ("image", "table", "series")
OBJECTIVES = ("classes", "values", "forecast", "reconstruction")
ASKED = ("kind", "form", "objective")
MOST_FILE_LINES, MOST_FUNCTION_LINES = 300, 40
CITATION = re.compile(r"DESIGN(\.md|\s+section)|\bdesign section", re.IGNORECASE)
BY_HAND = re.compile(r"#\s*fmt:\s*(skip|off)")


@dataclass(frozen=True)
class Place:
    """A line that breaks a rule."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the root, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """Dotted name."""
        return self.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.text.count("\n")


def read_sources(root: Path) -> list[Source]:
    """Reads the tracked Python files of the packages."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "*.py"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    paths = [path for path in listed if path.split("/")[0] in PACKAGES and (root / path).is_file()]
    texts = {path: (root / path).read_text("utf-8") for path in sorted(paths)}
    return [Source(path, text, ast.parse(text)) for path, text in texts.items()]


def find_form_classes(sources: list[Source]) -> set[str]:
    """Names of all classes of one form's data section or sample: what descends from the roots."""
    found = set(ROOTS_OF_FORMS)
    bases = {
        node.name: {ast.unparse(base).split("[")[0] for base in node.bases}
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
    }
    while more := {name for name, parents in bases.items() if parents & found} - found:
        found |= more
    return (found | {"DataSpec"}) - {"RowsSpec", "Sample"}


def find_questions(source: Source, classes: set[str]) -> Iterator[Place]:
    """Lines that ask for the form of a sample or data section, or for its objective, by hand."""
    if set(source.path.removesuffix(".py").split("/")) & {*FORMS, *OBJECTIVES}:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            named = set(re.findall(r"\w+", ast.unparse(node.args[1])))
            if named & classes:
                yield Place(source.path, node.lineno, ast.unparse(node))
        elif isinstance(node, ast.Compare) and _asks_by_name(node):
            yield Place(source.path, node.lineno, ast.unparse(node))


def _asks_by_name(node: ast.Compare) -> bool:
    """Whether an attribute `kind`, `form` or `objective` is compared with one of the names."""
    sides = [node.left, *node.comparators]
    asked = any(isinstance(side, ast.Attribute) and side.attr in ASKED for side in sides)
    texts = {
        part.value
        for side in sides
        for part in ast.walk(side)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }
    return asked and bool(texts & {*FORMS, *OBJECTIVES})


def find_lines(source: Source, pattern: re.Pattern[str], what: str) -> Iterator[Place]:
    """Lines that match a pattern."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if pattern.search(line):
            yield Place(source.path, number, what)


def find_long_functions(source: Source) -> Iterator[Place]:
    """Functions of more lines than fit a screen, docstrings not counted."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            end = node.end_lineno or node.lineno
            first = node.body[0]
            told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            docstring = (first.end_lineno or 0) - first.lineno + 1 if told else 0
            if (lines := end - node.lineno + 1 - docstring) > MOST_FUNCTION_LINES:
                yield Place(source.path, node.lineno, f"{node.name}: {lines} lines")


def find_circles(sources: list[Source]) -> list[list[str]]:
    """Groups of files that import each other, whether at the top or inside a function."""
    modules = {source.module for source in sources}
    arrows = {source.module: set(_list_imports(source, modules)) for source in sources}
    reach: dict[str, set[str]] = {}
    for start in arrows:
        seen: set[str] = set()
        front = list(arrows[start])
        while front:
            if (module := front.pop()) not in seen:
                seen.add(module)
                front += arrows[module]
        reach[start] = seen
    circles = {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in arrows
        if name in reach[name]
    }
    return [list(circle) for circle in sorted(circles)]


def _list_imports(source: Source, modules: set[str]) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & modules
            yield from inner or ({node.module} & modules)
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & modules


def find_unnamed_rooms(root: Path, sources: list[Source]) -> Iterator[Place]:
    """Folders that docs/architecture.md does not name, and names of folders that are gone."""
    page = root / "docs" / "architecture.md"
    if not page.is_file():
        return
    rooms = {str(Path(source.path).parent) for source in sources}
    rows = re.findall(r"^\| (?:\*\*|`)([\w/]+)(?:\*\*|`) \|", page.read_text("utf-8"), re.MULTILINE)
    counted = Counter(name for name in rows if name.split("/")[0] in PACKAGES)
    named = set(counted)
    for room in sorted(rooms - named):
        yield Place(str(page.relative_to(root)), 0, f"does not name {room}")
    for room in sorted(named - rooms):
        yield Place(str(page.relative_to(root)), 0, f"names {room}, which is not there")
    for room in sorted(room for room, times in counted.items() if times > 1):
        yield Place(str(page.relative_to(root)), 0, f"names {room} more than once")


def main() -> int:
    """Counts, shows what breaks a rule, and gives the exit status."""
    given = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    root = Path(given[0]) if given else ROOT
    sources = read_sources(root)
    classes = find_form_classes(sources)
    questions = [place for source in sources for place in find_questions(source, classes)]
    citations = [
        place for source in sources for place in find_lines(source, CITATION, "cites the design")
    ]
    by_hand = [
        place for source in sources for place in find_lines(source, BY_HAND, "formatted by hand")
    ]
    circles = find_circles(sources)
    long_files = [source for source in sources if source.lines > MOST_FILE_LINES]
    functions = [place for source in sources for place in find_long_functions(source)]
    lines = Counter(source.path.split("/")[0] for source in sources)
    for source in sources:
        lines[source.path.split("/")[0]] += source.lines - 1
    print(f"files: {len(sources)}; lines: {sum(lines.values()):,}")
    print(f"files over {MOST_FILE_LINES} lines: {len(long_files)}")
    print(f"functions over {MOST_FUNCTION_LINES} lines: {len(functions)}")
    print(f"circles of imports: {len(circles)}, of {sum(map(len, circles))} files")
    print(f"questions for a form or objective outside its own files: {len(questions)}")
    if "--list" in sys.argv:
        print(*(f"{source.path}: {source.lines} lines" for source in long_files), sep="\n")
        print(*functions, *circles, sep="\n")
    broken = [*questions, *citations, *by_hand, *find_unnamed_rooms(root, sources)]
    print(*broken, *(f"circle: {', '.join(circle)}" for circle in circles), sep="\n")
    return 1 if broken or circles else 0


if __name__ == "__main__":
    sys.exit(main())

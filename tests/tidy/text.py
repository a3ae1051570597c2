"""What may stand in a file: lengths, white space, banned spellings with what to write instead."""
import re

from tree import Finding, LIBRARY

LINE_MAX = 120
# A file is one concept; a test is a list of cases.
FILE_MAX = 320
TEST_MAX = 500
SKIPPED = ("LICENSE",)
CODE = (".h", ".cpp", ".cu", ".py", ".sh", ".cmake", "CMakeLists.txt", ".proto")

# (pattern, where, what to write instead)
EVERYWHERE = [
    (r"\bTO" r"DO\b|\bFIX" r"ME\b|\bXX" r"X\b|\bHA" r"CK\b", "do it now, or raise an Error that says what is missing"),
]
IN_CPP = [
    (r"\busing namespace std\b", "name what is used"),
    (r"#\s*pragma\s+omp\b", "use parallel_for (core/base/parallel.h): bits must not depend on threads"),
    (r"\bGTEST_SKIP\(\)\s*;", "say why: GTEST_SKIP() << reason"),
    (r"\bDISABLED_\w", "mend the test or delete it"),
]
IN_LIBRARY = [
    (r"\bstd::mt19937|[^:\w]s?rand\(", "use RandomStream (core/base/random.h)"),
    (r"\bstd::(cout|cerr|clog)\b|<iostream>", "use trireme::log (core/base/log.h)"),
    (r"(?<![\w:])(std::)?f?printf\(|(?<![\w:])(std::)?f?puts\(", "use trireme::log or fmt::format"),
    (r"\bstd::(abort|exit|terminate|_Exit|quick_exit)\b|(?<![\w:.>])(abort|terminate)\(\)|(?<![\w.>])_?exit\(",
     "raise Error: library code never ends the process"),
    (r"(?<!\w)assert\(|<cassert>", "use require(): it also checks in release builds"),
    (r"\bthrow std::", "raise Error through fail() or require()"),
    (r"\bfast-math\b|\b-march\b", "instruction sets are chosen at run time"),
]
# Where every call that reaches the disk must be one that tests can make fail.
IN_CHECKPOINT = [
    (r"<(fstream|filesystem|cstdio|stdio\.h|fcntl\.h|dirent\.h|sys/(stat|mman|uio|file)\.h)>|\bstd::(i|o)?fstream\b|"
     r"\bstd::filesystem\b|(?<![\w)>])::(open|creat|p?read|p?write|f(data)?sync|rename|unlink|mkdir|rmdir|ftruncate)\(",
     "go through FileSystem (core/base/filesystem.h)"),
]
# The places that are there to print or to end the process, and why.
EXCEPTIONS = {
    "core/base/log.cpp": "the log itself",
    "training/progress_line.cpp": "the progress bar",
    "training/option_parser.cpp": "the text of --help",
    "training/program.cpp": "the frame of a program: its one line of error",
    "cluster/worker_status.cpp": "rehearses a program that dies",
}


def without_comments(line):
    return re.sub(r'"(\\.|[^"\\])*"', '""', line).split("//")[0]


def banned(tree, names, rules, code_only):
    found = []
    compiled = [(re.compile(pattern), mend) for pattern, mend in rules]
    for name in names:
        for number, line in tree.lines(name):
            shown = without_comments(line) if code_only else line
            for pattern, mend in compiled:
                if match := pattern.search(shown):
                    found.append(Finding(f"{name}:{number}", f"'{match[0].strip()}'", mend))
    return found


def check_words(tree):
    """No left-overs, no spellings that the house has replaced."""
    library = [n for n in tree.cpp(under=LIBRARY) if n not in EXCEPTIONS]
    return (banned(tree, tree.names(*CODE), EVERYWHERE, False) + banned(tree, tree.cpp(), IN_CPP, True) +
            banned(tree, library, IN_LIBRARY, True) +
            banned(tree, tree.cpp(under=("checkpoint/",)), IN_CHECKPOINT, True))


def check_eager_messages(tree):
    """Arguments of require() are evaluated on every call, so they make no text: arrays are passed as they are."""
    found = []
    literal = r'"(?:\\.|[^"\\])*"'
    statement = re.compile(rf"\brequire(?:_usage)?\((?:{literal}|[^;\"])*?\b(?:describe|to_string|fmt::format)\(", re.S)
    for name in tree.cpp(under=("core/ops/", "core/array/", "core/autograd/", "comm/")):
        for match in statement.finditer(tree.text[name]):
            line = tree.text[name][:match.end()].count("\n") + 1
            found.append(Finding(f"{name}:{line}", "text is made for require() on every call",
                                 "pass the value itself, or write if (!ok) { fail(...); }"))
    return found


def check_lines(tree):
    """Lines of at most 120 characters, no trailing white space, no tabs, a newline at the end."""
    found = []
    for name in tree.names():
        if name in SKIPPED or name.endswith((".svg", ".jsonl", ".json", ".tsv", ".csv", ".txt")):
            continue
        for number, line in tree.lines(name):
            place = f"{name}:{number}"
            if len(line) > LINE_MAX and not name.endswith(".md"):
                found.append(Finding(place, f"{len(line)} characters", f"break the line at {LINE_MAX}"))
            if line != line.rstrip():
                found.append(Finding(place, "white space at the end of the line", "remove it"))
            if "\t" in line:
                found.append(Finding(place, "a tab", "use spaces"))
        if tree.text[name] and not tree.text[name].endswith("\n"):
            found.append(Finding(name, "no newline at the end of the file", "add one"))
    return found


def check_length(tree):
    """A file is one concept: most have 60 to 200 lines."""
    found = []
    for name in tree.names(*CODE):
        count = tree.text[name].count("\n")
        most = TEST_MAX if name.startswith("tests/") else FILE_MAX
        if count > most:
            found.append(Finding(name, f"{count} lines, at most {most} expected", "split it by concept"))
    return found

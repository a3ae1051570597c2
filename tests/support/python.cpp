#include "tests/support/python.h"

#include <cstdlib>
#include <map>

#include "tests/support/command.h"

namespace trireme::test {
namespace {

constexpr std::chrono::seconds kLimit(60);

PythonResult run_interpreter(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {python(), "-B"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  // One thread: the machine is shared with other tests. No network: what is not there is skipped, not fetched.
  const CommandResult result = run_command(words, {{"OMP_NUM_THREADS", "1"}, {"HF_HUB_OFFLINE", "1"}}, kLimit);
  return {result.exit_code, result.out, result.err};
}

}  // namespace

std::string python() {
  const char* given = std::getenv("TRIREME_PYTHON");
  return given != nullptr && *given != 0 ? given : "python3";
}

std::string missing_packages(const std::string& packages) {
  static std::map<std::string, bool> known;
  if (!known.contains(packages)) {
    // Found, not imported: that takes seconds.
    constexpr const char* kSearch =
        "import importlib.util as i, sys; sys.exit(any(i.find_spec(p.strip()) is None for p in "
        "sys.argv[1].split(',')))";
    known[packages] = run_interpreter({"-c", kSearch, packages}).exit_code == 0;
  }
  return known[packages] ? "" : python() + " has no " + packages + "; set TRIREME_PYTHON to one that has";
}

PythonResult run_python(const std::string& script, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {TRIREME_SOURCE_DIR "/" + script};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return run_interpreter(words);
}

}  // namespace trireme::test

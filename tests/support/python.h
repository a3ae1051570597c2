// Python as an oracle: other people's libraries open what we write and compute what we compute. The interpreter is
// $TRIREME_PYTHON, else python3; a test that needs packages it does not have is skipped and says so.
#pragma once

#include <string>
#include <vector>

namespace trireme::test {

std::string python();
// Empty if the interpreter has all of them ("torch, safetensors"); else the reason to skip, with what to do.
std::string missing_packages(const std::string& packages);

struct PythonResult {
  int exit_code = -1;  // -1: ended by a signal or the deadline
  std::string out;
  std::string err;
};
// Runs a script of this tree, named from its root. Packages of this size take seconds to import; a minute is the limit.
PythonResult run_python(const std::string& script, const std::vector<std::string>& arguments);

}  // namespace trireme::test

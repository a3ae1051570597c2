// The `trireme` command.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "trireme/cluster/process_end.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/commands.h"

int main(int argc, char** argv) {
  using namespace trireme;
  try {
    return launcher::run_command(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return error.kind() == ErrorKind::usage ? cluster::kExitUsage : cluster::kExitError;
  } catch (const std::exception& error) {
    fmt::print(stderr, "trireme: {}\n", error.what());
    return cluster::kExitError;
  }
}

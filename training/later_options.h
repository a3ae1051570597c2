// Options that the contract of the programs names and this version does not have: they are understood, so that using
// one gives a clear error instead of "unknown option", and never silence.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace trireme::training {

struct LaterOption {
  std::string name;   // "--buddy"
  std::string needs;  // what it belongs to
  bool is_flag = false;
  std::vector<std::string> harmless = {};  // values that ask for what is done anyway
};

std::span<const LaterOption> later_options();

}  // namespace trireme::training

// From a command line (and a --config file with the same words) to ProgramOptions and a program's own options.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/training/program_options.h"

namespace trireme::training {

class OptionParser {
 public:
  // `common` is where the common options go; its values at this time are the defaults that --help shows. It and every
  // target of add() must outlive the parser.
  OptionParser(std::string_view program, std::string_view purpose, ProgramOptions& common);
  ~OptionParser();
  OptionParser(const OptionParser&) = delete;
  OptionParser& operator=(const OptionParser&) = delete;

  // A program's own options. `name` is "--layers"; the target's present value is the default.
  void add(std::string_view name, std::int64_t& target, std::string_view help, std::int64_t least = 1);
  void add(std::string_view name, double& target, std::string_view help);
  void add(std::string_view name, std::string& target, std::string_view help, std::vector<std::string> choices = {});
  void add_flag(std::string_view name, bool& target, std::string_view help);
  // Lines at the end of --help: examples that teach.
  void set_examples(std::string_view text);

  // False if the arguments asked for --help or --version, which has then been printed to stdout. Raises a usage Error
  // for unknown words, bad values, and options that this version does not have. Once, after every add().
  bool parse(int argc, const char* const* argv);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trireme::training

// A directory of four small checkpoints, and `trireme ckpt` on it.
#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/checkpoint/state_fixture.h"
#include "tests/support/command.h"
#include "trireme/checkpoint/layout.h"

namespace trireme::launcher {

class Ckpt : public testing::Test {
 protected:
  void SetUp() override {
    for (const std::int64_t step : {1, 2, 3, 4}) {
      checkpoint::Writer writer(files_, clock_, [&] {
        checkpoint::WriterOptions options = checkpoint::test_state::options(dir_.path());
        options.keep = 10;
        return options;
      }());
      writer.save(checkpoint::test_state::position(step), checkpoint::test_state::make_state(step));
    }
  }

  test::CommandResult ckpt(std::vector<std::string> words) const {
    words.push_back(dir_.path());
    return run(words);
  }
  // With all its words.
  static test::CommandResult run(std::vector<std::string> words) {
    words.insert(words.begin(), {TRIREME_BIN_DIR "/trireme", "ckpt"});
    return test::run_command(words);
  }
  static nlohmann::json json_of(const test::CommandResult& result) {
    return nlohmann::json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }
  static std::string name(std::int64_t step) { return fmt::format("step-{:08}", step); }
  std::string path(std::int64_t step) const { return dir_ / name(step); }
  std::vector<std::int64_t> left() const {
    std::vector<std::int64_t> steps;
    for (std::int64_t step = 1; step <= 4; ++step) {
      if (std::filesystem::exists(path(step))) {
        steps.push_back(step);
      }
    }
    return steps;
  }
  // Flips a bit in the middle of the tensors.
  void damage(std::int64_t step) const {
    for (const auto& entry : std::filesystem::directory_iterator(path(step))) {
      if (entry.path().extension() == ".safetensors") {
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(-8, std::ios::end);
        file.put('!');
      }
    }
  }

  test::TempDir dir_;
  PosixFileSystem files_;
  SteadyClock clock_;
};

}  // namespace trireme::launcher

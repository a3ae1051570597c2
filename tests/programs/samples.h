// Small runs and small data files that several program tests share.
#pragma once

#include <string>
#include <vector>

#include "tests/programs/command.h"

namespace trireme::test {

// A text file of `bytes` bytes that a small model can learn.
void write_text_file(const std::string& path, std::size_t bytes = 6000);

// IDX files with MNIST's names in `directory`: class c is a bright square at a place of its own, with some noise.
void write_idx_files(const std::string& directory, std::int64_t train_items, std::int64_t test_items);

// `train_gpt` with a model that takes milliseconds a step, 12 lanes, no progress, and this metrics file.
std::vector<std::string> tiny_gpt(const std::string& text, const std::string& metrics);

// The words behind `trireme run` on so many processes of this machine.
std::vector<std::string> launched(int processes, std::vector<std::string> words);

}  // namespace trireme::test

#include "tests/programs/samples.h"

#include <fstream>

#include "trireme/core/base/random.h"

namespace trireme::test {
namespace {

void put_big_endian(std::ofstream& file, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    file.put(static_cast<char>(value >> shift & 0xff));
  }
}

void write_idx_pair(const std::string& directory, const std::string& name, std::int64_t items) {
  std::ofstream images(directory + "/" + name + "-images-idx3-ubyte", std::ios::binary);
  std::ofstream labels(directory + "/" + name + "-labels-idx1-ubyte", std::ios::binary);
  put_big_endian(images, 0x803);
  put_big_endian(images, static_cast<std::uint32_t>(items));
  put_big_endian(images, 28);
  put_big_endian(images, 28);
  put_big_endian(labels, 0x801);
  put_big_endian(labels, static_cast<std::uint32_t>(items));
  const RandomStream random(5, name);
  for (std::int64_t i = 0; i < items; ++i) {
    const std::int64_t label = i % 10;
    labels.put(static_cast<char>(label));
    for (std::int64_t y = 0; y < 28; ++y) {
      for (std::int64_t x = 0; x < 28; ++x) {
        const bool inside = x / 5 == label % 5 && y / 14 == label / 5;
        const std::uint64_t noise = random.below(static_cast<std::uint64_t>((i * 28 + y) * 28 + x), 60);
        images.put(static_cast<char>(inside ? 190 + noise : noise));
      }
    }
  }
}

}  // namespace

void write_text_file(const std::string& path, std::size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i) {
    text += "int value_" + std::to_string(i % 97) + " = compute(" + std::to_string(i * i % 31) + ");\n";
  }
  text.resize(bytes);
  std::ofstream(path, std::ios::binary) << text;
}

void write_idx_files(const std::string& directory, std::int64_t train_items, std::int64_t test_items) {
  write_idx_pair(directory, "train", train_items);
  write_idx_pair(directory, "t10k", test_items);
}

std::vector<std::string> tiny_gpt(const std::string& text, const std::string& metrics) {
  return {"train_gpt", "--data",     text,  "--layers",       "2",    "--heads", "2",  "--width",
          "32",        "--context",  "16",  "--global-batch", "12",   "--lanes", "12", "--seed",
          "7",         "--progress", "off", "--metrics",      metrics};
}

std::vector<std::string> launched(int processes, std::vector<std::string> words) {
  words[0] = std::string(TRIREME_BIN_DIR) + "/" + words[0];
  std::vector<std::string> all = {"trireme", "run", "--nproc-per-node", std::to_string(processes), "--"};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

}  // namespace trireme::test

// --export and --init: a model leaves a run as one safetensors file and enters another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/programs/samples.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

// The JSON header of a safetensors file.
nlohmann::json header_of(const std::string& path) {
  const std::string bytes = read_text(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  return nlohmann::json::parse(bytes.substr(8, length));
}

class ModelFile : public testing::Test {
 protected:
  void SetUp() override { write_text_file(text_); }
  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
  std::string model_ = dir_ / "model.safetensors";
};

TEST_F(ModelFile, HasHuggingFacesNamesAndShapes) {
  ASSERT_EQ(run(with(tiny_gpt(text_, metrics_), {"--steps", "1", "--export", model_})).code, 0);
  auto header = header_of(model_);
  header.erase("__metadata__");
  std::set<std::string> names;
  for (const auto& [name, entry] : header.items()) {
    names.insert(name);
    EXPECT_EQ(entry["dtype"], "F32");
  }
  std::set<std::string> expected = {"transformer.wte.weight", "transformer.wpe.weight", "transformer.ln_f.weight",
                                    "transformer.ln_f.bias"};
  for (const char* block : {"transformer.h.0.", "transformer.h.1."}) {
    for (const char* part : {"ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"}) {
      expected.insert(std::string(block) + part + ".weight");
      expected.insert(std::string(block) + part + ".bias");
    }
  }
  EXPECT_EQ(names, expected);
  EXPECT_EQ(header["transformer.wte.weight"]["shape"], (std::vector<int>{256, 32}));
  EXPECT_EQ(header["transformer.wpe.weight"]["shape"], (std::vector<int>{16, 32}));
  EXPECT_EQ(header["transformer.h.0.attn.c_attn.weight"]["shape"], (std::vector<int>{32, 96}));
  EXPECT_EQ(header["transformer.h.1.mlp.c_proj.weight"]["shape"], (std::vector<int>{128, 32}));
}

TEST_F(ModelFile, ComesBackBitForBitOnAnyRanks) {
  ASSERT_EQ(run(with(tiny_gpt(text_, metrics_), {"--steps", "3", "--export", model_})).code, 0);
  const std::string expected = hash_of(metrics_);
  const std::vector<std::string> load = {"--init", model_, "--steps", "0", "--seed", "99"};
  ASSERT_EQ(run(with(tiny_gpt(text_, metrics_), load)).code, 0);
  EXPECT_EQ(hash_of(metrics_), expected);
  ASSERT_EQ(run(with(tiny_gpt(text_, metrics_), with(load, {"--backend", "local", "--ranks", "3"}))).code, 0);
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(ModelFile, IsTheSameFileFromAnyNumberOfRanks) {
  const std::string other = dir_ / "other.safetensors";
  ASSERT_EQ(run(with(tiny_gpt(text_, metrics_), {"--steps", "2", "--export", model_})).code, 0);
  ASSERT_EQ(
      run(with(tiny_gpt(text_, metrics_), {"--steps", "2", "--export", other, "--backend", "local", "--ranks", "3"}))
          .code,
      0);
  EXPECT_EQ(read_text(model_), read_text(other));
}

TEST_F(ModelFile, AModelOfAnotherShapeIsAnErrorThatNamesTheTensor) {
  ASSERT_EQ(run(with(tiny_gpt(text_, metrics_), {"--steps", "0", "--export", model_})).code, 0);
  const Outcome outcome = run(with(tiny_gpt(text_, metrics_), {"--width", "64", "--init", model_}));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, testing::HasSubstr("transformer."));
}

TEST_F(ModelFile, SimpleNetHasThePlainNames) {
  ASSERT_EQ(run({"train_classifier", "--steps", "1", "--progress", "off", "--export", model_}).code, 0);
  const auto header = header_of(model_);
  EXPECT_EQ(header["fc.0.weight"]["shape"], (std::vector<int>{128, 784}));
  EXPECT_EQ(header["fc.0.bias"]["shape"], (std::vector<int>{128}));
  EXPECT_EQ(header["fc.2.weight"]["shape"], (std::vector<int>{10, 128}));
  EXPECT_EQ(header["fc.2.bias"]["shape"], (std::vector<int>{10}));
}

}  // namespace
}  // namespace trireme::test

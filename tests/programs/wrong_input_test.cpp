// Wrong input: one short line that says what to do, exit 1 or 2, within a second, no core file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/programs/samples.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;

// Sanitizers and busy machines are slower; what must never happen is a hang.
constexpr double kSoon = 10;

class WrongInput : public testing::Test {
 protected:
  void SetUp() override {
    write_text_file(text_);
    std::ofstream(file_) << "x";
    std::ofstream{empty_};
  }

  void expect_error(const std::vector<std::string>& words, int code, const std::string& message,
                    const std::map<std::string, std::string>& environment = {}) {
    SCOPED_TRACE(testing::PrintToString(words));
    const Outcome outcome = run(words, environment);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, testing::HasSubstr(message));
    EXPECT_EQ(outcome.err.rfind("error: ", 0), 0u) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_LT(outcome.err.size(), 600u) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_LT(outcome.seconds, kSoon);
  }

  // train_gpt on good data with these words.
  std::vector<std::string> gpt(const std::vector<std::string>& more) const {
    return with({"train_gpt", "--data", text_, "--progress", "off", "--steps", "1"}, more);
  }

  std::string safetensors(const std::string& bytes) const {
    const std::string path = dir_ / "model.safetensors";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string file_ = dir_ / "file";
  std::string empty_ = dir_ / "empty";
  std::string absent_ = dir_ / "absent";
};

TEST_F(WrongInput, WordsOfTheCommandLine) {
  expect_error(gpt({"--layer", "2"}), 2, "unknown option '--layer', did you mean --layers?");
  expect_error(gpt({"--steps", "many"}), 2, "--steps");
  expect_error(gpt({"--layers", "0"}), 2, "at least 1 expected");
  expect_error(gpt({"--vocab", "100"}), 2, "at least 256 expected");
  expect_error(gpt({"--order", "random"}), 2, "shuffled|sequential expected");
  expect_error({"train_classifier", "--model", "cnn"}, 2, "mlp|resnet expected");
  expect_error(gpt({"--config", absent_}), 2, absent_);
}

TEST_F(WrongInput, WhatThisVersionOrMachineDoesNotHave) {
  expect_error(gpt({"--device", "cuda"}), 2, "use --device cpu");
  expect_error(gpt({"--strategy", "parameter_server"}), 2, "no servers were started; use `trireme run --servers S");
  expect_error(gpt({"--strategy", "parameter_server", "--servers", "2"}), 2, "this process is alone");
  expect_error(gpt({"--servers", "2"}), 2, "--servers given with --strategy mirrored");
  expect_error(gpt({"--backend", "nccl"}), 2, "not built in this version");
  expect_error(gpt({"--tensorboard", "runs"}), 2, "not built in this version");
  expect_error(gpt({"--cpu-offload"}), 2, "belongs to --strategy fully_sharded");
}

TEST_F(WrongInput, ShapesThatDoNotDivide) {
  expect_error(gpt({"--width", "65", "--heads", "4"}), 2, "heads");
  expect_error(gpt({"--global-batch", "12", "--lanes", "5"}), 2, "use --global-batch 15");
  expect_error(gpt({"--global-batch", "12", "--accumulate", "5"}), 2, "use --global-batch 15");
}

TEST_F(WrongInput, SizesThatNoMachineHolds) {
  expect_error(gpt({"--layers", "100000"}), 2, "at most 10000");
  expect_error(gpt({"--global-batch", "1000000000000"}), 1, "use a smaller --global-batch");
  expect_error(gpt({"--width", "1048576", "--layers", "100"}), 1, "the job does not fit: rank 0 needs");
}

TEST_F(WrongInput, FewerLanesThanRanks) {
  expect_error(gpt({"--backend", "local", "--ranks", "3", "--lanes", "2"}), 2, "fewer lanes than ranks");
  expect_error(gpt({"--interface", "none0"}), 2, "it has lo (127.0.0.1)");
  // Whichever rank ends first, and whether or not rank 0 comes to print it, the reason is shown.
  for (int round = 0; round < 4; ++round) {
    EXPECT_THAT(run(launched(3, gpt({"--lanes", "2"}))).err, testing::HasSubstr("fewer lanes than ranks"));
  }
  const Outcome outcome = run(launched(2, gpt({"--lanes", "1"})));
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, testing::HasSubstr("fewer lanes than ranks"));
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST_F(WrongInput, TextThatIsAbsentEmptyOrTooShort) {
  const auto with_data = [&](const std::string& path) {
    return std::vector<std::string>{"train_gpt", "--data", path, "--progress", "off"};
  };
  expect_error(with_data(absent_), 1, absent_);
  expect_error(with_data(empty_), 1, empty_ + ": 0 bytes of text");
  expect_error(with_data(file_), 1, "context");
  fs::create_directory(dir_ / "folder");
  expect_error(with_data(dir_ / "folder"), 1, "folder");
}

TEST_F(WrongInput, ImagesThatAreAbsentEmptyOrTorn) {
  write_idx_files(dir_.path(), 40, 10);
  const std::string images = dir_ / "train-images-idx3-ubyte";
  const std::string labels = dir_ / "train-labels-idx1-ubyte";
  const auto with_data = [&](std::vector<std::string> paths) {
    return with({"train_classifier", "--progress", "off", "--data"}, paths);
  };
  expect_error(with_data({absent_, labels}), 1, absent_);
  expect_error(with_data({empty_, labels}), 1, empty_);
  expect_error(with_data({images, images}), 1, images);
  fs::resize_file(images, 1000);
  expect_error(with_data({images, labels}), 1, images);
  expect_error(with_data({images}), 1, images);
}

TEST_F(WrongInput, ModelFilesThatAreNone) {
  expect_error(gpt({"--init", absent_}), 1, absent_);
  expect_error(gpt({"--init", empty_}), 1, empty_);
  expect_error(gpt({"--init", safetensors(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8) + "{}")}), 1,
               "model.safetensors");
  expect_error(gpt({"--init", safetensors(std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8) + "{}")}), 1,
               "model.safetensors");
  expect_error(gpt({"--init", safetensors(std::string("\x02\0\0\0\0\0\0\0", 8) + "{}")}), 1, "model.safetensors");
}

TEST_F(WrongInput, FilesThatCannotBeWritten) {
  expect_error(gpt({"--checkpoint-dir", file_}), 2, "is a file, a directory expected");
  expect_error(gpt({"--metrics", dir_ / "no/such/file"}), 2, "does not exist");
  expect_error(gpt({"--export", dir_.path()}), 2, "is a directory");
  expect_error(gpt({"--metrics", "/dev/full"}), 1, "No space left on device");
}

TEST_F(WrongInput, AHalfSetEnvironmentIsNotSilentlyAWorldOfOne) {
  expect_error(gpt({}), 1, "WORLD_SIZE", {{"RANK", "0"}});
  expect_error(gpt({"--backend", "local"}), 1, "LOCAL_RANK", {{"WORLD_SIZE", "2"}, {"RANK", "0"}});
  expect_error(gpt({"--backend", "local"}), 2, "--backend local", {{"PMI_SIZE", "2"}, {"PMI_RANK", "0"}});
}

TEST_F(WrongInput, ARankThatNeverComesIsNamedWithinTheTimeout) {
  const Outcome outcome = run(gpt({"--timeout", "0.5"}), {{"RANK", "0"},
                                                          {"WORLD_SIZE", "2"},
                                                          {"LOCAL_RANK", "0"},
                                                          {"LOCAL_WORLD_SIZE", "2"},
                                                          {"MASTER_ADDR", "127.0.0.1"},
                                                          {"MASTER_PORT", "29417"}});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, testing::HasSubstr("rank"));
  EXPECT_LT(outcome.seconds, kSoon);
}

}  // namespace
}  // namespace trireme::test

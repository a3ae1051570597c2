// Other programs open what we write, and we open what they write. Needs Python with torch and safetensors: the
// interpreter in TRIREME_TEST_PYTHON, or python3; without them these tests are skipped and say so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/checkpoint/state_fixture.h"
#include "tests/support/temp_dir.h"
#include "trireme/checkpoint/model_file.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;

std::string python() {
  const char* given = std::getenv("TRIREME_TEST_PYTHON");
  return given != nullptr ? given : "python3";
}

bool have_packages() {
  static const bool have = std::system((python() + " -c 'import torch, safetensors' >/dev/null 2>&1").c_str()) == 0;
  return have;
}

int run_script(const std::string& script, const std::string& arguments) {
  return std::system((python() + " " TRIREME_SOURCE_DIR "/tests/interop/" + script + " " + arguments).c_str());
}

class Interop : public testing::Test {
 protected:
  void SetUp() override {
    if (!have_packages()) {
      GTEST_SKIP() << python() << " has no torch and safetensors; set TRIREME_TEST_PYTHON to one that has";
    }
  }
};

TEST_F(Interop, PythonAndPyTorchOpenMirroredAndShardedCheckpoints) {
  for (const bool sharded : {false, true}) {
    const test::TempDir dir;
    PosixFileSystem files;
    SteadyClock clock;
    save_all(files, clock, dir / "c", 42, 3, sharded);
    EXPECT_EQ(run_script("read_checkpoint.py", dir / "c/step-00000042 42"), 0);
  }
}

TEST_F(Interop, FilesWrittenByPythonLoad) {
  const test::TempDir dir;
  PosixFileSystem files;
  ASSERT_EQ(run_script("write_models.py", dir.path().string() + " 2>/dev/null >&2"), 0);
  for (const char* name : {"float64", "float32", "float16", "bfloat16"}) {
    const Array x = Array::zeros({4, 3});
    load_model(files, dir / (std::string(name) + ".safetensors"), std::vector<StateTensor>{{"x", {4, 3}, 0, x}});
    for (int i = 0; i < 12; ++i) {
      EXPECT_EQ(x.to_vector<double>()[static_cast<std::size_t>(i)], i / 4.0) << name;
    }
  }
  if (!std::filesystem::exists(dir / "sums.txt")) {
    GTEST_SKIP() << python() << " has no transformers: the GPT-2 files were not checked";
  }
  std::vector<StateTensor> wanted;
  std::vector<double> sums;
  std::ifstream lines(dir / "sums.txt");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    StateTensor tensor;
    double sum = 0;
    fields >> tensor.name >> sum;
    for (std::int64_t size = 0; fields >> size;) {
      tensor.global_shape.push_back(size);
    }
    tensor.rows = Array::zeros(tensor.global_shape);
    wanted.push_back(tensor);
    sums.push_back(sum);
  }
  ASSERT_EQ(wanted.size(), 28u);
  for (const char* path : {"gpt2/model.safetensors", "gpt2_sharded/model.safetensors.index.json"}) {
    clear(wanted);
    load_model(files, dir / path, wanted);
    for (std::size_t t = 0; t < wanted.size(); ++t) {
      double sum = 0;
      for (const double value : wanted[t].rows.to_vector<double>()) {
        sum += value;
      }
      EXPECT_NEAR(sum, sums[t], 1e-12 * (1 + std::abs(sums[t]))) << path << " " << wanted[t].name;
    }
  }
}

}  // namespace
}  // namespace trireme::checkpoint

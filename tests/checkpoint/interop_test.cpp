// Other programs open what we write, and we open what they write. Needs Python with torch and safetensors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/checkpoint/state_fixture.h"
#include "tests/support/python.h"
#include "tests/support/temp_dir.h"
#include "trireme/checkpoint/model_file.h"
#include "trireme/checkpoint/source.h"
#include "trireme/checkpoint/tensor_copy.h"
#include "trireme/checkpoint/tensor_output.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;

class Interop : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = test::missing_packages("torch, safetensors"); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }
};

TEST_F(Interop, PythonAndPyTorchOpenMirroredAndShardedCheckpoints) {
  const test::TempDir dir;
  PosixFileSystem files;
  SteadyClock clock;
  save_all(files, clock, dir / "mirrored", 42, 3, false);
  save_all(files, clock, dir / "sharded", 42, 3, true);
  const test::PythonResult read = test::run_python(
      "tests/interop/read_checkpoint.py", {"42", dir / "mirrored/step-00000042", dir / "sharded/step-00000042"});
  EXPECT_EQ(read.exit_code, 0) << read.err;
}

TEST_F(Interop, PyTorchLoadsOursOntoTwoRanksShardedAnyWay) {
  const test::TempDir dir;
  PosixFileSystem files;
  SteadyClock clock;
  save_all(files, clock, dir / "mirrored", 42, 3, false);
  save_all(files, clock, dir / "sharded", 42, 4, true);
  const test::PythonResult read = test::run_python(
      "tests/interop/dcp.py", {"read", "42", dir / "mirrored/step-00000042", dir / "sharded/step-00000042"});
  EXPECT_EQ(read.exit_code, 0) << read.err;
}

// What tests/interop/dcp.py saves: element i of each is i / 4.
const std::vector<Spec> kTheirs = {
    {"model.rows", {5, 3}, DType::f32},       {"model.columns", {3, 5}, DType::f32},
    {"model.middle", {2, 6, 4}, DType::bf16}, {"model.short", {1, 4}, DType::f32},
    {"model.whole", {7}, DType::f64},         {"optimizer.exp_avg.rows", {5, 3}, DType::f32},
};

std::vector<StateTensor> their_state() {
  std::vector<StateTensor> state;
  for (const Spec& spec : kTheirs) {
    state.push_back({spec.name, spec.shape, 0, Array::zeros(spec.shape, spec.dtype)});
  }
  return state;
}

void expect_quarters(const std::vector<StateTensor>& state) {
  for (const StateTensor& tensor : state) {
    const std::vector<double> values = tensor.rows.to_vector<double>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(values[i], static_cast<double>(i) / 4) << tensor.name;
    }
  }
}

TEST_F(Interop, CheckpointsOfPyTorchShardedAlongAnyDimLoadAndConvert) {
  const test::TempDir dir;
  PosixFileSystem files;
  const test::PythonResult written = test::run_python("tests/interop/dcp.py", {"write", dir.path().string()});
  ASSERT_EQ(written.exit_code, 0) << written.err;
  for (const char* name : {"sharded", "whole"}) {
    const std::vector<StateTensor> loaded = their_state();
    load_model(files, dir / name, loaded);  // by their full names
    expect_quarters(loaded);
    const Array columns = Array::zeros({2, 5}, DType::f64);
    load_model(files, dir / name, std::vector<StateTensor>{{"columns", {3, 5}, 1, columns}});  // as --init asks for it
    EXPECT_EQ(columns.to_vector<double>()[9], 14 / 4.0);

    Source source = Source::open(files, dir / name);
    CopyRules rules;
    rules.target = CopyTarget::checkpoint;
    rules.optimizer = true;
    const auto copies = plan_copies(source.saved().tensors(), rules);
    const std::string path = write_checkpoint(files, source.saved(), copies, dir / (std::string(name) + ".ours"),
                                              position(5), 2, [](std::uint64_t) {});
    const std::vector<StateTensor> resumed = their_state();
    Reader::open(files, path).load(resumed);
    expect_quarters(resumed);
  }
}

TEST_F(Interop, FilesWrittenByPythonLoad) {
  const test::TempDir dir;
  PosixFileSystem files;
  const test::PythonResult written = test::run_python("tests/interop/write_models.py", {dir.path().string()});
  ASSERT_EQ(written.exit_code, 0) << written.err;
  for (const char* name : {"float64", "float32", "float16", "bfloat16"}) {
    const Array x = Array::zeros({4, 3});
    load_model(files, dir / (std::string(name) + ".safetensors"), std::vector<StateTensor>{{"x", {4, 3}, 0, x}});
    for (int i = 0; i < 12; ++i) {
      EXPECT_EQ(x.to_vector<double>()[static_cast<std::size_t>(i)], i / 4.0) << name;
    }
  }
  if (!std::filesystem::exists(dir / "sums.txt")) {
    GTEST_SKIP() << test::missing_packages("transformers");
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

// Copies of saved tensors: names, types, one file or several, and whole checkpoints.
#include "trireme/checkpoint/tensor_copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cmath>
#include <limits>

#include "tests/checkpoint/state_fixture.h"
#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/model_file.h"
#include "trireme/checkpoint/source.h"
#include "trireme/checkpoint/tensor_output.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;
using test::FaultFileSystem;
using test::ManualClock;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};
const Advance kSilent = [](std::uint64_t) {};

std::vector<SavedTensor> named(const std::vector<std::string>& names) {
  std::vector<SavedTensor> tensors;
  for (const std::string& name : names) {
    tensors.push_back({name, "F32", DType::f32, {2}, 2, 4, {}});
  }
  return tensors;
}

std::vector<std::string> names_after(const std::vector<std::string>& names, const CopyRules& rules) {
  const std::vector<SavedTensor> tensors = named(names);
  std::vector<std::string> result;
  for (const TensorCopy& copy : plan_copies(tensors, rules)) {
    result.push_back(copy.name);
  }
  return result;
}

const std::vector<std::string> kCheckpoint = {"buffer.mean", "model.transformer.wte.weight",
                                              "optimizer.exp_avg.transformer.wte.weight"};
const std::vector<std::string> kModel = {"lm_head.weight", "transformer.h.0.ln_1.bias", "wpe.weight"};

TEST(TensorCopy, ModelFilesHaveTheModelsOwnNames) {
  EXPECT_THAT(names_after(kCheckpoint, {}), ElementsAre("mean", "transformer.wte.weight"));
  EXPECT_THAT(names_after(kCheckpoint, {.optimizer = true}),
              ElementsAre("mean", "transformer.wte.weight", "optimizer.exp_avg.transformer.wte.weight"));
  EXPECT_THAT(names_after(kModel, {}), ElementsAre("lm_head.weight", "transformer.h.0.ln_1.bias", "wpe.weight"));
}

TEST(TensorCopy, CheckpointsSayWhatEachTensorIs) {
  const CopyRules all{.target = CopyTarget::checkpoint, .optimizer = true};
  EXPECT_EQ(names_after(kCheckpoint, all), kCheckpoint);
  EXPECT_THAT(names_after({"optimizer.exp_avg.w", "w"}, all), ElementsAre("optimizer.exp_avg.w", "model.w"));
  EXPECT_THAT(names_after({"lm_head.weight", "model.norm.weight"}, all),
              ElementsAre("model.lm_head.weight", "model.model.norm.weight"))
      << "somebody else's names that begin with 'model.'";
}

TEST(TensorCopy, TheBodysPrefixComesAndGoesAndExpressionsRename) {
  EXPECT_THAT(names_after(kModel, {.body = BodyPrefix::remove}),
              ElementsAre("lm_head.weight", "h.0.ln_1.bias", "wpe.weight"));
  EXPECT_THAT(names_after(kModel, {.body = BodyPrefix::add}),
              ElementsAre("lm_head.weight", "transformer.h.0.ln_1.bias", "transformer.wpe.weight"));
  EXPECT_THAT(names_after(kModel, {.renames = {{"^transformer\\.", "gpt."}, {"h\\.([0-9]+)\\.", "layer$1."}}}),
              ElementsAre("lm_head.weight", "gpt.layer0.ln_1.bias", "wpe.weight"));
  EXPECT_THAT(names_after(kCheckpoint, {.optimizer = true, .body = BodyPrefix::remove, .only = {"*wte*"}}),
              ElementsAre("wte.weight", "optimizer.exp_avg.wte.weight"));
  EXPECT_THAT(error_of([] { names_after(kModel, {.renames = {{"(", "x"}}}); }), HasSubstr("'(' is no regular"));
}

TEST(TensorCopy, PatternsChooseAndUnusedOnesAreErrors) {
  EXPECT_THAT(names_after(kCheckpoint, {.optimizer = true, .only = {"model.*", "mean"}}),
              ElementsAre("mean", "transformer.wte.weight"));
  EXPECT_THAT(names_after(kModel, {.skip = {"lm_head.*"}}), ElementsAre("transformer.h.0.ln_1.bias", "wpe.weight"));
  EXPECT_THAT(error_of([] { names_after(kModel, {.only = {"wte*"}}); }),
              HasSubstr("--only: no tensor is called like 'wte*'"));
  EXPECT_THAT(error_of([] { names_after(kModel, {.skip = {"*"}}); }), HasSubstr("no tensor is left of the 3"));
  std::vector<SavedTensor> odd = named({"x"});
  odd[0].dtype_name = "I8";
  odd[0].dtype.reset();
  EXPECT_THAT(error_of([&] { plan_copies(odd, {}); }), HasSubstr("leave it out with --skip 'x'"));
}

// A checkpoint that is converted has the very bytes of one that a job wrote.
TEST(TensorOutput, ACheckpointOfAnyNumberOfShardsIsWhatAJobOfThatSizeSaves) {
  for (const int from : {1, 3}) {
    for (const int to : {1, 2, 4}) {
      FaultFileSystem files;
      ManualClock clock;
      save_all(files, clock, "/c", 9, from);
      save_all(files, clock, "/expected", 9, to);
      Source source = Source::open(files, "/c");
      const auto copies = plan_copies(source.saved().tensors(), {.target = CopyTarget::checkpoint, .optimizer = true});
      std::uint64_t written = 0;
      const std::string path = write_checkpoint(files, source.saved(), copies, "/out", source.manifest()->position, to,
                                                [&](std::uint64_t bytes) { written += bytes; });
      EXPECT_EQ(path, "/out/step-00000009");
      EXPECT_THAT(files.list(path), testing::SizeIs(static_cast<std::size_t>(to) + 1));
      Reader reader = Reader::open(files, path);
      EXPECT_EQ(written, reader.manifest().total_bytes());
      const Manifest expected = Reader::open(files, "/expected/step-00000009").manifest();
      for (int rank = 0; rank < to; ++rank) {
        const auto i = static_cast<std::size_t>(rank);
        EXPECT_EQ(reader.manifest().files[i].block_hashes, expected.files[i].block_hashes);
        EXPECT_EQ(read_file(files, join_path(path, shard_name(rank)), 1 << 20),
                  read_file(files, join_path("/expected/step-00000009", shard_name(rank)), 1 << 20));
      }
      EXPECT_EQ(reader.position().lanes, 12);
      EXPECT_EQ(reader.position().extra.at("data"), "words");
    }
  }
}

TEST(TensorOutput, ACheckpointThatIsThereOrInUseIsLeftAlone) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 9, 1);
  Source source = Source::open(files, "/c");
  const auto copies = plan_copies(source.saved().tensors(), {.target = CopyTarget::checkpoint, .optimizer = true});
  const auto write = [&](std::int64_t step) {
    return error_of([&] { write_checkpoint(files, source.saved(), copies, "/c", position(step), 1, kSilent); });
  };
  EXPECT_THAT(write(9), HasSubstr("/c/step-00000009 exists"));
  EXPECT_EQ(write(4), "no error");
  EXPECT_EQ(Reader::open_newest(files, "/c")->position().step, 4) << "written last";
  const auto lock = files.try_lock("/c/lock", "a job");
  EXPECT_THAT(write(5), HasSubstr("in use by a job"));
}

TEST(TensorOutput, AFailingDiskLeavesNothingHalfDone) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 9, 2);
  for (std::int64_t call = 0; call < 60; ++call) {
    FaultFileSystem broken(files);
    broken.fail_call(call, ENOSPC);
    const std::string message = error_of([&] {
      Source source = Source::open(broken, "/c");
      const auto copies = plan_copies(source.saved().tensors(), {.target = CopyTarget::checkpoint, .optimizer = true});
      write_checkpoint(broken, source.saved(), copies, "/out", position(9), 2, kSilent);
    });
    FaultFileSystem after(broken);
    const auto found = after.status("/out") ? Reader::open_newest(after, "/out") : std::nullopt;
    EXPECT_TRUE(found || message != "no error") << call;
  }
}

TEST(TensorOutput, OneFileHasTheBytesOfAnExport) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 9, 3, true);
  Source source = Source::open(files, "/c");
  const auto copies = plan_copies(source.saved().tensors(), {});
  EXPECT_THAT(write_model_files(files, source.saved(), copies, "/m/model.safetensors", kNoLimit, kSilent),
              ElementsAre("/m/model.safetensors"));
  std::vector<StateTensor> model;
  for (StateTensor& tensor : make_state(9)) {
    if (tensor.name.starts_with("model.")) {
      tensor.name.erase(0, 6);
      model.push_back(tensor);
    }
  }
  save_model(files, "/expected", model);
  EXPECT_EQ(read_file(files, "/m/model.safetensors", 1 << 20), read_file(files, "/expected", 1 << 20));
}

TEST(TensorOutput, AboveASizeThereAreSeveralFilesWithAnIndex) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 9, 2);
  Source source = Source::open(files, "/c");
  const auto copies = plan_copies(source.saved().tensors(), {.optimizer = true});
  const auto paths = write_model_files(files, source.saved(), copies, "/m/model.safetensors", 100, kSilent);
  ASSERT_THAT(paths, testing::SizeIs(4));
  EXPECT_EQ(paths[0], "/m/model.safetensors.index.json");
  EXPECT_EQ(paths[1], "/m/model-00001-of-00003.safetensors");
  for (const char* path : {"/m", "/m/model.safetensors.index.json"}) {
    Source back = Source::open(files, path);
    ASSERT_EQ(back.saved().tensors().size(), specs().size());
    const Array wte = Array::zeros({7, 3});
    back.saved().read_as(*back.saved().find("wte.weight"), 0, wte);
    EXPECT_EQ(wte.to_vector<double>(), make_state(9)[0].rows.to_vector<double>());
  }
  EXPECT_THAT(
      error_of([&] { write_model_files(files, source.saved(), copies, "/m/model.safetensors", kNoLimit, kSilent); }),
      HasSubstr("from a copy in the other form"));
}

TEST(TensorOutput, TwoTensorsOfOneNameAreRefused) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 9, 1);
  Source source = Source::open(files, "/c");
  const auto copies = plan_copies(source.saved().tensors(), {.renames = {{".+", "x"}}, .only = {"model.*.*"}});
  EXPECT_THAT(error_of([&] { write_model_files(files, source.saved(), copies, "/m.safetensors", 1, kSilent); }),
              HasSubstr("two tensors would be called 'x'"));
}

// Values between two neighbours, ties, and what f32 in between would round twice.
TEST(TensorOutput, ConversionsRoundOnceToNearestEven) {
  const double half = std::ldexp(1.0, -11);  // half of f16's last place at 1
  const std::vector<double> values = {1 + half,
                                      1 + half + std::ldexp(1.0, -40),
                                      1 + 3 * half,
                                      -1 - half,
                                      1 + std::ldexp(1.0, -8) + std::ldexp(1.0, -40),
                                      65519.9999,
                                      65520,
                                      std::ldexp(1.0, -25) + std::ldexp(1.0, -60),
                                      std::ldexp(1.0, -25),
                                      std::numeric_limits<double>::infinity()};
  FaultFileSystem files;
  const Array x = Array::from(values, {10});
  save_model(files, "/x.safetensors", std::vector<StateTensor>{{"x", x.shape(), 0, x}});
  const auto converted = [&](DType dtype) {
    Source source = Source::open(files, "/x.safetensors");
    const auto copies = plan_copies(source.saved().tensors(), {.dtype = dtype});
    write_model_files(files, source.saved(), copies, "/y.safetensors", kNoLimit, kSilent);
    Source back = Source::open(files, "/y.safetensors");
    const Array y = Array::zeros({10}, dtype);
    EXPECT_EQ(*back.saved().find("x")->dtype, dtype);
    back.saved().read_as(*back.saved().find("x"), 0, y);
    return y.to_vector<double>();
  };
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_THAT(converted(DType::f16),
              ElementsAre(1, 1 + 2 * half, 1 + 4 * half, -1, 1 + 8 * half, 65504, inf, std::ldexp(1.0, -24), 0, inf));
  const std::vector<double> bf16 = converted(DType::bf16);
  EXPECT_EQ(bf16[4], 1 + std::ldexp(1.0, -7)) << "just above a tie";
  EXPECT_EQ(converted(DType::f64), values);
}

}  // namespace
}  // namespace trireme::checkpoint

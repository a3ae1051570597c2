// `trireme ckpt diff`, `merge` and `convert`, as a user calls them.
#include <sys/resource.h>

#include <cmath>

#include "tests/launcher/ckpt_fixture.h"
#include "tests/support/sanitizers.h"
#include "trireme/checkpoint/model_file.h"
#include "trireme/checkpoint/source.h"

namespace trireme::launcher {
namespace {

using checkpoint::Source;
using checkpoint::test_state::make_state;
using ::testing::HasSubstr;
using ::testing::Not;

class CkptCopy : public Ckpt {
 protected:
  std::string out(const std::string& name) const { return other_ / name; }
  // The values of a tensor in whatever `path` is.
  std::vector<double> values(const std::string& path, const std::string& name, DType dtype = DType::f32) {
    Source source = Source::open(files_, path);
    const checkpoint::SavedTensor* tensor = source.saved().find(name);
    if (tensor == nullptr) {
      return {};
    }
    const Array read = Array::zeros({static_cast<std::int64_t>(tensor->elements)}, dtype);
    source.saved().read_as(*tensor, 0, read);
    return read.to_vector<double>();
  }

  test::TempDir other_;
};

TEST_F(CkptCopy, DiffNamesWhatDiffersAndExitsAsDiffDoes) {
  EXPECT_EQ(run({"diff", path(2), path(2)}).exit_code, 0);
  const auto result = run({"diff", path(1), path(2)});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("model.wte.weight: 21 of 21 elements differ, max |a - b| 114, max relative 0."));
  EXPECT_THAT(result.out, HasSubstr("8 tensors in " + path(1)));
  EXPECT_THAT(result.out, HasSubstr(": 7 differ\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("model.empty")));
  EXPECT_EQ(run({"diff", path(1), path(2), "--atol", "115"}).exit_code, 0);
  EXPECT_EQ(run({"diff", path(1), path(2), "--atol", "113"}).exit_code, 1);
  const auto newest = ckpt({"diff", "--json"});
  EXPECT_EQ(newest.exit_code, 1);
  EXPECT_EQ(json_of(newest)["a"], path(3)) << "of one directory, the newest two";
  EXPECT_EQ(json_of(newest)["b"], path(4));
  EXPECT_EQ(json_of(newest)["differences"][1]["different"], 16);
}

TEST_F(CkptCopy, PathsThatAreNoUtf8DoNotSpoilTheJson) {
  const auto result = run({"convert", "--json", path(1), out("\xff.safetensors")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(json_of(result)["paths"][0].get<std::string>(), HasSubstr("\xef\xbf\xbd.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(out("\xff.safetensors")));
}

TEST_F(CkptCopy, DiffInTroubleExits2) {
  damage(2);
  for (const auto& words : std::vector<std::vector<std::string>>{{"diff", path(1), path(2)},
                                                                 {"diff", path(1), "/absent"},
                                                                 {"diff", path(1)},
                                                                 {"diff", path(1), path(3), "--atol", "-1"}}) {
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST_F(CkptCopy, DiffTellsShapesTypesAndWhatIsMissing) {
  const auto x = [](std::vector<double> v, DType dtype) {
    return Array::from(v, {static_cast<std::int64_t>(v.size())}).to(dtype);
  };
  const auto save = [&](const std::string& name, std::vector<std::pair<std::string, Array>> tensors) {
    std::vector<sharding::StateTensor> state;
    for (const auto& [key, array] : tensors) {
      state.push_back({key, array.shape(), 0, array});
    }
    checkpoint::save_model(files_, out(name), state);
    return out(name);
  };
  const std::string a =
      save("a.safetensors", {{"p", x({1, 2}, DType::f32)}, {"q", x({1}, DType::f32)}, {"r", x({1, NAN}, DType::f32)}});
  const std::string b = save(
      "b.safetensors", {{"p", x({1, 2}, DType::bf16)}, {"s", x({1}, DType::f32)}, {"r", x({1, NAN, 3}, DType::f32)}});
  const auto result = run({"diff", a, b});
  EXPECT_THAT(result.out, HasSubstr("p: F32 [2] in a, BF16 [2] in b; 0 of 2 elements differ"));
  EXPECT_THAT(result.out, HasSubstr("q: only in a, F32 [1]"));
  EXPECT_THAT(result.out, HasSubstr("s: only in b, F32 [1]"));
  EXPECT_THAT(result.out, HasSubstr("r: F32 [2] in a, F32 [3] in b"));
  const std::string c =
      save("c.safetensors", {{"p", x({1, 2}, DType::bf16)}, {"q", x({1}, DType::f32)}, {"r", x({1, 2}, DType::f32)}});
  EXPECT_EQ(run({"diff", a, c, "--atol", "1e-9"}).exit_code, 1);
  EXPECT_EQ(json_of(run({"diff", a, c, "--json"}))["differences"][1]["max_abs"], nullptr) << "a number beside a NaN";
}

TEST_F(CkptCopy, MergeMakesOneModelFileOrSeveral) {
  const auto result = ckpt({"merge", "-o", out("model.safetensors")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("from " + path(4))) << "the newest";
  EXPECT_EQ(values(out("model.safetensors"), "wte.weight"), make_state(4)[0].rows.to_vector<double>());
  EXPECT_TRUE(values(out("model.safetensors"), "optimizer.exp_avg.wte.weight").empty());
  EXPECT_EQ(run({"diff", path(4), out("model.safetensors")}).exit_code, 0) << "the models are the same";

  const auto split = run({"merge", path(3), out("split"), "--shard-size", "100B", "--optimizer", "--json"});
  EXPECT_EQ(split.exit_code, 0) << split.err;
  EXPECT_EQ(json_of(split)["paths"][0], out("split/model.safetensors.index.json"));
  EXPECT_EQ(json_of(split)["tensors"], 8);
  EXPECT_EQ(run({"diff", path(3), out("split")}).exit_code, 0);
  EXPECT_EQ(values(out("split"), "optimizer.exp_avg.wte.weight", DType::f64),
            make_state(3)[3].rows.to_vector<double>());
}

TEST_F(CkptCopy, ConvertGoesThereAndBack) {
  ASSERT_EQ(run({"convert", path(4), out("m.safetensors"), "--dtype", "f64", "--optimizer", "--rename", "^wte=emb"})
                .exit_code,
            0);
  EXPECT_EQ(values(out("m.safetensors"), "emb.weight", DType::f64), make_state(4)[0].rows.to_vector<double>());
  EXPECT_EQ(values(out("m.safetensors"), "one_row", DType::i64), make_state(4)[5].rows.to_vector<double>());
  const auto back = run({"convert", out("m.safetensors"), out("run"), "--dtype", "f32", "--rename", "^emb=wte",
                         "--like", path(4), "--ranks", "3"});
  ASSERT_EQ(back.exit_code, 0) << back.err;
  EXPECT_EQ(run({"verify", out("run")}).exit_code, 0);
  EXPECT_EQ(run({"diff", path(4), out("run"), "--atol", "1e-30"}).exit_code, 0) << "but for the types of some";
  const nlohmann::json listed = json_of(run({"ls", "--json", out("run")}));
  EXPECT_EQ(listed["checkpoints"][0]["world_size"], 3);
  EXPECT_EQ(listed["checkpoints"][0]["step"], 4);
  EXPECT_EQ(listed["checkpoints"][0]["lanes"], 12);
}

TEST_F(CkptCopy, ConvertOfACheckpointKeepsItsBits) {
  ASSERT_EQ(run({"convert", path(4), out("run"), "--ranks", "2", "--step", "70"}).exit_code, 0);
  EXPECT_EQ(run({"diff", path(4), out("run")}).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(out("run/step-00000070")));
  const auto again = run({"convert", path(4), out("run"), "--step", "70"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("exists; give another directory or another --step"));
  ASSERT_EQ(run({"convert", path(4), out("model_only"), "--model-only"}).exit_code, 0);
  EXPECT_THAT(run({"diff", path(4), out("model_only")}).err, HasSubstr("the models are compared"));
}

TEST_F(CkptCopy, DamageStopsACopyAndLeavesNoFile) {
  damage(4);
  for (const std::string& to : {out("model.safetensors"), out("run")}) {
    const auto result = run({"convert", path(4), to});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, HasSubstr("do not match their checksum"));
  }
  EXPECT_FALSE(std::filesystem::exists(out("model.safetensors")));
  EXPECT_FALSE(std::filesystem::exists(out("model.safetensors.tmp")));
  EXPECT_FALSE(std::filesystem::exists(out("run")));
}

TEST_F(CkptCopy, WrongWordsAreOneShortMessage) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"merge", path(4)},
                                             {"merge", path(4), out("x.safetensors"), "--shard-size", "many"},
                                             {"convert", path(4), out("x.safetensors"), "--dtype", "f8"},
                                             {"convert", path(4), out("x.safetensors"), "--rename", "wte"},
                                             {"convert", path(4), out("x.safetensors"), "--only", "nothing"},
                                             {"convert", path(4), out("x"), "--ranks", "0"},
                                             {"merge", path(4), out("x.safetensors"), "--progress", "dance"}}) {
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
  EXPECT_TRUE(std::filesystem::is_empty(other_.path()));
}

// All tools on tensors several times larger than what the process may hold. The bytes of the source cost no disk.
TEST_F(CkptCopy, MemoryDoesNotGrowWithTheCheckpoint) {
  if (test::kSanitized) {
    GTEST_SKIP() << "sanitizers take memory of their own";
  }
  constexpr std::int64_t kElements = std::int64_t{32} << 20;  // 128 MiB of f32 in one tensor
  constexpr std::int64_t kResidentKib = 48 << 10;
  const std::string header =
      fmt::format(R"({{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}})", kElements, 4 * kElements);
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  std::ofstream(out("big.safetensors"), std::ios::binary) << bytes << header;
  std::filesystem::resize_file(out("big.safetensors"), 8 + header.size() + 4 * kElements);
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"convert", out("big.safetensors"), out("run"), "--dtype", "bf16", "--ranks", "2"},
           {"verify", out("run")},
           {"diff", out("run"), out("big.safetensors"), "--atol", "1e-9"},
           {"merge", out("run"), out("merged.safetensors")}}) {
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, 0) << words[0] << ": " << result.err;
  }
  rusage usage{};
  ASSERT_EQ(::getrusage(RUSAGE_CHILDREN, &usage), 0);
  EXPECT_LT(usage.ru_maxrss, kResidentKib);
}

}  // namespace
}  // namespace trireme::launcher

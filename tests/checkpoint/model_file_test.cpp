// Whole models in one file: round trips, other programs' names and types, and files that do not belong to the model.
#include "trireme/checkpoint/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/checkpoint/state_fixture.h"
#include "trireme/checkpoint/safetensors_file.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;
using test::FaultFileSystem;
using testing::HasSubstr;

StateTensor whole(const std::string& name, const Array& array) { return {name, array.shape(), 0, array}; }

Array ramp(const Shape& shape, DType dtype = DType::f32) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    values.push_back(static_cast<double>(i) / 4);
  }
  return Array::from(values, shape).to(dtype);
}

TEST(ModelFile, ComesBackAsItWas) {
  FaultFileSystem files;
  save_model(files, "/out/model.safetensors", make_state(3));
  const auto state = make_state(-1);
  load_model(files, "/out/model.safetensors", state);
  expect_equal(state, make_state(3));
  const SafetensorsFile file(files, "/out/model.safetensors");
  EXPECT_EQ(file.header().data_begin % 64, 0u);
  EXPECT_EQ(file.header().metadata.at("format"), "pt");
}

TEST(ModelFile, LoadsRowsOnly) {
  FaultFileSystem files;
  save_model(files, "/m", make_state(3));
  for (int rank = 0; rank < 3; ++rank) {
    const auto state = make_state(-1, rank, 3, true);
    load_model(files, "/m", state);
    expect_equal(state, make_state(3, rank, 3, true));
  }
}

TEST(ModelFile, StridedTensorsKeepTheirMeaning) {
  FaultFileSystem files;
  const Array x = ramp({3, 5});
  save_model(files, "/m", std::vector{whole("x", x.transpose(0, 1))});
  const Array back = Array::zeros({3, 5});
  load_model(files, "/m", std::vector{whole("x", back.transpose(0, 1))});
  EXPECT_EQ(back.to_vector<double>(), x.to_vector<double>());
}

TEST(ModelFile, FloatingTypesAreConverted) {
  for (const DType from : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    for (const DType to : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
      FaultFileSystem files;
      save_model(files, "/m", std::vector{whole("x", ramp({4, 3}, from))});
      const Array back = Array::zeros({4, 3}, to);
      load_model(files, "/m", std::vector{whole("x", back)});
      EXPECT_EQ(back.to_vector<double>(), ramp({4, 3}).to_vector<double>()) << name_of(from) << " to " << name_of(to);
    }
  }
  FaultFileSystem files;
  save_model(files, "/m", std::vector{whole("x", ramp({4}, DType::i64))});
  EXPECT_THAT(error_of([&] { load_model(files, "/m", std::vector{whole("x", Array::zeros({4}))}); }),
              HasSubstr("'x' has dtype I64 there, which cannot become f32"));
}

TEST(ModelFile, TheBodysPrefixMayBeMissingOrMore) {
  const Array x = ramp({4});
  for (const auto& [saved, wanted] : std::vector<std::pair<std::string, std::string>>{
           {"wte.weight", "transformer.wte.weight"}, {"transformer.wte.weight", "wte.weight"}}) {
    FaultFileSystem files;
    save_model(files, "/m", std::vector{whole(saved, x)});
    const Array back = Array::zeros({4});
    load_model(files, "/m", std::vector{whole(wanted, back)});
    EXPECT_EQ(back.to_vector<double>(), x.to_vector<double>());
  }
}

TEST(ModelFile, KnownExtrasAreAllowedAndALayerTooManyIsNot) {
  const Array x = ramp({4});
  const std::vector wanted = {whole("transformer.h.0.ln_1.weight", Array::zeros({4}))};
  FaultFileSystem files;
  save_model(files, "/m",
             std::vector{whole("transformer.h.0.ln_1.weight", x), whole("lm_head.weight", x),
                         whole("transformer.h.0.attn.bias", x), whole("h.0.attn.masked_bias", x)});
  testing::internal::CaptureStderr();
  load_model(files, "/m", wanted);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  save_model(files, "/m", std::vector{whole("transformer.h.0.ln_1.weight", x), whole("score.weight", x)});
  testing::internal::CaptureStderr();
  load_model(files, "/m", wanted);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("1 tensors that this model does not have are left aside: score.weight"));
  save_model(files, "/m", std::vector{whole("h.0.ln_1.weight", x), whole("h.1.ln_1.weight", x)});
  EXPECT_THAT(error_of([&] { load_model(files, "/m", wanted); }),
              HasSubstr("'h.1.ln_1.weight', of a layer that this model does not have"));
}

TEST(ModelFile, WhatIsMissingOrOfAnotherShapeIsNamedBeforeAnythingIsWritten) {
  FaultFileSystem files;
  save_model(files, "/m", std::vector{whole("a", ramp({4})), whole("b", ramp({2, 3}))});
  const Array a = Array::zeros({4});
  EXPECT_THAT(error_of([&] {
                load_model(files, "/m", std::vector{whole("a", a), whole("c", Array::zeros({1}))});
              }),
              HasSubstr("no tensor 'c'"));
  EXPECT_THAT(error_of([&] {
                load_model(files, "/m", std::vector{whole("a", a), whole("b", Array::zeros({3, 2}))});
              }),
              HasSubstr("'b' has shape [2, 3] there, the model wants [3, 2]"));
  EXPECT_EQ(a.to_vector<double>(), std::vector<double>(4, 0.0));
}

TEST(ModelFile, SeveralFilesAreFoundThroughTheIndex) {
  FaultFileSystem files;
  save_model(files, "/d/model-00001-of-00002.safetensors", std::vector{whole("a", ramp({4}))});
  save_model(files, "/d/model-00002-of-00002.safetensors", std::vector{whole("b", ramp({2}))});
  const auto with_index = [&](const std::string& json) {
    write_file(files, "/d/model.safetensors.index.json", std::as_bytes(std::span(json)));
    const Array a = Array::zeros({4});
    const Array b = Array::zeros({2});
    const std::string message = error_of([&] {
      load_model(files, "/d/model.safetensors.index.json", std::vector{whole("a", a), whole("b", b)});
    });
    return message == "no error" ? fmt::format("{} {}", a.to_vector<double>()[3], b.to_vector<double>()[1]) : message;
  };
  EXPECT_EQ(with_index(R"({"metadata":{"total_size":24},"weight_map":{"a":"model-00001-of-00002.safetensors",)"
                       R"("b":"model-00002-of-00002.safetensors"}})"),
            "0.75 0.25");
  EXPECT_THAT(with_index(R"({"weight_map":{"a":"model-00002-of-00002.safetensors"}})"),
              HasSubstr("'a' is said to be in"));
  EXPECT_THAT(with_index(R"({"weight_map":{"a":"../x.safetensors"}})"),
              HasSubstr("no safetensors file beside the index"));
  EXPECT_THAT(with_index(R"({"weight_map":{"a":1}})"), HasSubstr("is no text"));
  EXPECT_THAT(with_index("[1]"), HasSubstr("no index"));
  EXPECT_THAT(with_index("{"), HasSubstr("no index"));
}

TEST(ModelFile, TheOldFileStaysUntilTheNewOneIsWhole) {
  FaultFileSystem files;
  save_model(files, "/m", make_state(1));
  const std::int64_t before = files.calls();
  {
    FaultFileSystem probe(files);
    save_model(probe, "/m", make_state(2));
    ASSERT_GT(probe.calls(), 8);
  }
  for (std::int64_t call = 0; call < 40; ++call) {
    FaultFileSystem broken(files);
    broken.fail_call(call, ENOSPC);
    const std::string message = error_of([&] { save_model(broken, "/m", make_state(2)); });
    FaultFileSystem after(broken);
    const auto state = make_state(-1);
    load_model(after, "/m", state);
    const bool done = state[0].rows.to_vector<double>() == make_state(2)[0].rows.to_vector<double>();
    expect_equal(state, make_state(done ? 2 : 1));
    EXPECT_TRUE(!broken.fault_happened() || message != "no error") << call;
    broken.crash_images({.random = 3}, [&](FaultFileSystem& world) {
      load_model(world, "/m", state);  // one of the two, whole
    });
  }
  EXPECT_EQ(files.calls(), before);
}

}  // namespace
}  // namespace trireme::checkpoint

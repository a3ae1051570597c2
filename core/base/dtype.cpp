#include "trireme/core/base/dtype.h"

#include <array>

namespace trireme {
namespace {

struct Row {
  std::string_view name;
  std::size_t bytes;
};
// In the order of the enumerators.
constexpr std::array<Row, 8> kRows = {
    {{"f32", 4}, {"f64", 8}, {"bf16", 2}, {"f16", 2}, {"i64", 8}, {"i32", 4}, {"u8", 1}, {"bool", 1}}};

}  // namespace

std::size_t size_of(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].bytes; }

std::string_view name_of(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].name; }

DType dtype_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].name == name) {
      return static_cast<DType>(i);
    }
  }
  fail("dtype '{}' given; expected one of f32, f64, bf16, f16, i64, i32, u8, bool", name);
}

bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16 || dtype == DType::f16;
}

}  // namespace trireme

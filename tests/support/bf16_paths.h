// The ways in which bf16 products can run on this processor: its own instruction, and the instruction sets without it.
#pragma once

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <cstdint>
#include <vector>

#include "trireme/core/base/instruction_set.h"

namespace trireme::test {

struct Bf16Path {
  const char* name;
  std::int64_t target;  // of Highway; 0: the best that there is
  bool native;
};

inline std::vector<Bf16Path> bf16_paths() {
  return {{"the processor's best", 0, true},
          {"AVX-512 without bf16", HWY_AVX3, false},
          {"AVX2", HWY_AVX2, false},
          {"scalar", HWY_SCALAR, false}};
}

// Kernels take the path while this lives.
class OnBf16Path {
 public:
  explicit OnBf16Path(const Bf16Path& path) : trace_(__FILE__, __LINE__, path.name) {
    choose(path.target, path.native);
  }
  ~OnBf16Path() { choose(0, true); }
  OnBf16Path(const OnBf16Path&) = delete;
  OnBf16Path& operator=(const OnBf16Path&) = delete;

  static bool possible(const Bf16Path& path) {
    return path.target == 0 || path.target == HWY_SCALAR || (hwy::SupportedTargets() & path.target) != 0;
  }

 private:
  static void choose(std::int64_t target, bool native) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    allow_native_bf16(native);
  }
  testing::ScopedTrace trace_;
};

// Calls work() on each path that this processor has.
template <class Work>
void on_every_bf16_path(const Work& work) {
  for (const Bf16Path& path : bf16_paths()) {
    if (OnBf16Path::possible(path)) {
      const OnBf16Path taken(path);
      work();
    }
  }
}

}  // namespace trireme::test

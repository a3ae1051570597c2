// Which instruction sets kernels are compiled for: AVX-512, AVX2 and plain scalar code, chosen at run time.
//
// Only for .cpp files that hold Highway kernels. Such a file begins with
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "trireme/FOLDER/this_file.cpp"
//   #include "trireme/core/base/simd.h"      // compiles this file once for each instruction set
//   #include "trireme/core/base/simd-inl.h"  // helpers inside trireme::HWY_NAMESPACE
//
// keeps its kernels in namespace trireme::HWY_NAMESPACE between HWY_BEFORE_NAMESPACE() and HWY_AFTER_NAMESPACE(), and
// everything else under #if HWY_ONCE, where HWY_EXPORT(kernel) and HWY_DYNAMIC_DISPATCH(kernel)(...) choose.
// A kernel called from a lambda needs HWY_ATTR on that lambda.
#pragma once

// The sets between scalar code and AVX2 have no fused multiply-add: a third set of bits for little speed.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#include "hwy/foreach_target.h"

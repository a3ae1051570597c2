// How thorough a loop over very many cases of one thread is. ThreadSanitizer makes each case a hundred times as slow
// and has nothing to find in them, so there only every kExhaustiveStride-th case runs.
#pragma once

namespace trireme::test {

#if defined(__SANITIZE_THREAD__)
inline constexpr int kExhaustiveStride = 61;
#else
inline constexpr int kExhaustiveStride = 1;
#endif

}  // namespace trireme::test

// What tests do otherwise in builds with sanitizers, which are many times slower.
#pragma once

namespace trireme::test {

// A loop over very many cases of one thread runs every kExhaustiveStride-th of them: ThreadSanitizer makes each a
// hundred times as slow and has nothing to find there.
#if defined(__SANITIZE_THREAD__)
inline constexpr int kExhaustiveStride = 61;
#else
inline constexpr int kExhaustiveStride = 1;
#endif

// Deadlines that only keep a test from hanging are so many times longer.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr int kPatience = 5;
#else
inline constexpr int kPatience = 1;
#endif

}  // namespace trireme::test

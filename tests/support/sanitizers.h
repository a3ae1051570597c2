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

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// Deadlines that only keep a test from hanging are so many times longer.
inline constexpr int kPatience = kSanitized ? 5 : 1;

}  // namespace trireme::test

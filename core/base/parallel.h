// Running tiles on several threads.
//
// How work is cut into tiles is a function of its shape alone, never of the number of threads, so results have the
// same bits for any thread count. Each rank's thread has its own number of threads (default 1).
#pragma once

#include <cstdint>

namespace trireme {

// Sets how many threads the calling thread's parallel_for uses, itself included; 1 stops the helpers. REQUIRES: >= 1.
void set_num_threads(int threads);
int num_threads();

// A non-owning reference to a callable void(int64_t begin, int64_t end); cheap to pass, never allocates.
class TileFunction {
 public:
  template <class F>
  TileFunction(const F& f)  // NOLINT(google-explicit-constructor): a parameter type, made from lambdas
      : object_(&f), call_([](const void* object, std::int64_t begin, std::int64_t end) {
          (*static_cast<const F*>(object))(begin, end);
        }) {}
  void operator()(std::int64_t begin, std::int64_t end) const { call_(object_, begin, end); }

 private:
  const void* object_;
  void (*call_)(const void*, std::int64_t, std::int64_t);
};

// Calls f(begin, end) for [0, tile), [tile, 2 tile), ... up to count, on the calling thread and its helpers; returns
// when all are done. Which thread runs which tile is not fixed. An exception of a tile is rethrown here after the
// others ended. Nested calls run inline. Blocks; allocates nothing.
void parallel_for(std::int64_t count, std::int64_t tile, TileFunction f);

}  // namespace trireme

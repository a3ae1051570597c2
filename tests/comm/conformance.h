// One suite for all backends: what every communicator must do, for every world size. Test cases never ask which backend
// they run on. mpirun starts this program once a rank; scripts/run_tests does so for each world size.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <tuple>

#include "tests/comm/loop_link.h"
#include "tests/comm/ranks.h"
#include "trireme/comm/mpi/mpi.h"

namespace trireme::test {

class Conformance : public testing::TestWithParam<std::tuple<Backend, int>> {
 public:
  using Make = std::function<Array(const Shape&, DType)>;

 protected:
  int size() const { return std::get<1>(GetParam()); }
  void run(const RankBody& body, const RankOptions& options = {}) const {
    std::get<0>(GetParam()).run(size(), body, options);
  }
  // Runs the body with arrays of each kind: ordinary ones, and those that the communicator allocates.
  void run_both(const std::function<void(comm::Communicator&, const Make&)>& body) const {
    run([&](comm::Communicator& comm) {
      body(comm, [](const Shape& shape, DType dtype) { return Array::empty(shape, dtype); });
      body(comm, [&](const Shape& shape, DType dtype) { return comm.allocate(shape, dtype); });
    });
  }
};

// Those that start their ranks themselves.
inline const std::vector<Backend> kBackends = {{"local", run_threads},
                                               {"shm", run_processes},
                                               {"gloo", run_gloo},
                                               {"loop", run_loop},
                                               {"uneven_hosts", run_uneven_hosts},
                                               {"cyclic_hosts", run_cyclic_hosts},
                                               {"shm_and_gloo", run_shm_and_gloo}};

// What can be tested in this process: these; or, if mpirun has started it as one of N, MPI on N ranks and nothing else.
inline std::vector<Backend> backends() {
  if (size_given_by_mpirun() == 0) {
    return kBackends;
  }
#if defined(__SANITIZE_THREAD__)
  return {};  // libmpi is not built with it, and its own locks are not seen
#else
  return comm::has_mpi() ? std::vector<Backend>{{"mpi", run_mpi}} : std::vector<Backend>{};
#endif
}

inline std::vector<int> world_sizes(int least) {
  const int given = size_given_by_mpirun();
  std::vector<int> sizes = given == 0 ? std::vector<int>{1, 2, 3, 4, 7} : std::vector<int>{given};
  std::erase_if(sizes, [&](int size) { return size < least; });
  return sizes;
}

inline auto worlds() { return testing::Combine(testing::ValuesIn(backends()), testing::ValuesIn(world_sizes(1))); }
// Failures need somebody to fail.
inline auto worlds_of_several() {
  return testing::Combine(testing::ValuesIn(backends()), testing::ValuesIn(world_sizes(2)));
}

inline std::string world_name(const testing::TestParamInfo<std::tuple<Backend, int>>& info) {
  return std::string(std::get<0>(info.param).name) + "_" + std::to_string(std::get<1>(info.param));
}

inline constexpr DType kAllDTypes[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                                       DType::i64, DType::i32, DType::u8,   DType::boolean};
// None, one, odd ones around the sizes of vectors, cache lines and mailboxes, and more than all exchange buffers hold.
inline constexpr std::int64_t kCounts[] = {0, 1, 3, 17, 1000, 4099, 8192, 300001};

// Small whole numbers that every dtype holds exactly, sums and products of seven ranks included.
inline double small_value(int rank, std::int64_t i) {
  return static_cast<double>((i + rank) % 3 == 0 ? 2 : (i * 7 + rank) % 2);
}

inline void fill_small(const Array& array, int rank, std::int64_t first = 0) {
  dispatch_all(array.dtype(), [&](auto tag) {
    using T = decltype(tag);
    for (std::int64_t i = 0; i < array.count(); ++i) {
      const double value = small_value(rank, first + i);
      if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>) {
        array.data<T>()[i] = T(static_cast<float>(value));
      } else {
        array.data<T>()[i] = static_cast<T>(value);
      }
    }
  });
}

// Expects array[i] == f(i), naming the first difference only.
template <class F>
void expect_elements(const Array& array, F f, const std::string& what) {
  const std::vector<double> got = array.to_vector<double>();
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i], static_cast<double>(f(static_cast<std::int64_t>(i)))) << what << ", element " << i;
  }
}

}  // namespace trireme::test

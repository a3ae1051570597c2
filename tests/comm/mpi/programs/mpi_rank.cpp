// One rank of a job that mpirun starts, for mpi_job_test.cpp: `mpi_rank CASE`.
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <thread>

#include "trireme/comm/mpi/mpi.h"
#include "trireme/comm/mpi/mpi_link.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/half.h"

namespace {

using namespace trireme;

// As a program that saves before it ends: SIGTERM alone does not end it.
void ignore_sigterm() { signal(SIGTERM, SIG_IGN); }

void sleep_for_a_minute() { std::this_thread::sleep_for(std::chrono::minutes(1)); }

void add_ranks(comm::Communicator& comm) {
  const Array array = Array::full({3}, comm.rank() + 1);
  comm.all_reduce(array, comm::ReduceOp::sum, {.name = "ranks"}).wait();
  std::printf("rank %d of %d: %g\n", comm.rank(), comm.size(), array.data<float>()[2]);
}

int works() {
  add_ranks(*comm::connect_mpi());
  return 0;
}

int a_rank_is_killed() {
  ignore_sigterm();
  const auto comm = comm::connect_mpi();
  add_ranks(*comm);
  if (comm->rank() == 1) {
    kill(getpid(), SIGKILL);
  }
  comm->barrier({.name = "after the kill"}).wait();
  return 0;
}

int a_rank_throws() {
  const auto comm = comm::connect_mpi();
  add_ranks(*comm);
  if (comm->rank() == 1) {
    fail("the disk of rank 1 is full");
  }
  comm->barrier({.name = "never reached by rank 1"}).wait();
  return 0;
}

int a_rank_fails_while_others_do_something_else() {
  ignore_sigterm();
  const auto comm = comm::connect_mpi({.timeout = std::chrono::milliseconds(300)});
  if (comm->rank() == 1) {
    return 1;
  }
  sleep_for_a_minute();
  return 0;
}

int a_rank_does_not_connect() {
  const auto first = comm::connect_mpi();
  if (first->rank() == 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    return 0;
  }
  comm::connect_mpi({.timeout = std::chrono::milliseconds(300)});
  return 0;
}

template <class T>
bool is_combined(comm::Link& link, DType dtype, comm::ReduceOp op, std::int64_t count, double expected) {
  const Array array = Array::full({count}, link.rank() + 1, dtype);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  if (!link.all_reduce(array.bytes_data(), count, dtype, op, deadline)) {
    return false;
  }
  const T* const data = array.data<T>();
  return std::all_of(data, data + count, [&](T x) { return x == static_cast<T>(expected); });
}

// MPI's own reduction, on three ranks that hold 1, 2 and 3; larger than what goes at once too. Then with one missing.
int reductions_of_mpi() {
  using comm::ReduceOp;
  const auto link = comm::connect_mpi_link();
  const bool good = is_combined<float>(*link, DType::f32, ReduceOp::sum, 3000001, 6) &&
                    is_combined<double>(*link, DType::f64, ReduceOp::max, 1, 3) &&
                    is_combined<std::int64_t>(*link, DType::i64, ReduceOp::product, 1000, 6) &&
                    is_combined<std::int32_t>(*link, DType::i32, ReduceOp::min, 17, 1) &&
                    is_combined<std::uint8_t>(*link, DType::u8, ReduceOp::sum, 17, 6) &&
                    is_combined<bool>(*link, DType::boolean, ReduceOp::product, 17, 1) &&
                    !is_combined<BFloat16>(*link, DType::bf16, ReduceOp::sum, 17, 6);
  std::printf("%s\n", good ? "combined" : "wrong");
  if (link->rank() != 1) {
    float value = 1;
    const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
    link->all_reduce(reinterpret_cast<std::byte*>(&value), 1, DType::f32, ReduceOp::sum, soon);
  }
  return 0;
}

std::shared_ptr<comm::Communicator> global;

int a_global_communicator() {
  global = comm::connect_mpi();
  add_ranks(*global);
  return 0;
}

int all_want_to_be_started_again() {
  comm::connect_mpi();
  return 75;
}

// The program has its own business with MPI, and needs `level` of its thread safety.
int mpi_is_there_already(int level) {
  void* const library = dlopen("libmpi.so.40", RTLD_NOW | RTLD_GLOBAL);
  const auto init = reinterpret_cast<int (*)(int*, char***, int, int*)>(dlsym(library, "MPI_Init_thread"));
  const auto finalize = reinterpret_cast<int (*)()>(dlsym(library, "MPI_Finalize"));
  int provided = 0;
  init(nullptr, nullptr, level, &provided);
  int result = 0;
  try {
    add_ranks(*comm::connect_mpi());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    result = 1;
  }
  finalize();
  return result;
}

const std::map<std::string, std::function<int()>> kCases = {
    {"works", works},
    {"killed", a_rank_is_killed},
    {"throws", a_rank_throws},
    {"busy", a_rank_fails_while_others_do_something_else},
    {"reductions", reductions_of_mpi},
    {"late", a_rank_does_not_connect},
    {"global", a_global_communicator},
    {"requeue", all_want_to_be_started_again},
    {"initialized", [] { return mpi_is_there_already(3); }},
    {"single", [] { return mpi_is_there_already(0); }},
};

}  // namespace

int main(int argc, char** argv) {
  const auto found = kCases.find(argc == 2 ? argv[1] : "");
  if (found == kCases.end()) {
    return 2;
  }
  try {
    return found->second();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

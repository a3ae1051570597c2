// MPI's own all_reduce, and when it is worth it. The non-blocking one, since a blocking one knows no deadline; not in
// place, as Open MPI then takes the slowest of its algorithms.
#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "trireme/comm/mpi/mpi_link-inl.h"
#include "trireme/comm/mpi/patience-inl.h"
#include "trireme/comm/mpi/scratch-inl.h"

namespace trireme::comm {
namespace {

struct Reduction {
  MPI_Datatype type;
  MPI_Op op;
};

// MPI knows neither bf16 nor f16. Booleans are bytes of 0 and 1: "or" is their maximum, "and" their minimum.
std::optional<Reduction> reduction_of(const Mpi& mpi, DType dtype, ReduceOp op) {
  const bool boolean = dtype == DType::boolean;
  const auto mpi_op = [&] {
    switch (op) {
      case ReduceOp::sum:
        return boolean ? mpi.max : mpi.sum;
      case ReduceOp::product:
        return boolean ? mpi.min : mpi.product;
      case ReduceOp::min:
        return mpi.min;
      case ReduceOp::max:
        return mpi.max;
    }
    return mpi.sum;
  }();
  switch (dtype) {
    case DType::f32:
      return Reduction{mpi.float32, mpi_op};
    case DType::f64:
      return Reduction{mpi.float64, mpi_op};
    case DType::i64:
      return Reduction{mpi.int64, mpi_op};
    case DType::i32:
      return Reduction{mpi.int32, mpi_op};
    case DType::u8:
    case DType::boolean:
      return Reduction{mpi.uint8, mpi_op};
    case DType::bf16:
    case DType::f16:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

// Between processes of one host it took twice as long as ours at every size (benchmarks/mpi.cpp). Across hosts it may
// know the network.
std::size_t MpiLink::fast_from() const {
  const auto elsewhere = [&](int rank) {
    return rank != job_.rank() && job_.processes()[static_cast<std::size_t>(rank)].pidfd < 0;
  };
  constexpr std::size_t kBeyondOpenings = 32 << 10;  // what an opening carries takes one latency, MPI's way several
  return std::any_of(job_ranks_.begin(), job_ranks_.end(), elsewhere) ? kBeyondOpenings
                                                                      : std::numeric_limits<std::size_t>::max();
}

bool MpiLink::all_reduce(std::byte* data, std::int64_t count, DType dtype, ReduceOp op, Deadline deadline) {
  const std::optional<Reduction> reduction = reduction_of(mpi_, dtype, op);
  if (!reduction) {
    return false;
  }
  const std::size_t width = size_of(dtype);
  const std::size_t bytes = static_cast<std::size_t>(count) * width;
  for (std::size_t begin = 0; begin < bytes; begin += Scratch::kBytes) {
    reduce_piece(data + begin, std::min(bytes - begin, Scratch::kBytes), width, reduction->type, reduction->op,
                 deadline);
  }
  return true;
}

void MpiLink::reduce_piece(std::byte* data, std::size_t bytes, std::size_t width, MPI_Datatype type, MPI_Op op,
                           Deadline deadline) {
  if (!scratch_) {
    scratch_ = std::make_unique<Scratch>();
  }
  std::memcpy(scratch_->in.get(), data, bytes);
  MPI_Request request = mpi_.no_request;
  check(mpi_.start_all_reduce(scratch_->in.get(), scratch_->out.get(), static_cast<int>(bytes / width), type, op, comm_,
                              &request),
        "MPI_Iallreduce");
  int done = 0;
  poll_until(deadline, [&] {
    check(mpi_.test(&request, &done, MPI_STATUS_IGNORE), "MPI_Iallreduce");
    return done != 0 || interrupted_;
  });
  if (done == 0) {
    static_cast<void>(scratch_.release());  // MPI may still use it
    throw LinkError(fmt::format("MPI's all_reduce was not over by the deadline on rank {}", rank_), -1);
  }
  std::memcpy(data, scratch_->out.get(), bytes);
}

}  // namespace trireme::comm

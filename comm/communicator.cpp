#include "trireme/comm/communicator.h"

#include <unistd.h>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/stall.h"
#include "trireme/core/base/host.h"
#include "trireme/core/base/log.h"

namespace trireme::comm {
namespace {

void check_array(const char* op, const char* what, const Array& array) {
  if (!(array.is_contiguous())) [[unlikely]] {
    fail("{}: the {} {} is not contiguous; call contiguous() first", op, what, describe(array));
  }
  if (!(array.defined() || array.count() == 0)) [[unlikely]] {
    fail("{}: the {} {} has no values yet", op, what, describe(array));
  }
  if (!(array.device().is_cpu())) [[unlikely]] {
    fail("{}: the {} {} is on {}; this build moves CPU arrays only", op, what, describe(array),
         name_of(array.device()));
  }
}

void check_pair(const char* op, const Array& input, const Array& output) {
  check_array(op, "input", input);
  check_array(op, "output", output);
  if (!(input.dtype() == output.dtype())) [[unlikely]] {
    fail("{}: input {} and output {} differ in dtype", op, describe(input), describe(output));
  }
}

void check_offsets(const char* op, std::span<const std::int64_t> offsets, int size) {
  require(offsets.size() == static_cast<std::size_t>(size) + 1 && offsets[0] == 0,
          "{}: {} offsets given, {} expected, from 0 to the count of all elements", op, offsets.size(), size + 1);
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    require(offsets[i - 1] <= offsets[i], "{}: offsets {} and {} decrease", op, offsets[i - 1], offsets[i]);
  }
}

void check_parts(const char* op, std::span<const Part> parts, const ReductionLayout* layout, std::int64_t count,
                 DType dtype, int rank, int size) {
  require(layout != nullptr, "{}: no layout given; make one with ReductionLayout::make", op);
  require(layout->parts_of_rank.size() == static_cast<std::size_t>(size),
          "{}: a layout of {} ranks given in a communicator of {}", op, layout->parts_of_rank.size(), size);
  const std::vector<Subtree>& expected = layout->parts_of_rank[static_cast<std::size_t>(rank)];
  require(parts.size() == expected.size(), "{}: rank {} brings {} parts, its layout says {}", op, rank, parts.size(),
          expected.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    check_array(op, "part", parts[i].array);
    require(parts[i].subtree == expected[i], "{}: part {} of rank {} is leaves [{}, {}), its layout says [{}, {})", op,
            i, rank, parts[i].subtree.begin, parts[i].subtree.end, expected[i].begin, expected[i].end);
    if (!(parts[i].array.count() == count && parts[i].array.dtype() == dtype)) [[unlikely]] {
      fail("{}: part {} is {}, {} x {} expected", op, i, describe(parts[i].array), name_of(dtype), count);
    }
  }
}

std::vector<std::vector<Subtree>> one_leaf_each(int size) {
  std::vector<std::vector<Subtree>> parts;
  for (int rank = 0; rank < size; ++rank) {
    parts.push_back({{rank, rank + 1}});
  }
  return parts;
}

}  // namespace

Communicator::Communicator(int rank, int size) : rank_(rank), size_(size) {
  require(size >= 1 && rank >= 0 && rank < size, "Communicator: rank {} of {} ranks given", rank, size);
  rank_order_ = ReductionLayout::make(size, one_leaf_each(size));
  recorder_ = std::make_unique<FlightRecorder>();
  activity_ = activity_record();
}

Communicator::~Communicator() = default;

// The operation may be in flight when a place (core/array/storage.h) loses its memory, so it holds the memory itself.
Work Communicator::submit(Operation&& operation, const OpOptions& options) {
  operation.input = operation.input.pinned();
  operation.output = operation.output.pinned();
  for (Part& part : operation.parts) {
    part.array = part.array.pinned();
  }
  operation.name = OpName(options.name);
  operation.order = options.order;
  operation.sequence = is_message(operation.kind) ? next_message_++ : next_sequence_++;
  operation.timeout = options.timeout.count() > 0 ? options.timeout : default_timeout_;
  operation.start = std::chrono::steady_clock::now();
  operation.record = recorder_->started(operation, operation.start);
  return Work(start(std::move(operation)));
}

Work Communicator::all_reduce(const Array& array, ReduceOp op, OpOptions options) {
  check_array("all_reduce", "array", array);
  return submit({.kind = OpKind::all_reduce, .input = array, .output = array, .op = op, .layout = rank_order_},
                options);
}

Work Communicator::all_reduce_parts(std::span<const Part> parts, std::shared_ptr<const ReductionLayout> layout,
                                    const Array& output, OpOptions options, ReduceOp op) {
  check_array("all_reduce_parts", "output", output);
  check_parts("all_reduce_parts", parts, layout.get(), output.count(), output.dtype(), rank_, size_);
  return submit({.kind = OpKind::all_reduce_parts,
                 .output = output,
                 .op = op,
                 .parts = {parts.begin(), parts.end()},
                 .layout = std::move(layout)},
                options);
}

Work Communicator::reduce_scatter(const Array& input, const Array& output, ReduceOp op, OpOptions options) {
  check_pair("reduce_scatter", input, output);
  if (!(input.count() == size_ * output.count())) [[unlikely]] {
    fail("reduce_scatter: input {} and output {} given; {} ranks need {} elements", describe(input), describe(output),
         size_, size_ * output.count());
  }
  return submit({.kind = OpKind::reduce_scatter, .input = input, .output = output, .op = op, .layout = rank_order_},
                options);
}

Work Communicator::reduce_scatter_parts(std::span<const Part> parts, std::shared_ptr<const ReductionLayout> layout,
                                        std::span<const std::int64_t> offsets, const Array& output, OpOptions options,
                                        ReduceOp op) {
  check_array("reduce_scatter_parts", "output", output);
  check_offsets("reduce_scatter_parts", offsets, size_);
  check_parts("reduce_scatter_parts", parts, layout.get(), offsets.back(), output.dtype(), rank_, size_);
  const auto r = static_cast<std::size_t>(rank_);
  if (!(output.count() == offsets[r + 1] - offsets[r])) [[unlikely]] {
    fail("reduce_scatter_parts: output {} given, {} elements expected", describe(output), offsets[r + 1] - offsets[r]);
  }
  return submit({.kind = OpKind::reduce_scatter_parts,
                 .output = output,
                 .op = op,
                 .parts = {parts.begin(), parts.end()},
                 .layout = std::move(layout),
                 .offsets = {offsets.begin(), offsets.end()}},
                options);
}

Work Communicator::all_gather(const Array& input, const Array& output, OpOptions options) {
  check_pair("all_gather", input, output);
  if (!(output.count() == size_ * input.count())) [[unlikely]] {
    fail("all_gather: input {} and output {} given; {} ranks need {} elements", describe(input), describe(output),
         size_, size_ * input.count());
  }
  return submit({.kind = OpKind::all_gather, .input = input, .output = output}, options);
}

Work Communicator::all_gather_v(const Array& input, const Array& output, std::span<const std::int64_t> offsets,
                                OpOptions options) {
  check_pair("all_gather_v", input, output);
  check_offsets("all_gather_v", offsets, size_);
  const auto r = static_cast<std::size_t>(rank_);
  if (!(input.count() == offsets[r + 1] - offsets[r] && output.count() == offsets.back())) [[unlikely]] {
    fail("all_gather_v: input {} and output {} given, {} and {} elements expected", describe(input), describe(output),
         offsets[r + 1] - offsets[r], offsets.back());
  }
  return submit(
      {.kind = OpKind::all_gather, .input = input, .output = output, .offsets = {offsets.begin(), offsets.end()}},
      options);
}

Work Communicator::all_to_all(const Array& input, const Array& output, OpOptions options) {
  check_pair("all_to_all", input, output);
  if (!(input.count() == output.count() && input.count() % size_ == 0)) [[unlikely]] {
    fail("all_to_all: input {} and output {} given; equal counts that divide by {} ranks expected", describe(input),
         describe(output), size_);
  }
  return submit({.kind = OpKind::all_to_all, .input = input, .output = output}, options);
}

Work Communicator::broadcast(const Array& array, int root, OpOptions options) {
  check_array("broadcast", "array", array);
  require(root >= 0 && root < size_, "broadcast: root {} given, 0 to {} expected", root, size_ - 1);
  return submit({.kind = OpKind::broadcast, .input = array, .output = array, .peer = root}, options);
}

Work Communicator::send(const Array& array, int destination, int tag, OpOptions options) {
  check_array("send", "array", array);
  require(destination >= 0 && destination < size_ && destination != rank_,
          "send: destination {} given on rank {}, another rank below {} expected", destination, rank_, size_);
  return submit({.kind = OpKind::send, .input = array, .peer = destination, .tag = tag}, options);
}

Work Communicator::recv(const Array& array, int source, int tag, OpOptions options) {
  check_array("recv", "array", array);
  require(source >= 0 && source < size_ && source != rank_,
          "recv: source {} given on rank {}, another rank below {} expected", source, rank_, size_);
  return submit({.kind = OpKind::recv, .output = array, .peer = source, .tag = tag}, options);
}

RankReport Communicator::own_report(std::size_t records) const {
  return {.rank = rank_,
          .host = host_name(),
          .pid = getpid(),
          .presence = Presence::alive,
          .activity = activity_->look(std::chrono::steady_clock::now()),
          .records = recorder_->records(records)};
}

std::vector<RankReport> Communicator::look_at_ranks() { return {own_report(FlightRecorder::kCapacity)}; }

std::string Communicator::explain_stall(const Operation& operation, const std::vector<int>& missing) {
  return waiting_for(missing, look_at_ranks(), is_message(operation.kind) ? 0 : operation.sequence);
}

// A message is the matter of two ranks; of a collective, all ranks would say the same.
void Communicator::warn_of_stall(const Operation& operation, const std::vector<int>& missing) {
  if (stall_listener_) {
    stall_listener_(operation, missing);
    return;
  }
  if (!is_message(operation.kind) && speaker(missing, size_) != rank_) {
    return;
  }
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - operation.start;
  const std::chrono::duration<double> deadline = operation.timeout;
  log::warning("{} on rank {}: {} ({:.1f} s of {:.1f} s have passed)", describe(operation), rank_,
               explain_stall(operation, missing), waited.count(), deadline.count());
}

Work Communicator::barrier(OpOptions options) { return submit({.kind = OpKind::barrier}, options); }

}  // namespace trireme::comm

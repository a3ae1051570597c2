#include "trireme/strategies/mirrored/gradient_buckets.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "trireme/core/array/scale.h"
#include "trireme/core/optim/rows.h"
#include "trireme/strategies/merge_newest.h"

namespace trireme::strategies {

GradientBuckets::GradientBuckets(comm::Communicator& communicator, std::vector<TrainedParameter> parameters,
                                 const Options& options)
    : communicator_(communicator), parameters_(std::move(parameters)), options_(options) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].leaf->as_leaf()->set_ready_hook([this, i] { on_ready(i); });
  }
  // Backward meets the last layers first, so the reverse of registration is the best guess before the first pass.
  std::vector<std::size_t> order(parameters_.size());
  std::iota(order.rbegin(), order.rend(), std::size_t{0});
  plan(std::move(order));
  arrived_.assign(parameters_.size(), false);
}

GradientBuckets::~GradientBuckets() {
  for (const TrainedParameter& parameter : parameters_) {
    parameter.leaf->as_leaf()->set_ready_hook({});
    parameter.leaf->as_leaf()->set_buffer({});
  }
}

void GradientBuckets::plan(std::vector<std::size_t> order) {
  std::vector<std::int64_t> counts;
  for (const TrainedParameter& parameter : parameters_) {
    counts.push_back(parameter.tensor.count());
  }
  buckets_ = plan_buckets(counts, order, sizeof(float), options_.first_bytes, options_.bytes);
  bucket_of_.assign(parameters_.size(), 0);
  bucket_names_.clear();
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    for (const BucketEntry& entry : buckets_[b].entries) {
      bucket_of_[entry.parameter] = b;
    }
    bucket_names_.push_back(describe_bucket(b));
  }
  flights_.assign(buckets_.size(), {});
  works_.assign(buckets_.size(), {});
  buffers_.clear();
  views_.clear();
}

std::string GradientBuckets::describe_bucket(std::size_t bucket) const {
  const auto& entries = buckets_[bucket].entries;
  return fmt::format("bucket {} ({}{})", bucket, parameters_[entries.front().parameter].name,
                     entries.size() > 1 ? fmt::format(" and {} more", entries.size() - 1) : "");
}

void GradientBuckets::allocate_buffers(int depth) {
  while (static_cast<int>(buffers_.size()) < depth) {
    std::vector<Array> level;
    std::vector<Array> views(parameters_.size());
    for (const Bucket& bucket : buckets_) {
      const Array buffer = communicator_.allocate({bucket.elements}, DType::f32);
      std::memset(buffer.bytes_data(), 0, buffer.bytes());  // the padding is reduced too
      for (const BucketEntry& entry : bucket.entries) {
        const Tensor& tensor = parameters_[entry.parameter].tensor;
        views[entry.parameter] = buffer.narrow(0, entry.offset, tensor.count()).reshape(tensor.shape());
      }
      level.push_back(buffer);
    }
    buffers_.push_back(std::move(level));
    views_.push_back(std::move(views));
  }
}

// The first step's buckets go before their successors are made: their memory is then there for these.
void GradientBuckets::drop_old_buckets() {
  if (!buffers_.empty() || record_order_) {
    return;
  }
  for (const TrainedParameter& parameter : parameters_) {
    parameter.leaf->as_leaf()->clear();
    parameter.leaf->as_leaf()->set_buffer({});
  }
  release_cached_memory();
}

void GradientBuckets::open_leaf(const LeafPlace& place) {
  drop_old_buckets();
  allocate_buffers(std::max(place.plan->lanes.depth, 1));
  height_ = place.height;
  merges_ = place.last && options_.order == comm::ReduceOrder::fast ? place.height : place.merges;
  reduce_ = place.last;
  plan_ = place.plan;
  const auto& views = views_[static_cast<std::size_t>(height_)];
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    LeafNode& leaf = *parameters_[i].leaf->as_leaf();
    leaf.clear();
    leaf.set_buffer(views[i]);
  }
}

void GradientBuckets::begin_pass(bool last) {
  if (!last) {
    return;
  }
  next_to_start_ = 0;
  in_leaf_ = true;
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    flights_[b] = {static_cast<int>(buckets_[b].entries.size()), false};
  }
  arrived_.assign(parameters_.size(), false);
}

void GradientBuckets::on_ready(std::size_t parameter) {
  if (!in_leaf_) {
    return;  // under no_sync() gradients only accumulate
  }
  arrived_[parameter] = true;
  if (record_order_) {
    ready_order_.push_back(parameter);
  }
  const std::size_t bucket = bucket_of_[parameter];
  if (--flights_[bucket].pending == 0) {
    bucket_full(bucket);
  }
}

void GradientBuckets::bucket_full(std::size_t bucket) {
  merge_newest(LevelsOfItem{buffers_, bucket}, height_, merges_);
  flights_[bucket].full = true;
  if (reduce_) {
    start_reductions();
  }
}

// Every rank starts the buckets in the same order, whatever the order in which they filled up.
void GradientBuckets::start_reductions() {
  const std::vector<Subtree>& parts = plan_->lanes.parts;
  while (next_to_start_ < buckets_.size() && flights_[next_to_start_].full) {
    const std::size_t b = next_to_start_++;
    if (options_.order == comm::ReduceOrder::fast) {
      works_[b] = communicator_.all_reduce(buffers_[0][b], comm::ReduceOp::sum,
                                           {.name = bucket_names_[b], .order = comm::ReduceOrder::fast});
      continue;
    }
    scratch_.clear();
    for (std::size_t p = 0; p < parts.size(); ++p) {
      scratch_.push_back({parts[p], buffers_[p][b]});
    }
    works_[b] = communicator_.all_reduce_parts(scratch_, plan_->layout, buffers_[0][b], {.name = bucket_names_[b]});
  }
}

void GradientBuckets::end_leaf(std::vector<bool>& used) {
  in_leaf_ = false;
  used = arrived_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!arrived_[i]) {
      if (parameters_[i].leaf->as_leaf()->gradient().defined()) {
        used[i] = true;  // accumulated earlier, under no_sync()
      } else {
        const Array& view = views_[static_cast<std::size_t>(height_)][i];
        std::memset(view.bytes_data(), 0, view.bytes());
      }
      if (--flights_[bucket_of_[i]].pending == 0) {
        bucket_full(bucket_of_[i]);
      }
    }
  }
}

void GradientBuckets::reduce_without_parts(const StepPlan& plan) {
  drop_old_buckets();
  allocate_buffers(1);
  plan_ = &plan;
  next_to_start_ = 0;
  if (options_.order == comm::ReduceOrder::fast) {
    for (const Array& buffer : buffers_[0]) {
      buffer.fill(0);
    }
  }
  for (Flight& flight : flights_) {
    flight = {0, true};
  }
  start_reductions();
}

void GradientBuckets::finish() {
  reduce_ = false;
  for (comm::Work& work : works_) {
    work.wait();
    work = {};
  }
  scratch_.clear();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].leaf->as_leaf()->set_gradient(views_[0][i]);
  }
}

Array GradientBuckets::rows_for_norm(std::size_t i) const {
  const Array gradient = reduced(i);
  const std::int64_t row = optim::row_length(views_[0][i].shape());
  const std::int64_t rows = row == 0 ? 0 : gradient.count() / row;
  const std::int64_t begin = rows * communicator_.rank() / communicator_.size();
  const std::int64_t end = rows * (communicator_.rank() + 1) / communicator_.size();
  return gradient.narrow(0, begin * row, (end - begin) * row);
}

void GradientBuckets::scale(double factor) {
  for (const Array& buffer : buffers_[0]) {
    trireme::scale(buffer, factor);
  }
}

void GradientBuckets::rebuild() {
  if (!record_order_ || parameters_.empty()) {
    return;
  }
  record_order_ = false;
  const auto count = static_cast<std::int64_t>(parameters_.size());
  Array order = communicator_.allocate({count}, DType::i32);
  std::vector<bool> seen(parameters_.size(), false);
  std::int64_t next = 0;
  for (const std::size_t parameter : ready_order_) {
    if (!seen[parameter]) {
      seen[parameter] = true;
      order.data<std::int32_t>()[next++] = static_cast<std::int32_t>(parameter);
    }
  }
  for (std::size_t i = parameters_.size(); i-- > 0;) {  // parameters that the first pass did not use come last
    if (!seen[i]) {
      order.data<std::int32_t>()[next++] = static_cast<std::int32_t>(i);
    }
  }
  communicator_.broadcast(order, 0, {.name = "order of buckets"}).wait();
  const std::vector<std::int32_t> agreed = order.to_vector<std::int32_t>();
  // The gradients shown to the user stay readable: they are views, which keep the old buffers alive.
  plan(std::vector<std::size_t>(agreed.begin(), agreed.end()));
}

}  // namespace trireme::strategies

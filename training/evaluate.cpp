#include "trireme/training/evaluate.h"

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/core/base/step_context.h"
#include "trireme/core/data/loader.h"

namespace trireme::training {

std::int64_t count_right(const Array& scores, const Array& labels) {
  require(scores.dims() == 2 && labels.count() == scores.size(0),
          "count_right: scores {} and labels {} do not belong together", scores, labels);
  const Array rows = scores.to(DType::f32).contiguous();
  const Array wanted = labels.to(DType::i64).contiguous();
  const std::int64_t classes = rows.size(1);
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    const float* row = rows.data<float>() + i * classes;
    right += std::max_element(row, row + classes) - row == wanted.data<std::int64_t>()[i] ? 1 : 0;
  }
  return right;
}

namespace {

// Where a forward pass is an affair of all ranks (sharded parameters are gathered for it), each must run as many: the
// ranks that have a batch less than the first ones run one item again.
void pad_forwards(nn::Module& model, const data::Dataset& test, comm::Communicator& ranks, std::int64_t batch_size) {
  const std::int64_t batches = (test.count() + batch_size - 1) / batch_size;
  const std::int64_t in_last_round = batches % ranks.size();
  if (in_last_round != 0 && ranks.rank() >= in_last_round) {
    data::Batch batch;
    const std::int64_t first_item = 0;
    test.fetch({&first_item, 1}, batch);
    model(batch.inputs);
  }
}

}  // namespace

Accuracy measure_accuracy(nn::Module& model, const data::Dataset& test, strategies::Strategy& strategy,
                          std::int64_t batch_size) {
  const NoGrad no_grad;
  comm::Communicator& ranks = strategy.communicator();
  std::int64_t right = 0;
  data::for_each_batch(test, batch_size, {ranks.rank(), ranks.size(), ranks.size()}, [&](const data::Batch& batch) {
    right += count_right(model(batch.inputs).array(), batch.labels);
  });
  pad_forwards(model, test, ranks, batch_size);
  const Array total = ranks.allocate({1}, DType::i64);
  *total.data<std::int64_t>() = right;
  ranks.all_reduce(total, comm::ReduceOp::sum, {.name = "right answers on the test set"}).wait();
  return {*total.data<std::int64_t>(), test.count()};
}

}  // namespace trireme::training

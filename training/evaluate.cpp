#include "trireme/training/evaluate.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "trireme/core/base/error.h"
#include "trireme/core/base/step_context.h"
#include "trireme/core/data/loader.h"
#include "trireme/training/ranking.h"

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

struct Share {
  int rank = 0;
  int ranks = 1;
};

// Ranks that are not in step must not wait for each other: then the first one measures alone.
Share share_of(strategies::Strategy& strategy) {
  comm::Communicator& ranks = strategy.communicator();
  return strategy.is_lockstep() ? Share{ranks.rank(), ranks.size()} : Share{};
}

bool measures(strategies::Strategy& strategy) { return strategy.is_lockstep() || strategy.communicator().rank() == 0; }

void add_up(strategies::Strategy& strategy, const Array& numbers, std::string_view what) {
  if (strategy.is_lockstep()) {
    strategy.communicator().all_reduce(numbers, comm::ReduceOp::sum, {.name = what}).wait();
  }
}

// Calls use(batch) for this rank's share of the test set. Where a forward pass is an affair of all ranks (sharded
// parameters are gathered for it), each must run as many: the ranks that have a batch less than the first ones run
// `pad` on one item.
template <class Use, class Pad>
void share_out(const data::Dataset& test, const Share& share, std::int64_t batch_size, const Use& use, const Pad& pad) {
  data::for_each_batch(test, batch_size, {share.rank, share.ranks, share.ranks}, use);
  const std::int64_t batches = (test.count() + batch_size - 1) / batch_size;
  const std::int64_t in_last_round = batches % share.ranks;
  if (in_last_round != 0 && share.rank >= in_last_round) {
    data::Batch batch;
    const std::int64_t first_item = 0;
    test.fetch({&first_item, 1}, batch);
    pad(batch);
  }
}

}  // namespace

TestResult measure_accuracy(nn::Module& model, const data::Dataset& test, strategies::Strategy& strategy,
                            std::int64_t batch_size) {
  if (!measures(strategy)) {
    return {{{"accuracy", std::nan("")}}, 0, {}};
  }
  const NoGrad no_grad;
  std::int64_t right = 0;
  share_out(
      test, share_of(strategy), batch_size,
      [&](const data::Batch& batch) { right += count_right(model(batch.inputs).array(), batch.labels); },
      [&](const data::Batch& batch) { model(batch.inputs); });
  const Array total = strategy.communicator().allocate({1}, DType::i64);
  *total.data<std::int64_t>() = right;
  add_up(strategy, total, "right answers on the test set");
  const auto items = static_cast<double>(test.count());
  const double share = items > 0 ? static_cast<double>(*total.data<std::int64_t>()) / items : 0;
  return {{{"accuracy", share}},
          test.count(),
          fmt::format("{:.2f} % of {} test examples are right", 100 * share, test.count())};
}

// Each rank writes its items' places and leaves zeros elsewhere: their sum over the ranks is exact.
TestResult measure_clicks(const std::function<Tensor(const data::Batch&)>& logits, const data::Dataset& test,
                          strategies::Strategy& strategy, std::int64_t batch_size) {
  if (!measures(strategy)) {
    return {{{"auc", std::nan("")}, {"log_loss", std::nan("")}}, 0, {}};
  }
  const NoGrad no_grad;
  const Share share = share_of(strategy);
  const std::int64_t count = test.count();
  const Array all = strategy.communicator().allocate({2 * count}, DType::f32);
  all.fill(0);
  const std::span<float> scores = all.span<float>().first(static_cast<std::size_t>(count));
  const std::span<float> labels = all.span<float>().last(static_cast<std::size_t>(count));
  auto next = static_cast<std::size_t>(share.rank * batch_size);
  share_out(
      test, share, batch_size,
      [&](const data::Batch& batch) {
        const Array given = logits(batch).array();
        std::ranges::copy(given.span<float>(), scores.begin() + static_cast<std::ptrdiff_t>(next));
        std::ranges::copy(batch.labels.span<float>(), labels.begin() + static_cast<std::ptrdiff_t>(next));
        next += static_cast<std::size_t>(share.ranks * batch_size);
      },
      [&](const data::Batch& batch) { logits(batch); });
  add_up(strategy, all, "scores of the test set");
  const double auc = area_under_curve(scores, labels);
  const double log_loss = mean_log_loss(scores, labels);
  return {{{"auc", auc}, {"log_loss", log_loss}},
          count,
          fmt::format("AUC {:.5f}, log loss {:.5f} on {} test examples", auc, log_loss, count)};
}

}  // namespace trireme::training

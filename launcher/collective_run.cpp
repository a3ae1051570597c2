#include "trireme/launcher/collective_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <set>

#include "trireme/core/base/error.h"
#include "trireme/core/base/host.h"
#include "trireme/launcher/collective_check.h"

namespace trireme::launcher {
namespace {

// One way to run the collective: what is called, and how many elements it left wrong on this rank.
struct Variant {
  std::function<void()> prepare;  // fresh values
  std::function<void()> call;
  std::function<std::int64_t()> wrong;
};

class CollectiveRun {
 public:
  CollectiveRun(comm::Communicator& ranks, const CollectivePlan& plan)
      : ranks_(ranks), plan_(plan), data_(plan.dtype, plan.op, ranks.size()) {}

  std::int64_t run() {
    print(head());
    std::int64_t wrong = 0;
    double bandwidths = 0;
    int sides = 0;
    for (const std::int64_t bytes : row_sizes(plan_.what, plan_.min_bytes, plan_.max_bytes, plan_.factor)) {
      const Row row = measure_row(bytes);
      print(table_line(plan_.what, row, ranks_.size()));
      for (const auto& side : {row.out_of_place, row.in_place}) {
        if (side) {
          wrong += side->wrong.value_or(0);
          bandwidths +=
              static_cast<double>(row.amount.bytes) / side->seconds / 1e9 * bus_factor(plan_.what, ranks_.size());
          ++sides;
        }
      }
    }
    print(fmt::format("# Out of bounds values : {} {}\n", wrong, wrong == 0 ? "OK" : "FAILED"));
    if (plan_.what != Collective::barrier) {
      print(fmt::format("# Avg bus bandwidth    : {:.4g}\n#\n", sides == 0 ? 0.0 : bandwidths / sides));
    }
    return wrong;
  }

 private:
  void print(const std::string& text) const {
    if (ranks_.rank() == 0) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
    }
  }

  std::string head() {
    std::string list;
    std::set<std::string> hosts;
    for (int rank = 0; const std::string& place : gather_text(fmt::format("Pid {:>7} on {}", getpid(), host_name()))) {
      list += fmt::format("#  Rank {:>3} {}\n", rank++, place);
      hosts.insert(place.substr(place.find(" on ")));
    }
    return fmt::format(
        "# trireme bench: backend {}, {} ranks on {} host(s), order {}\n"
        "# minBytes {} maxBytes {} step: {}(factor) warmup iters: {} iters: {} validation: {}\n#\n{}#\n{}",
        ranks_.backend(), ranks_.size(), hosts.size(),
        plan_.order == comm::ReduceOrder::canonical ? "canonical" : "fast", plan_.min_bytes, plan_.max_bytes,
        plan_.factor, plan_.warmup, plan_.iterations, plan_.check ? 1 : 0, list,
        table_head(plan_.what == Collective::barrier));
  }

  // A line of every rank, on every rank.
  std::vector<std::string> gather_text(const std::string& own) {
    constexpr std::int64_t kLine = 96;
    const Array mine = Array::zeros({kLine}, DType::u8);
    std::copy_n(own.data(), std::min<std::size_t>(own.size(), kLine - 1),
                reinterpret_cast<char*>(mine.data<std::uint8_t>()));
    const Array all = Array::empty({kLine * ranks_.size()}, DType::u8);
    ranks_.all_gather(mine, all, {.name = "hosts"}).wait();
    std::vector<std::string> lines;
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      lines.emplace_back(reinterpret_cast<const char*>(all.data<std::uint8_t>()) + rank * kLine);
    }
    return lines;
  }

  Row measure_row(std::int64_t bytes) {
    const bool reduces = plan_.what == Collective::all_reduce || plan_.what == Collective::reduce_scatter;
    Row row{.amount = amount_of(plan_.what, bytes, plan_.dtype, ranks_.size()),
            .type = type_name(plan_.dtype),
            .op = reduces ? op_name(plan_.op) : "none",
            .root = plan_.what == Collective::broadcast ? plan_.root : -1,
            .out_of_place = {},
            .in_place = {}};
    for (const bool in_place : {false, true}) {
      if (const std::optional<Variant> variant = make_variant(row.amount, in_place)) {
        (in_place ? row.in_place : row.out_of_place) = measure(*variant);
      }
    }
    return row;
  }

  Measured measure(const Variant& variant) {
    variant.prepare();
    for (int i = 0; i < plan_.warmup; ++i) {
      variant.call();
    }
    ranks_.barrier().wait();
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < plan_.iterations; ++i) {
      variant.call();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    Measured measured{.seconds = sum_of(took.count() / plan_.iterations) / ranks_.size(), .wrong = {}};
    if (plan_.check) {
      ranks_.barrier().wait();  // nobody reads the old values any more
      variant.prepare();
      variant.call();
      measured.wrong = static_cast<std::int64_t>(sum_of(static_cast<double>(variant.wrong())));
    }
    return measured;
  }

  double sum_of(double value) {
    const Array total = Array::full({1}, value, DType::f64);
    ranks_.all_reduce(total).wait();
    return total.item();
  }

  Array allocate(std::int64_t count) { return ranks_.allocate({count}, plan_.dtype); }

  std::optional<Variant> make_variant(const Amount& amount, bool in_place) {
    switch (plan_.what) {
      case Collective::all_reduce:
        return all_reduce(amount.count, in_place);
      case Collective::broadcast:
        return broadcast(amount.count, in_place);
      case Collective::all_gather:
        return all_gather(amount.count, in_place);
      case Collective::reduce_scatter:
        return in_place ? std::nullopt : std::optional(reduce_scatter(amount.count));
      case Collective::all_to_all:
        return in_place ? std::nullopt : std::optional(all_to_all(amount.count));
      case Collective::barrier:
        return in_place ? std::nullopt
                        : std::optional(Variant{[] {}, [this] { ranks_.barrier().wait(); }, [] { return 0; }});
    }
    return std::nullopt;
  }

  // The operation itself is in place; out of place costs what a user would have to do: a copy before it.
  Variant all_reduce(std::int64_t count, bool in_place) {
    const Array output = allocate(count);
    const Array input = in_place ? output : allocate(count);
    return {[=, this] { data_.fill(input, ranks_.rank()); },
            [=, this] {
              if (!in_place) {
                output.copy_from(input);
              }
              ranks_.all_reduce(output, plan_.op, {.order = plan_.order}).wait();
            },
            [=, this] { return data_.wrong_reductions(output); }};
  }

  Variant broadcast(std::int64_t count, bool in_place) {
    const Array output = allocate(count);
    const Array input = in_place ? output : allocate(count);
    return {[=, this] { data_.fill(input, ranks_.rank()); },
            [=, this] {
              if (!in_place && ranks_.rank() == plan_.root) {
                output.copy_from(input);
              }
              ranks_.broadcast(output, plan_.root).wait();
            },
            [=, this] { return data_.wrong_copies(output, plan_.root); }};
  }

  Variant all_gather(std::int64_t piece, bool in_place) {
    const Array output = allocate(piece * ranks_.size());
    const Array input = in_place ? output.narrow(0, ranks_.rank() * piece, piece) : allocate(piece);
    return {[=, this] { data_.fill(input, ranks_.rank()); }, [=, this] { ranks_.all_gather(input, output).wait(); },
            [=, this] {
              std::int64_t wrong = 0;
              for (int peer = 0; peer < ranks_.size(); ++peer) {
                wrong += data_.wrong_copies(output.narrow(0, peer * piece, piece), peer);
              }
              return wrong;
            }};
  }

  Variant reduce_scatter(std::int64_t piece) {
    const Array input = allocate(piece * ranks_.size());
    const Array output = allocate(piece);
    return {[=, this] { data_.fill(input, ranks_.rank()); },
            [=, this] { ranks_.reduce_scatter(input, output, plan_.op, {.order = plan_.order}).wait(); },
            [=, this] { return data_.wrong_reductions(output, ranks_.rank() * piece); }};
  }

  Variant all_to_all(std::int64_t piece) {
    const Array input = allocate(piece * ranks_.size());
    const Array output = allocate(piece * ranks_.size());
    return {[=, this] { data_.fill(input, ranks_.rank()); }, [=, this] { ranks_.all_to_all(input, output).wait(); },
            [=, this] {
              std::int64_t wrong = 0;
              for (int peer = 0; peer < ranks_.size(); ++peer) {
                wrong += data_.wrong_copies(output.narrow(0, peer * piece, piece), peer, ranks_.rank() * piece);
              }
              return wrong;
            }};
  }

  comm::Communicator& ranks_;
  const CollectivePlan& plan_;
  CheckedData data_;
};

}  // namespace

std::int64_t run_collective(comm::Communicator& ranks, const CollectivePlan& plan) {
  require_usage(plan.root < ranks.size(), "trireme bench: --root {}: the ranks are 0 to {}", plan.root,
                ranks.size() - 1);
  return CollectiveRun(ranks, plan).run();
}

}  // namespace trireme::launcher

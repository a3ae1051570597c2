#include "trireme/launcher/collective_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "trireme/core/base/error.h"

namespace trireme::launcher {
namespace {

constexpr std::array<std::pair<const char*, Collective>, 6> kNames = {{{"all_reduce", Collective::all_reduce},
                                                                       {"reduce_scatter", Collective::reduce_scatter},
                                                                       {"all_gather", Collective::all_gather},
                                                                       {"all_to_all", Collective::all_to_all},
                                                                       {"broadcast", Collective::broadcast},
                                                                       {"barrier", Collective::barrier}}};

bool is_cut_in_pieces(Collective what) {
  return what == Collective::reduce_scatter || what == Collective::all_gather || what == Collective::all_to_all;
}

// Four significant digits in seven columns, as nccl-tests does.
std::string microseconds(double seconds) {
  const double us = seconds * 1e6;
  return us < 100 ? fmt::format("{:.2f}", us) : us < 10000 ? fmt::format("{:.1f}", us) : fmt::format("{:.0f}", us);
}

std::string side(Collective what, const Row& row, const std::optional<Measured>& measured, int ranks) {
  if (!measured) {
    return fmt::format("  {:>7}  {:>6}  {:>6}  {:>6}", "N/A", "N/A", "N/A", "N/A");
  }
  const double bandwidth = measured->seconds > 0 ? static_cast<double>(row.amount.bytes) / measured->seconds / 1e9 : 0;
  return fmt::format("  {:>7}  {:>6.2f}  {:>6.2f}  {:>6}", microseconds(measured->seconds), bandwidth,
                     bandwidth * bus_factor(what, ranks),
                     measured->wrong ? std::to_string(*measured->wrong) : std::string("N/A"));
}

}  // namespace

std::optional<Collective> collective_from_name(const std::string& name) {
  const auto found = std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return name == entry.first; });
  return found == kNames.end() ? std::nullopt : std::optional(found->second);
}

Amount amount_of(Collective what, std::int64_t bytes, DType dtype, int ranks) {
  if (what == Collective::barrier) {
    return {};
  }
  const auto size = static_cast<std::int64_t>(size_of(dtype));
  const std::int64_t pieces = is_cut_in_pieces(what) ? ranks : 1;
  const std::int64_t count = std::max<std::int64_t>(1, bytes / size / pieces);
  return {count * pieces * size, count};
}

std::vector<std::int64_t> row_sizes(Collective what, std::int64_t min, std::int64_t max, std::int64_t factor) {
  if (what == Collective::barrier) {
    return {0};
  }
  std::vector<std::int64_t> sizes;
  for (std::int64_t bytes = min; bytes <= max; bytes *= factor) {
    sizes.push_back(bytes);
    if (factor == 1 || bytes > max / factor) {
      break;
    }
  }
  return sizes;
}

double bus_factor(Collective what, int ranks) {
  const double n = ranks;
  switch (what) {
    case Collective::all_reduce:
      return 2 * (n - 1) / n;
    case Collective::reduce_scatter:
    case Collective::all_gather:
    case Collective::all_to_all:
      return (n - 1) / n;
    default:
      return 1;
  }
}

std::string table_head(bool timed_only) {
  if (timed_only) {
    return "#        time\n#        (us)\n";
  }
  return "#                                                              out-of-place                       in-place\n"
         "#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   algbw   "
         "busbw  #wrong\n"
         "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             (us)  (GB/s)  "
         "(GB/s)\n";
}

std::string table_line(Collective what, const Row& row, int ranks) {
  if (what == Collective::barrier) {
    return fmt::format("{:>13}\n", microseconds(row.out_of_place->seconds));
  }
  return fmt::format("{:>12}  {:>12}  {:>8}  {:>6}  {:>6}{}{}\n", row.amount.bytes, row.amount.count, row.type, row.op,
                     row.root, side(what, row, row.out_of_place, ranks), side(what, row, row.in_place, ranks));
}

std::string type_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "float";
    case DType::f64:
      return "double";
    case DType::bf16:
      return "bfloat16";
    case DType::f16:
      return "half";
    case DType::i64:
      return "int64";
    case DType::i32:
      return "int32";
    case DType::u8:
      return "uint8";
    case DType::boolean:
      return "bool";
  }
  return "unknown";
}

std::string op_name(comm::ReduceOp op) {
  constexpr const char* kOps[] = {"sum", "prod", "min", "max"};
  return kOps[static_cast<std::size_t>(op)];
}

comm::ReduceOp op_from_name(const std::string& name) {
  for (const auto op : {comm::ReduceOp::sum, comm::ReduceOp::product, comm::ReduceOp::min, comm::ReduceOp::max}) {
    if (name == op_name(op) || (name == "product" && op == comm::ReduceOp::product)) {
      return op;
    }
  }
  fail_usage("trireme bench: --op {}: one of sum, prod, min and max is expected", name);
}

std::int64_t parse_bytes(const std::string& option, const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit(end, text.data() + text.size());
  if (unit.size() > 1 && (unit.ends_with("iB") || unit.ends_with("B"))) {
    unit = unit.substr(0, 1);
  }
  const int shift = unit.empty() || unit == "B" ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
  require_usage(error == std::errc{} && value >= 0 && shift >= 0 && value <= (std::int64_t{1} << 40 >> shift),
                "trireme bench: {} {}: bytes are expected, such as 4096, 64K, 16M or 1G", option, text);
  return value << shift;
}

}  // namespace trireme::launcher

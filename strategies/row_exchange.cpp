#include "trireme/strategies/row_exchange.h"

#include <cstring>

namespace trireme::strategies {
namespace {

// Where each rank's rows and elements begin, when all lie behind each other.
struct Offsets {
  std::vector<std::int64_t> rows{0};
  std::vector<std::int64_t> elements{0};
};

// Calls f(rank, slot, table, position in the counts) in the order in which everything lies behind each other.
template <class F>
void for_each_list(const comm::ReductionLayout& layout, std::size_t tables, const F& f) {
  for (std::size_t rank = 0; rank + 1 < layout.first_slot.size(); ++rank) {
    const std::size_t before = rank * static_cast<std::size_t>(layout.most_parts);
    for (std::size_t part = 0; part < layout.parts_of_rank[rank].size(); ++part) {
      for (std::size_t table = 0; table < tables; ++table) {
        f(rank, static_cast<std::size_t>(layout.first_slot[rank]) + part, table, (before + part) * tables + table);
      }
    }
  }
}

Offsets offsets_of(const comm::ReductionLayout& layout, const std::vector<std::int64_t>& counts,
                   const std::vector<std::int64_t>& widths) {
  Offsets offsets;
  offsets.rows.resize(layout.first_slot.size());
  offsets.elements.resize(layout.first_slot.size());
  for_each_list(layout, widths.size(), [&](std::size_t rank, std::size_t, std::size_t table, std::size_t at) {
    offsets.rows[rank + 1] += counts[at];
    offsets.elements[rank + 1] += counts[at] * widths[table];
  });
  for (std::size_t rank = 1; rank < offsets.rows.size(); ++rank) {
    offsets.rows[rank] += offsets.rows[rank - 1];
    offsets.elements[rank] += offsets.elements[rank - 1];
  }
  return offsets;
}

void append(const Array& from, std::byte*& to) {
  std::memcpy(to, from.bytes_data(), from.bytes());
  to += from.bytes();
}

struct Packed {
  Array rows;
  Array values;
};

// A rank's lists behind each other.
Packed pack(const std::vector<std::vector<SparseRows>>& own, const Offsets& offsets, std::size_t rank) {
  Packed packed{Array::empty({offsets.rows[rank + 1] - offsets.rows[rank]}, DType::i64),
                Array::empty({offsets.elements[rank + 1] - offsets.elements[rank]})};
  std::byte* rows = packed.rows.bytes_data();
  std::byte* values = packed.values.bytes_data();
  for (const std::vector<SparseRows>& part : own) {
    for (const SparseRows& table : part) {
      if (table.count() > 0) {
        append(table.rows, rows);
        append(table.values, values);
      }
    }
  }
  return packed;
}

}  // namespace

std::vector<std::int64_t> RowExchange::gather_counts(const comm::ReductionLayout& layout,
                                                     const std::vector<std::vector<SparseRows>>& own) {
  const std::int64_t numbers = layout.most_parts * static_cast<std::int64_t>(widths_.size());
  if (!own_counts_.defined() || own_counts_.count() != numbers) {
    own_counts_ = ranks_.allocate({numbers}, DType::i64);
    all_counts_ = ranks_.allocate({numbers * ranks_.size()}, DType::i64);
  }
  own_counts_.fill(0);
  std::int64_t* next = own_counts_.data<std::int64_t>();
  for (const std::vector<SparseRows>& part : own) {
    for (const SparseRows& table : part) {
      *next++ = table.count();
    }
  }
  ranks_.all_gather(own_counts_, all_counts_, {.name = "rows of sparse tables: how many"}).wait();
  return all_counts_.to_vector<std::int64_t>();
}

std::vector<std::vector<SparseRows>> RowExchange::gather(const comm::ReductionLayout& layout,
                                                         const std::vector<std::vector<SparseRows>>& own) {
  const std::vector<std::int64_t> counts = gather_counts(layout, own);
  const Offsets offsets = offsets_of(layout, counts, widths_);
  const Packed mine = pack(own, offsets, static_cast<std::size_t>(ranks_.rank()));
  const Packed all{Array::empty({offsets.rows.back()}, DType::i64), Array::empty({offsets.elements.back()})};
  comm::Work rows = ranks_.all_gather_v(mine.rows, all.rows, offsets.rows, {.name = "rows of sparse tables: numbers"});
  comm::Work values =
      ranks_.all_gather_v(mine.values, all.values, offsets.elements, {.name = "rows of sparse tables: gradients"});
  rows.wait();
  values.wait();
  std::vector<std::vector<SparseRows>> lists(static_cast<std::size_t>(layout.slots()),
                                             std::vector<SparseRows>(widths_.size()));
  std::int64_t row = 0, element = 0;
  for_each_list(layout, widths_.size(), [&](std::size_t, std::size_t slot, std::size_t table, std::size_t at) {
    const std::int64_t count = counts[at], width = widths_[table];
    if (count > 0) {
      lists[slot][table] = {all.rows.narrow(0, row, count),
                            all.values.narrow(0, element, count * width).reshape({count, width})};
    }
    row += count;
    element += count * width;
  });
  return lists;
}

}  // namespace trireme::strategies

#include "trireme/core/ops/embedding_bag.h"

#include <algorithm>

#include "trireme/core/array/convert.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/table_rows.h"

namespace trireme::ops {
namespace {

constexpr std::int64_t kTile = 16 << 10;  // elements
constexpr std::int64_t kColumnTile = 64;  // of the table: each is scattered into by one tile

struct Bags {
  Array indices;  // i64, contiguous
  Array offsets;  // i64, B + 1 of them: the last is the number of indices
  BagMode mode = BagMode::sum;

  std::int64_t count() const { return offsets.count() - 1; }
  std::int64_t begin(std::int64_t bag) const { return offsets.data<std::int64_t>()[bag]; }
  std::int64_t end(std::int64_t bag) const { return offsets.data<std::int64_t>()[bag + 1]; }
  template <class T>
  T share(std::int64_t bag) const {
    return mode == BagMode::sum || end(bag) == begin(bag) ? T{1} : T{1} / static_cast<T>(end(bag) - begin(bag));
  }
};

Bags check(const Array& table, const Array& indices, const Array& offsets, BagMode mode) {
  const bool integers = indices.dtype() == DType::i64 || indices.dtype() == DType::i32;
  require(
      table.dims() == 2 && indices.dims() == 1 && offsets.dims() == 1 && integers && offsets.dtype() == indices.dtype(),
      "embedding_bag: table {}, indices {}, offsets {} given; [R, D] and two i64 or i32 lists expected", table, indices,
      offsets);
  Bags bags{indices.to(DType::i64).contiguous(), Array::empty({offsets.count() + 1}, DType::i64), mode};
  bags.offsets.narrow(0, 0, offsets.count()).copy_from(offsets);
  bags.offsets.data<std::int64_t>()[offsets.count()] = indices.count();
  std::int64_t last = 0;
  for (const std::int64_t offset : bags.offsets.span<std::int64_t>()) {
    require(offset >= last && offset <= indices.count(), "embedding_bag: offset {} given after {}, for {} indices",
            offset, last, indices.count());
    last = offset;
  }
  require(bags.begin(0) == 0, "embedding_bag: the first offset is {}, 0 expected", bags.begin(0));
  for (const std::int64_t index : bags.indices.span<std::int64_t>()) {
    require(index >= 0 && index < table.size(0), "embedding_bag: index {} given for a table of {} rows", index,
            table.size(0));
  }
  return bags;
}

template <class T, class Element>
void forward(const Bags& bags, const Element* table, std::int64_t width, T* out) {
  const std::int64_t* index = bags.indices.data<std::int64_t>();
  parallel_for(bags.count(), std::max<std::int64_t>(1, kTile / std::max<std::int64_t>(1, width)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t bag = begin; bag < end; ++bag) {
                   T* row = out + bag * width;
                   std::fill_n(row, width, T{0});
                   for (std::int64_t i = bags.begin(bag); i < bags.end(bag); ++i) {
                     const Element* from = table + index[i] * width;
                     for (std::int64_t d = 0; d < width; ++d) {
                       row[d] += convert<T>(from[d]);
                     }
                   }
                   const T share = bags.share<T>(bag);
                   for (std::int64_t d = 0; d < width; ++d) {
                     row[d] *= share;
                   }
                 }
               });
}

// Each tile of columns walks all bags, so no two tiles write one element.
template <class T>
void backward(const Bags& bags, const T* gradient, std::int64_t width, T* dtable) {
  const std::int64_t* index = bags.indices.data<std::int64_t>();
  parallel_for(width, kColumnTile, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t bag = 0; bag < bags.count(); ++bag) {
      const T* from = gradient + bag * width;
      const T share = bags.share<T>(bag);
      for (std::int64_t i = bags.begin(bag); i < bags.end(bag); ++i) {
        T* row = dtable + index[i] * width;
        for (std::int64_t d = begin; d < end; ++d) {
          row[d] += from[d] * share;
        }
      }
    }
  });
}

// What each position of the list adds to its row: f32 [n, D].
Array contributions(const Bags& bags, const Array& gradient) {
  const std::int64_t width = gradient.size(1);
  const Array out = Array::empty({bags.indices.count(), width});
  const float* from = gradient.data<float>();
  float* to = out.data<float>();
  for (std::int64_t bag = 0; bag < bags.count(); ++bag, from += width) {
    const auto share = bags.share<float>(bag);
    for (std::int64_t i = bags.begin(bag); i < bags.end(bag); ++i, to += width) {
      for (std::int64_t d = 0; d < width; ++d) {
        to[d] = from[d] * share;
      }
    }
  }
  return out;
}

}  // namespace

Tensor embedding_bag(const Tensor& table, const Array& indices, const Array& offsets, BagMode mode) {
  const Bags bags = check(table.array(), indices, offsets, mode);
  const TableRows found = table_rows(table, bags.indices);
  const Array& rows = found.rows;
  const Bags here{found.indices, bags.offsets, mode};
  const std::int64_t width = rows.size(1);
  Array result = Array::empty({bags.count(), width}, gradient_dtype(rows.dtype()));
  dispatch_real(result.dtype(), "embedding_bag", [&](auto tag) {
    using T = decltype(tag);
    rows.dtype() == DType::bf16 ? forward(here, rows.data<BFloat16>(), width, result.data<T>())
                                : forward(here, rows.data<T>(), width, result.data<T>());
  });
  return record("embedding_bag", std::move(result), {&table},
                [bags, shape = table.shape()](const Array& gradient, Gradients& gradients) {
                  if (gradients.wants_rows(0)) {
                    gradients.add_rows(0, sum_duplicates(bags.indices, contributions(bags, gradient)));
                    return;
                  }
                  gradients.write(0, shape, gradient.dtype(), [&](const Array& target, bool accumulate) {
                    if (!accumulate) {
                      target.fill(0);
                    }
                    dispatch_real(gradient.dtype(), "embedding_bag", [&](auto tag) {
                      using T = decltype(tag);
                      backward(bags, gradient.data<T>(), shape[1], target.data<T>());
                    });
                  });
                });
}

}  // namespace trireme::ops

#include "trireme/core/ops/attention_heads.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/gemm.h"
#include "trireme/core/ops/workspace.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/attention_heads.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/ops/pack-inl.h"
#include "trireme/core/ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

using ops::AttentionGradients;
using ops::AttentionSizes;
using ops::GemmArgs;
using ops::HeadRows;

constexpr std::int64_t kMaxQueries = 64;  // of a block
constexpr std::int64_t kSlack = 16;       // row kernels may write this many elements past a row of scores

// Queries of a block: few where sequences are short, so that little is computed above the diagonal.
std::int64_t block_queries(std::int64_t queries) { return queries < 192 ? 32 : kMaxQueries; }

// The rows of one head.
template <class T>
struct Rows {
  T* first;
  std::int64_t stride;
  T* row(std::int64_t i) const { return first + i * stride; }
};

template <class T>
Rows<T> rows_of(const HeadRows& rows, std::int64_t batch, std::int64_t head) {
  return {rows.array.data<T>() + rows.offset + batch * rows.batch_stride + head * rows.head_stride, rows.row_stride};
}

// x[0, valid) -> exp(scale * (x - largest)), zeros up to `count`. Returns {largest, sum}.
template <class T>
std::pair<T, T> exponentials(T* x, std::int64_t valid, std::int64_t count, T scale) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t whole = valid / lanes * lanes;
  const auto keep = hn::FirstN(d, static_cast<std::size_t>(valid - whole));
  V most = hn::Set(d, -std::numeric_limits<T>::infinity());
  for (std::int64_t i = 0; i < whole; i += lanes) {
    most = hn::Max(most, hn::LoadU(d, x + i));
  }
  if (whole < valid) {
    most = hn::Max(most, hn::IfThenElse(keep, hn::LoadU(d, x + whole), most));
  }
  const T largest = reduce_max(d, most);
  const V factor = hn::Set(d, scale);
  const V shift = hn::Set(d, scale * largest);
  V sum = hn::Zero(d);
  for (std::int64_t i = 0; i < whole; i += lanes) {
    const V e = exp(d, hn::MulSub(factor, hn::LoadU(d, x + i), shift));
    hn::StoreU(e, d, x + i);
    sum = hn::Add(sum, e);
  }
  std::int64_t done = whole;
  if (whole < valid) {
    const V e = hn::IfThenElseZero(keep, exp(d, hn::MulSub(factor, hn::LoadU(d, x + whole), shift)));
    hn::StoreU(e, d, x + whole);
    sum = hn::Add(sum, e);
    done += lanes;
  }
  for (; done < count; done += lanes) {
    hn::StoreU(hn::Zero(d), d, x + done);
  }
  return {largest, reduce_sum(d, sum)};
}

template <class T>
void multiply_row(T* x, std::int64_t count, T factor) {
  const hn::ScalableTag<T> d;
  const auto by = hn::Set(d, factor);
  transform(
      d, count, x, [&](hn::Vec<decltype(d)> v) HWY_ATTR { return hn::Mul(v, by); }, static_cast<const T*>(x));
}

template <class T>
T dot(const T* a, const T* b, std::int64_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  V sum = hn::Zero(d);
  for_each_vector(
      d, count, [&](V x, V y) HWY_ATTR { sum = hn::MulAdd(x, y, sum); }, a, b);
  return reduce_sum(d, sum);
}

// scores -> p = exp(scale * scores - log_sum); dp -> scale * p * (dp - dot); both zero from `valid` up to `count`.
template <class T>
void score_gradient(T* scores, T* dp, std::int64_t valid, std::int64_t count, T scale, T log_sum, T dot) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V factor = hn::Set(d, scale);
  const V shift = hn::Set(d, log_sum);
  const V centre = hn::Set(d, dot);
  for (std::int64_t i = 0; i < count; i += lanes) {
    const auto keep = hn::FirstN(d, static_cast<std::size_t>(std::clamp<std::int64_t>(valid - i, 0, lanes)));
    const V p = hn::IfThenElseZero(keep, exp(d, hn::MulSub(factor, hn::LoadU(d, scores + i), shift)));
    const V ds = hn::Mul(hn::Mul(factor, p), hn::Sub(hn::LoadU(d, dp + i), centre));
    hn::StoreU(p, d, scores + i);
    hn::StoreU(hn::IfThenElseZero(keep, ds), d, dp + i);
  }
}

// One head at a time, in the scratch memory of the thread.
template <class T>
class Head {
 public:
  explicit Head(const AttentionSizes& sizes)
      : sizes_(sizes),
        block_(block_queries(sizes.queries)),
        stride_((sizes.keys + kSlack - 1) / kSlack * kSlack + kSlack),
        scale_(static_cast<T>(1.0 / std::sqrt(static_cast<double>(sizes.width)))) {
    thread_local ops::Workspace workspace;
    const auto transposed = static_cast<std::size_t>(sizes.width * stride_);
    const auto block = static_cast<std::size_t>(block_ * stride_);
    T* memory = workspace.get<T>(2 * (transposed + block) + static_cast<std::size_t>(sizes.queries));
    keys_ = memory;
    values_ = keys_ + transposed;
    scores_ = values_ + transposed;
    dscores_ = scores_ + block;
    dots_ = dscores_ + block;
  }

  void forward(Rows<T> q, Rows<T> k, Rows<T> v, Rows<T> out, T* log_sums) {
    transpose(k, keys_);
    for (std::int64_t first = 0; first < sizes_.queries; first += block_) {
      const std::int64_t count = std::min(block_, sizes_.queries - first);
      const std::int64_t seen = keys_seen(first + count - 1);
      product(q.row(first), q.stride, count, keys_, seen, scores_);
      T sums[kMaxQueries];
      for (std::int64_t i = 0; i < count; ++i) {
        const auto [largest, sum] = exponentials(scores_ + i * stride_, keys_seen(first + i), seen, scale_);
        log_sums[first + i] = scale_ * largest + std::log(sum);
        sums[i] = sum;
      }
      ops::gemm(GemmArgs<T>{.m = count,
                            .n = sizes_.width,
                            .k = seen,
                            .a = scores_,
                            .lda = stride_,
                            .b = v.first,
                            .ldb = v.stride,
                            .c = out.row(first),
                            .ldc = out.stride});
      for (std::int64_t i = 0; i < count; ++i) {
        multiply_row(out.row(first + i), sizes_.width, T{1} / sums[i]);
      }
    }
  }

  struct Backward {
    Rows<T> q, k, v, out, dout, dq, dk, dv;
    const T* log_sums;
    bool accumulate;
  };

  void backward(const Backward& head) {
    transpose(head.k, keys_);
    transpose(head.v, values_);
    for (std::int64_t i = 0; i < sizes_.queries; ++i) {
      dots_[i] = dot(head.out.row(i), head.dout.row(i), sizes_.width);
    }
    // The last block sees every key: it writes dk and dv, the others add to them.
    bool add = head.accumulate;
    for (std::int64_t first = (sizes_.queries - 1) / block_ * block_; first >= 0; first -= block_) {
      backward_block(head, first, add);
      add = true;
    }
  }

 private:
  std::int64_t keys_seen(std::int64_t query) const { return sizes_.causal ? query + 1 : sizes_.keys; }

  void transpose(Rows<T> rows, T* out) const {
    pack_transposed(hn::ScalableTag<T>(), sizes_.width, sizes_.keys, sizes_.keys, static_cast<const T*>(rows.first),
                    rows.stride, out, stride_);
  }

  // scores = rows [count, width] times the transposed keys or values.
  void product(const T* rows, std::int64_t row_stride, std::int64_t count, const T* transposed, std::int64_t seen,
               T* scores) const {
    ops::gemm(GemmArgs<T>{.m = count,
                          .n = seen,
                          .k = sizes_.width,
                          .a = rows,
                          .lda = row_stride,
                          .b = transposed,
                          .ldb = stride_,
                          .c = scores,
                          .ldc = stride_});
  }

  // gradient [seen, width] (+)= weights [count, seen]^T rows [count, width].
  void spread(const T* weights, std::int64_t seen, Rows<T> rows, std::int64_t first, std::int64_t count,
              Rows<T> gradient, bool add) const {
    ops::gemm(GemmArgs<T>{.transpose_a = true,
                          .m = seen,
                          .n = sizes_.width,
                          .k = count,
                          .a = weights,
                          .lda = stride_,
                          .b = rows.row(first),
                          .ldb = rows.stride,
                          .c = gradient.first,
                          .ldc = gradient.stride,
                          .accumulate = add});
  }

  void backward_block(const Backward& head, std::int64_t first, bool add) {
    const std::int64_t count = std::min(block_, sizes_.queries - first);
    const std::int64_t seen = keys_seen(first + count - 1);
    product(head.q.row(first), head.q.stride, count, keys_, seen, scores_);
    product(head.dout.row(first), head.dout.stride, count, values_, seen, dscores_);
    for (std::int64_t i = 0; i < count; ++i) {
      score_gradient(scores_ + i * stride_, dscores_ + i * stride_, keys_seen(first + i), seen, scale_,
                     head.log_sums[first + i], dots_[first + i]);
    }
    spread(scores_, seen, head.dout, first, count, head.dv, add);
    spread(dscores_, seen, head.q, first, count, head.dk, add);
    ops::gemm(GemmArgs<T>{.m = count,
                          .n = sizes_.width,
                          .k = seen,
                          .a = dscores_,
                          .lda = stride_,
                          .b = head.k.first,
                          .ldb = head.k.stride,
                          .c = head.dq.row(first),
                          .ldc = head.dq.stride,
                          .accumulate = head.accumulate});
  }

  const AttentionSizes& sizes_;
  std::int64_t block_;   // queries
  std::int64_t stride_;  // of transposed keys and values, and of scores
  T scale_;
  T* keys_;
  T* values_;
  T* scores_;
  T* dscores_;
  T* dots_;
};

void attention_forward(const AttentionSizes& sizes, const HeadRows& q, const HeadRows& k, const HeadRows& v,
                       const HeadRows& out, const Array& log_sums) {
  dispatch_real(q.array.dtype(), "attention", [&](auto tag) {
    using T = decltype(tag);
    T* sums = log_sums.data<T>();
    parallel_for(sizes.batch * sizes.heads, 1, [&](std::int64_t index, std::int64_t) {
      const std::int64_t b = index / sizes.heads;
      const std::int64_t h = index % sizes.heads;
      Head<T>(sizes).forward(rows_of<T>(q, b, h), rows_of<T>(k, b, h), rows_of<T>(v, b, h), rows_of<T>(out, b, h),
                             sums + index * sizes.queries);
    });
  });
}

void attention_backward(const AttentionSizes& sizes, const HeadRows& q, const HeadRows& k, const HeadRows& v,
                        const HeadRows& out, const Array& log_sums, const HeadRows& dout,
                        const AttentionGradients& gradients) {
  dispatch_real(q.array.dtype(), "attention", [&](auto tag) {
    using T = decltype(tag);
    const T* sums = log_sums.data<T>();
    parallel_for(sizes.batch * sizes.heads, 1, [&](std::int64_t index, std::int64_t) {
      const std::int64_t b = index / sizes.heads;
      const std::int64_t h = index % sizes.heads;
      Head<T>(sizes).backward({rows_of<T>(q, b, h), rows_of<T>(k, b, h), rows_of<T>(v, b, h), rows_of<T>(out, b, h),
                               rows_of<T>(dout, b, h), rows_of<T>(gradients.q, b, h), rows_of<T>(gradients.k, b, h),
                               rows_of<T>(gradients.v, b, h), sums + index * sizes.queries, gradients.accumulate});
    });
  });
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(attention_forward);
HWY_EXPORT(attention_backward);

namespace ops {

void attention_forward(const AttentionSizes& sizes, const HeadRows& q, const HeadRows& k, const HeadRows& v,
                       const HeadRows& out, const Array& log_sums) {
  HWY_DYNAMIC_DISPATCH(trireme::attention_forward)(sizes, q, k, v, out, log_sums);
}

void attention_backward(const AttentionSizes& sizes, const HeadRows& q, const HeadRows& k, const HeadRows& v,
                        const HeadRows& out, const Array& log_sums, const HeadRows& dout,
                        const AttentionGradients& gradients) {
  HWY_DYNAMIC_DISPATCH(trireme::attention_backward)(sizes, q, k, v, out, log_sums, dout, gradients);
}

}  // namespace ops
}  // namespace trireme
#endif

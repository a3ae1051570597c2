#include "trireme/core/ops/attention.h"

#include "trireme/core/ops/attention_heads.h"

namespace trireme::ops {
namespace {

// Queries (part 0), keys (1) or values (2) of a packed [B, T, 3C] array; part 0 of a [B, T, C] array with parts = 1.
HeadRows packed_rows(const Array& array, std::int64_t heads, std::int64_t parts, std::int64_t part) {
  const std::int64_t row = array.size(2);
  const std::int64_t columns = row / parts;
  return {array, part * columns, array.size(1) * row, columns / heads, row};
}

HeadRows separate_rows(const Array& array) {
  const Shape& strides = array.strides();
  return {array, 0, strides[0], strides[1], strides[2]};
}

// Rows must be dense; any other stride is fine, so that transposed views need no copy.
Array with_dense_rows(const Array& array) { return array.strides()[3] == 1 ? array : array.contiguous(); }

}  // namespace

Tensor causal_self_attention(const Tensor& qkv, std::int64_t heads) {
  require(qkv.dims() == 3 && heads > 0 && qkv.size(2) % (3 * heads) == 0 && qkv.size(2) > 0,
          "causal_self_attention: qkv {} and {} heads given; [B, T, 3C] with C a multiple of the heads expected",
          qkv.array(), heads);
  const Array packed = qkv.array().contiguous();
  const std::int64_t batch = packed.size(0);
  const std::int64_t length = packed.size(1);
  const std::int64_t columns = packed.size(2) / 3;
  const AttentionSizes sizes{batch, heads, length, length, columns / heads, true};
  Array out = Array::empty({batch, length, columns}, packed.dtype());
  const Array log_sums = Array::empty({batch, heads, length}, packed.dtype());
  attention_forward(sizes, packed_rows(packed, heads, 3, 0), packed_rows(packed, heads, 3, 1),
                    packed_rows(packed, heads, 3, 2), packed_rows(out, heads, 1, 0), log_sums);
  return record("causal_self_attention", out, {&qkv},
                [packed, out, log_sums, sizes, heads](const Array& gradient, Gradients& gradients) {
                  const Array dy = gradient.contiguous();
                  gradients.write(0, packed.shape(), packed.dtype(), [&](const Array& target, bool accumulate) {
                    attention_backward(sizes, packed_rows(packed, heads, 3, 0), packed_rows(packed, heads, 3, 1),
                                       packed_rows(packed, heads, 3, 2), packed_rows(out, heads, 1, 0), log_sums,
                                       packed_rows(dy, heads, 1, 0),
                                       {packed_rows(target, heads, 3, 0), packed_rows(target, heads, 3, 1),
                                        packed_rows(target, heads, 3, 2), accumulate});
                  });
                });
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  require(q.dims() == 4 && k.shape() == v.shape() && k.dims() == 4 && q.size(0) == k.size(0) &&
              q.size(1) == k.size(1) && q.size(3) == k.size(3) && q.size(3) > 0 && q.dtype() == k.dtype() &&
              q.dtype() == v.dtype(),
          "attention: q {}, k {} and v {} given; [B, H, T, D], [B, H, S, D] and [B, H, S, D] expected", q.array(),
          k.array(), v.array());
  require(!causal || q.size(2) == k.size(2),
          "attention: causal with {} queries and {} keys given, equal numbers expected", q.size(2), k.size(2));
  require(k.size(2) > 0 || q.count() == 0, "attention: no keys given for {} queries", q.size(2));
  const Array query = with_dense_rows(q.array());
  const Array key = with_dense_rows(k.array());
  const Array value = with_dense_rows(v.array());
  const AttentionSizes sizes{q.size(0), q.size(1), q.size(2), k.size(2), q.size(3), causal};
  Array out = Array::empty(q.shape(), q.dtype());
  const Array log_sums = Array::empty({sizes.batch, sizes.heads, sizes.queries}, q.dtype());
  attention_forward(sizes, separate_rows(query), separate_rows(key), separate_rows(value), separate_rows(out),
                    log_sums);
  return record("attention", out, {&q, &k, &v},
                [query, key, value, out, log_sums, sizes](const Array& gradient, Gradients& gradients) {
                  const Array dy = gradient.contiguous();
                  Array dq = Array::empty(query.shape(), query.dtype());
                  Array dk = Array::empty(key.shape(), key.dtype());
                  Array dv = Array::empty(value.shape(), value.dtype());
                  if (sizes.queries == 0) {
                    dk.fill(0);
                    dv.fill(0);
                  }
                  attention_backward(sizes, separate_rows(query), separate_rows(key), separate_rows(value),
                                     separate_rows(out), log_sums, separate_rows(dy),
                                     {separate_rows(dq), separate_rows(dk), separate_rows(dv), false});
                  gradients.add(0, std::move(dq));
                  gradients.add(1, std::move(dk));
                  gradients.add(2, std::move(dv));
                });
}

}  // namespace trireme::ops

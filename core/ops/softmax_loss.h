// The row kernels of cross_entropy: loss and gradient of rows of logits. Internal to core/ops.
#pragma once

#include "trireme/core/array/array.h"

namespace trireme::ops {

// For each row of contiguous logits [rows, V]: log_sums[row] = log of the sum of exponentials, losses[row] =
// log_sums[row]
// - logits[row, label], 0 for ignored rows. Labels must be valid. Runs on parallel_for.
void softmax_losses(const Array& logits, const Array& labels, std::int64_t ignore_index, const Array& log_sums,
                    const Array& losses);

// out[row, :] = scale * (softmax(logits[row, :]) - one-hot(label)), 0 for ignored rows. `out` may be `logits`.
void softmax_loss_gradient(const Array& logits, const Array& labels, std::int64_t ignore_index, const Array& log_sums,
                           double scale, const Array& out);

// Raises Error unless labels is [rows] of an index dtype with every label in [0, classes) or ignored; returns the
// number of rows that count.
std::int64_t check_labels(const char* op, const Array& labels, std::int64_t rows, std::int64_t classes,
                          std::int64_t ignore_index);

}  // namespace trireme::ops

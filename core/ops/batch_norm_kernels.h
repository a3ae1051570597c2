// The loops over one row (one image's plane of one channel) below batch_norm.h.
#pragma once

#include <cstdint>

namespace trireme::ops {

// The sum over i of (x[i] - mean)^2, and of g[i] (x[i] - mean).
template <class T>
double centered_square_row(const T* x, std::int64_t count, T mean);
template <class T>
double centered_product_row(const T* g, const T* x, std::int64_t count, T mean);
// y[i] = (x[i] - mean) * scale + shift
template <class T>
void normalize_row(const T* x, T* y, std::int64_t count, T mean, T scale, T shift);
// dx[i] = (g[i] - g_mean) * scale + (x[i] - mean) * slope. dx may be g.
template <class T>
void normalize_gradient_row(const T* g, const T* x, T* dx, std::int64_t count, T g_mean, T scale, T mean, T slope);

}  // namespace trireme::ops

// The recommender once more, one example and one number at a time in f64, with Adagrad that leaves untouched rows
// alone: an independent check of model, gradients and lazy updates. One table for all categories.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "trireme/core/nn/models/recommender.h"

namespace trireme::test {

class NaiveRecommender {
 public:
  using Vector = std::vector<double>;

  NaiveRecommender(const nn::Recommender& model) : options_(model.options()) {
    for (const nn::NamedParameter& parameter : model.parameters()) {
      values_[parameter.name] = parameter.tensor.array().to_vector<double>();
    }
  }

  // One step of Adagrad on the mean log loss, which is returned.
  double step(const Array& dense, const Array& categories, const Array& labels, double rate, double epsilon) {
    gradients_.clear();
    touched_.clear();
    double loss = 0;
    const auto items = static_cast<double>(labels.count());
    for (std::int64_t e = 0; e < labels.count(); ++e) {
      loss += example(dense.select(0, e).to_vector<double>(), categories.select(0, e).to_vector<std::int64_t>(),
                      labels.to_vector<double>()[static_cast<std::size_t>(e)], items) /
              items;
    }
    for (auto& [name, value] : values_) {
      Vector& sums = sums_.try_emplace(name, value.size()).first->second;
      const Vector& gradient = gradients_[name];
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (name != "embedding.weight" || touched_.contains(static_cast<std::int64_t>(i) / options_.dim)) {
          sums[i] += gradient[i] * gradient[i];
          value[i] -= rate * gradient[i] / (std::sqrt(sums[i]) + epsilon);
        }
      }
    }
    return loss;
  }

  const std::map<std::string, Vector>& values() const { return values_; }

 private:
  struct Trace {
    Vector in, out;
  };

  Vector& gradient_of(const std::string& name) {
    return gradients_.try_emplace(name, values_[name].size()).first->second;
  }

  // relu(W x + b), or without relu.
  Trace layer(const std::string& name, const Vector& x, bool relu) {
    const Vector& weight = values_[name + ".weight"];
    Trace trace{x, values_[name + ".bias"]};
    for (std::size_t o = 0; o < trace.out.size(); ++o) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        trace.out[o] += weight[o * x.size() + i] * x[i];
      }
      trace.out[o] = relu ? std::max(trace.out[o], 0.0) : trace.out[o];
    }
    return trace;
  }

  Vector layer_back(const std::string& name, const Trace& trace, Vector dy, bool relu) {
    const Vector& weight = values_[name + ".weight"];
    Vector& dweight = gradient_of(name + ".weight");
    Vector& dbias = gradient_of(name + ".bias");
    Vector dx(trace.in.size());
    for (std::size_t o = 0; o < dy.size(); ++o) {
      const double slope = relu && trace.out[o] <= 0 ? 0 : dy[o];
      dbias[o] += slope;
      for (std::size_t i = 0; i < dx.size(); ++i) {
        dweight[o * dx.size() + i] += slope * trace.in[i];
        dx[i] += slope * weight[o * dx.size() + i];
      }
    }
    return dx;
  }

  // What goes into the top: z[0] and the pairs' products, or everything side by side.
  Vector interact(const std::vector<Vector>& z) const {
    Vector out = z[0];
    for (std::size_t i = 1; i < z.size(); ++i) {
      if (options_.interaction == nn::Interaction::concat) {
        out.insert(out.end(), z[i].begin(), z[i].end());
        continue;
      }
      for (std::size_t j = 0; j < i; ++j) {
        double sum = 0;
        for (std::size_t k = 0; k < z[i].size(); ++k) {
          sum += z[i][k] * z[j][k];
        }
        out.push_back(sum);
      }
    }
    return out;
  }

  std::vector<Vector> interact_back(const std::vector<Vector>& z, const Vector& dout) const {
    const std::size_t width = z[0].size();
    std::vector<Vector> dz(z.size(), Vector(width));
    std::copy_n(dout.begin(), width, dz[0].begin());
    std::size_t next = width;
    for (std::size_t i = 1; i < z.size(); ++i) {
      if (options_.interaction == nn::Interaction::concat) {
        std::copy_n(dout.begin() + static_cast<std::ptrdiff_t>(next), width, dz[i].begin());
        next += width;
        continue;
      }
      for (std::size_t j = 0; j < i; ++j, ++next) {
        for (std::size_t k = 0; k < width; ++k) {
          dz[i][k] += dout[next] * z[j][k];
          dz[j][k] += dout[next] * z[i][k];
        }
      }
    }
    return dz;
  }

  double example(const Vector& dense, const std::vector<std::int64_t>& rows, double label, double items) {
    const auto width = static_cast<std::size_t>(options_.dim);
    const Trace b0 = layer("bottom.0", dense, true), b1 = layer("bottom.2", b0.out, true);
    std::vector<Vector> z{b1.out};
    const Vector& table = values_["embedding.weight"];
    for (const std::int64_t row : rows) {
      const auto begin = table.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(row) * width);
      z.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(width));
      touched_[row] = true;
    }
    const Trace t0 = layer("top.0", interact(z), true), t1 = layer("top.2", t0.out, true),
                t2 = layer("top.4", t1.out, false);
    const double logit = t2.out[0], click = 1 / (1 + std::exp(-logit));
    Vector d = layer_back("top.4", t2, {(click - label) / items}, false);
    d = layer_back("top.0", t0, layer_back("top.2", t1, d, true), true);
    const std::vector<Vector> dz = interact_back(z, d);
    layer_back("bottom.0", b0, layer_back("bottom.2", b1, dz[0], true), true);
    Vector& dtable = gradient_of("embedding.weight");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t k = 0; k < width; ++k) {
        dtable[static_cast<std::size_t>(rows[i]) * width + k] += dz[i + 1][k];
      }
    }
    return -label * std::log(click) - (1 - label) * std::log(1 - click);
  }

  nn::RecommenderOptions options_;
  std::map<std::string, Vector> values_, sums_, gradients_;
  std::map<std::int64_t, bool> touched_;
};

}  // namespace trireme::test

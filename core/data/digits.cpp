#include "trireme/core/data/digits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/base/random.h"

namespace trireme::data {
namespace {

constexpr int kSide = 28;

struct Point {
  float x, y;  // x to the right, y down, a digit within [-1, 1] x [-1, 1]
};
using Stroke = std::vector<Point>;

// A piece of an ellipse around (cx, cy) from angle `from` to `to`, in degrees, clockwise from the right.
Stroke arc(float cx, float cy, float rx, float ry, float from, float to) {
  Stroke points;
  constexpr int kPieces = 10;
  for (int i = 0; i <= kPieces; ++i) {
    const float angle = (from + (to - from) * static_cast<float>(i) / kPieces) * std::numbers::pi_v<float> / 180;
    points.push_back({cx + rx * std::cos(angle), cy + ry * std::sin(angle)});
  }
  return points;
}

Stroke joined(Stroke a, const Stroke& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::array<std::vector<Stroke>, 10> make_glyphs() {
  return {{
      {arc(0, 0, 0.6f, 0.95f, 0, 360)},
      {{{-0.35f, -0.6f}, {0.05f, -0.95f}, {0.05f, 0.95f}}},
      {joined(arc(0, -0.45f, 0.55f, 0.5f, 180, 390), {{-0.6f, 0.95f}, {0.65f, 0.95f}})},
      {arc(-0.05f, -0.48f, 0.55f, 0.47f, 200, 450), arc(-0.05f, 0.45f, 0.62f, 0.5f, 270, 520)},
      {{{0.3f, 0.95f}, {0.3f, -0.95f}, {-0.65f, 0.35f}, {0.7f, 0.35f}}},
      {joined({{0.55f, -0.95f}, {-0.45f, -0.95f}, {-0.5f, -0.1f}}, arc(-0.02f, 0.38f, 0.6f, 0.57f, 235, 510))},
      {joined({{0.4f, -0.95f}, {-0.1f, -0.6f}, {-0.5f, 0}}, arc(0.02f, 0.42f, 0.55f, 0.53f, 180, 540))},
      {{{-0.6f, -0.95f}, {0.6f, -0.95f}, {-0.15f, 0.95f}}},
      {arc(0, -0.47f, 0.48f, 0.47f, 90, 450), arc(0, 0.47f, 0.58f, 0.48f, 270, 630)},
      {joined(arc(0, -0.42f, 0.55f, 0.53f, 0, 360), {{0.5f, 0.1f}, {0.3f, 0.95f}})},
  }};
}

// How one image is distorted: everything follows from its own stream of random numbers.
struct Distortion {
  explicit Distortion(const RandomStream& random) {
    std::uint64_t next = 0;
    const auto between = [&](double low, double high) {
      return static_cast<float>(low + (high - low) * random.uniform(next++));
    };
    const float turn = between(-0.3, 0.3);
    const float slant = between(-0.35, 0.35);
    const float width = between(6.0, 9.5), height = between(7.5, 10.5);
    xx = width * std::cos(turn);
    xy = width * (slant - std::sin(turn));
    yx = height * std::sin(turn);
    yy = height * std::cos(turn);
    x0 = between(11.5, 15.5);
    y0 = between(11.5, 15.5);
    bend = between(-0.18, 0.18);
    thickness = between(0.8, 1.7);
    ink = between(0.75, 1.0);
  }
  Point operator()(Point p) const {
    const float x = p.x + bend * std::sin(2.5f * p.y);
    return {x0 + xx * x + xy * p.y, y0 + yx * x + yy * p.y};
  }

  float xx, xy, yx, yy, x0, y0, bend, thickness, ink;
};

// Raises the ink of the pixels near the segment: full within `thickness`, falling to nothing over one pixel.
void draw_segment(Point a, Point b, float thickness, std::array<float, kSide * kSide>& canvas) {
  const float reach = thickness + 1;
  const int left = std::max(0, static_cast<int>(std::min(a.x, b.x) - reach));
  const int right = std::min(kSide - 1, static_cast<int>(std::max(a.x, b.x) + reach));
  const int top = std::max(0, static_cast<int>(std::min(a.y, b.y) - reach));
  const int bottom = std::min(kSide - 1, static_cast<int>(std::max(a.y, b.y) + reach));
  const float dx = b.x - a.x, dy = b.y - a.y;
  const float length = std::max(dx * dx + dy * dy, 1e-6f);
  for (int y = top; y <= bottom; ++y) {
    for (int x = left; x <= right; ++x) {
      const float px = static_cast<float>(x) - a.x, py = static_cast<float>(y) - a.y;
      const float along = std::clamp((px * dx + py * dy) / length, 0.0f, 1.0f);
      const float ex = px - along * dx, ey = py - along * dy;
      const float distance = std::sqrt(ex * ex + ey * ey);
      float& pixel = canvas[static_cast<std::size_t>(y * kSide + x)];
      pixel = std::max(pixel, std::clamp(reach - distance, 0.0f, 1.0f));
    }
  }
}

void draw(const std::vector<Stroke>& glyph, const RandomStream& random, std::uint8_t* out) {
  const Distortion distort(random);
  std::array<float, kSide * kSide> canvas{};
  for (const Stroke& stroke : glyph) {
    Point from = distort(stroke.front());
    for (std::size_t i = 1; i < stroke.size(); ++i) {
      const Point to = distort(stroke[i]);
      draw_segment(from, to, distort.thickness, canvas);
      from = to;
    }
  }
  std::array<float, kSide * kSide> specks;
  random.fill_uniform(0, specks);
  for (std::size_t i = 0; i < canvas.size(); ++i) {
    const float noise = specks[i] > 0.97f ? (specks[i] - 0.97f) * 20 : 0;
    out[i] = static_cast<std::uint8_t>(255 * std::min(1.0f, distort.ink * canvas[i] + noise));
  }
}

Array draw_all(const DigitsOptions& options) {
  require_usage(options.count > 0, "data::Digits: {} images given, a positive number expected", options.count);
  const auto glyphs = make_glyphs();
  const Array pixels = Array::empty({options.count, 1, kSide, kSide}, DType::u8);
  std::uint8_t* out = pixels.data<std::uint8_t>();
  parallel_for(options.count, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const RandomStream random(options.seed, options.test ? "digits test" : "digits", static_cast<std::uint64_t>(i),
                                0);
      draw(glyphs[static_cast<std::size_t>(i % 10)], random, out + i * kSide * kSide);
    }
  });
  return pixels;
}

Array labels_of(std::int64_t count) {
  const Array labels = Array::empty({count}, DType::u8);
  for (std::int64_t i = 0; i < count; ++i) {
    labels.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i % 10);
  }
  return labels;
}

}  // namespace

Digits::Digits(const DigitsOptions& options) : Images(draw_all(options), labels_of(options.count), options.flatten) {}

}  // namespace trireme::data

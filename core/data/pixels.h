// Bytes of pixels to f32 in [0, 1]: the conversion of image datasets.
#pragma once

#include <cstdint>

namespace trireme::data {

// out[i] = pixels[i] / 255, correctly rounded: the bits of a division in f32.
void pixels_to_floats(const std::uint8_t* pixels, std::int64_t count, float* out);

}  // namespace trireme::data

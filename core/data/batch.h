// What a loader hands to the loop body: the items of one leaf (a lane's micro-batch).
#pragma once

#include <cstdint>

#include "trireme/core/array/array.h"
#include "trireme/core/base/random.h"

namespace trireme::data {

// Dim 0 of every array counts items. The arrays are recycled: they hold these values until the loop asks for the next
// leaf, unless the program keeps a copy of an Array (which shares, and thereby keeps, the elements).
struct Batch {
  Array inputs;      // images f32 [items, ...]; text u8 or i32 [items, context]; dense features f32 [items, columns]
  Array labels;      // classes u8 [items]; text: the tokens that follow, as inputs; clicks f32 [items]
  Array categories;  // of recommenders: i64 [items, columns]; undefined elsewhere
  std::int64_t items = 0;
};

// One item of a batch, for map steps: views that are changed in place.
struct Item {
  Array inputs;  // without dim 0
  Array labels;
  Array categories;
  std::int64_t index = 0;  // within the dataset
  RandomStream random;     // of (seed, step, place in the global batch): the same for every world size
};

// Makes `array` an array of this shape and dtype with undefined contents: the same memory if nobody else holds it.
void make_room(Array& array, const Shape& shape, DType dtype);

}  // namespace trireme::data

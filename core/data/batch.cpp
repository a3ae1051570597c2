#include "trireme/core/data/batch.h"

namespace trireme::data {

void make_room(Array& array, const Shape& shape, DType dtype) {
  if (!array.is_unique() || array.dtype() != dtype || !(array.shape() == shape) || !array.is_contiguous()) {
    array = Array::empty(shape, dtype);
  }
}

}  // namespace trireme::data

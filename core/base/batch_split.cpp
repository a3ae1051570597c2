#include "trireme/core/base/batch_split.h"

#include <algorithm>

namespace trireme {
namespace {

// `total` things to `places` places as evenly as possible, first places first: how many go to `place`, and how many
// lie before it.
std::int64_t share(std::int64_t total, std::int64_t places, std::int64_t place) {
  return total / places + (place < total % places ? 1 : 0);
}
std::int64_t before(std::int64_t total, std::int64_t places, std::int64_t place) {
  return place * (total / places) + std::min(place, total % places);
}

}  // namespace

std::int64_t BatchSplit::items_of(std::int64_t leaf) const {
  return share(share(items, lanes, leaf / accumulate), accumulate, leaf % accumulate);
}

std::int64_t BatchSplit::begin_of(std::int64_t leaf) const {
  const std::int64_t lane = leaf / accumulate;
  return before(items, lanes, lane) + before(share(items, lanes, lane), accumulate, leaf % accumulate);
}

Subtree BatchSplit::leaves_of(int rank, int size) const {
  const Subtree range = lanes_of_rank(lanes, size, rank);
  return {range.begin * accumulate, range.end * accumulate};
}

std::vector<Subtree> BatchSplit::parts_of(int rank, int size) const {
  std::vector<Subtree> parts = maximal_subtrees(leaves_of(rank, size), leaves());
  std::erase_if(parts, [this](Subtree part) {
    for (std::int64_t leaf = part.begin; leaf < part.end; ++leaf) {
      if (items_of(leaf) > 0) {
        return false;
      }
    }
    return true;
  });
  return parts;
}

}  // namespace trireme

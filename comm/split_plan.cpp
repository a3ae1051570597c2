#include "trireme/comm/split_plan.h"

#include <algorithm>

namespace trireme::comm {

std::vector<int> members_of_split(Communicator& communicator, int colour, int key) {
  const Array mine = Array::from(std::vector<std::int32_t>{colour, key}, {2});
  const Array all = Array::empty({communicator.size(), 2}, DType::i32);
  communicator.all_gather(mine, all, {.name = "split"}).wait();
  const std::int32_t* pairs = all.data<std::int32_t>();
  std::vector<int> members;
  for (int rank = 0; rank < communicator.size() && colour >= 0; ++rank) {
    if (pairs[2 * rank] == colour) {
      members.push_back(rank);
    }
  }
  std::stable_sort(members.begin(), members.end(), [&](int a, int b) { return pairs[2 * a + 1] < pairs[2 * b + 1]; });
  return members;
}

}  // namespace trireme::comm

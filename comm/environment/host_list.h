// Lists of hosts and of task counts as Slurm writes them, expanded without its programs. Pure; hostile lists are
// refused before they take memory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trireme::comm {

constexpr std::size_t kMaxHosts = 65536;
constexpr std::size_t kMaxHostListBytes = 1 << 20;
constexpr std::size_t kMaxHostNameBytes = 255;

// "a[1-3,07-09],b2,c[1-2]-ib" -> a1 a2 a3 a07 a08 a09 b2 c1-ib c2-ib, in the order written, duplicates kept. A number
// has at least as many digits as the lower end of its range. Several brackets in one name: all combinations, the last
// one fastest. Raises Error saying what is wrong and where.
std::vector<std::string> expand_host_list(std::string_view list);

// "2(x3),1" -> 2 2 2 1.
std::vector<int> expand_task_counts(std::string_view list);

}  // namespace trireme::comm

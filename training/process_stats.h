// What the system knows of this process: page faults and peak memory.
#pragma once

#include <cstdint>

namespace trireme::training {

// Minor page faults of all threads since the process started.
std::int64_t minor_page_faults();

// The most memory that the process has had resident (VmHWM: unlike ru_maxrss it forgets what ran before exec). 0 where
// the system does not say.
std::int64_t peak_rss_bytes();

// Memory that the process has resident now. 0 where the system does not say.
std::int64_t resident_bytes();

// Faults and peak, cheap enough for every step: resident memory grows by page faults only, so the slow file is read
// again only when there were some.
class ProcessStats {
 public:
  struct Sample {
    std::int64_t page_faults = 0;  // since the sample before
    std::int64_t peak_rss_bytes = 0;
  };
  ProcessStats();
  Sample sample();

 private:
  std::int64_t faults_;
  std::int64_t peak_;
};

}  // namespace trireme::training

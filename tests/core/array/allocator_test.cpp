// The arena: steady state, blocks freed on other threads, statistics, impossible sizes.
#include "trireme/core/array/allocator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/core/base/physical_memory.h"

namespace trireme {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCaching = false;  // the arena steps aside, so that the sanitizer sees each block
#else
constexpr bool kCaching = true;
#endif

#define REQUIRE_CACHING()                                                     \
  if (!kCaching) {                                                            \
    GTEST_SKIP() << "AddressSanitizer: blocks come straight from the system"; \
  }

struct Block {
  explicit Block(std::size_t size) : bytes(size), data(static_cast<unsigned char*>(pool_allocate(size))) {}
  std::size_t bytes;
  unsigned char* data;
};

// One "step": the same sizes in the same order, freed in another.
void step() {
  std::vector<Block> blocks;
  for (const std::size_t bytes :
       {1ul, 64ul, 65ul, 1000ul, 1025ul, 5000ul, 32768ul, 32769ul, 100000ul, 5000000ul, 40000000ul}) {
    blocks.emplace_back(bytes);
    blocks.emplace_back(bytes);
  }
  std::swap(blocks.front(), blocks.back());
  std::swap(blocks[3], blocks[12]);
  for (const Block& block : blocks) {
    pool_free(block.data, block.bytes);
  }
}

TEST(Allocator, RepeatedStepsNeverAskTheSystemAgain) {
  REQUIRE_CACHING();
  step();
  const std::int64_t calls = memory_stats().system_calls;
  const std::int64_t reserved = memory_stats().bytes_reserved;
  for (int i = 0; i < 50; ++i) {
    step();
  }
  EXPECT_EQ(memory_stats().system_calls, calls);
  EXPECT_EQ(memory_stats().bytes_reserved, reserved);
}

TEST(Allocator, BlocksDoNotOverlapAndAreAligned) {
  std::mt19937 random(5);
  std::vector<Block> blocks;
  for (int round = 0; round < 4000; ++round) {
    if (blocks.size() < 200 && random() % 3 != 0) {
      const std::size_t bytes = random() % 4 == 0 ? random() % 200000 : random() % 3000;
      blocks.emplace_back(bytes);
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(blocks.back().data) % 64, 0u);
      std::memset(blocks.back().data, static_cast<int>(bytes % 251), bytes);
    } else if (!blocks.empty()) {
      const std::size_t i = random() % blocks.size();
      const Block block = blocks[i];
      for (std::size_t b = 0; b < block.bytes; b += 97) {
        ASSERT_EQ(block.data[b], block.bytes % 251);
      }
      pool_free(block.data, block.bytes);
      blocks[i] = blocks.back();
      blocks.pop_back();
    }
  }
  for (const Block& block : blocks) {
    pool_free(block.data, block.bytes);
  }
}

TEST(Allocator, BlocksFreedOnAnotherThreadAreUsedAgain) {
  REQUIRE_CACHING();
  const auto hand_over = [] {
    std::vector<Block> blocks;
    for (int i = 0; i < 500; ++i) {
      blocks.emplace_back(i % 2 == 0 ? 200 : 60000);
    }
    std::thread([&] {
      for (const Block& block : blocks) {
        pool_free(block.data, block.bytes);
      }
    }).join();
  };
  hand_over();
  const std::int64_t calls = memory_stats().system_calls;
  for (int i = 0; i < 20; ++i) {
    hand_over();
  }
  EXPECT_EQ(memory_stats().system_calls, calls);
}

TEST(Allocator, AProducerAndAConsumerDoNotGrowTheArena) {
  REQUIRE_CACHING();
  // Small blocks wander from one living thread to another; the consumer's surplus must come back.
  std::vector<void*> mail(1000);
  const auto round_trip = [&] {
    for (void*& block : mail) {
      block = pool_allocate(512);
    }
  };
  std::int64_t reserved = 0;
  for (int round = 0; round < 200; ++round) {
    round_trip();
    std::thread([&] {
      for (void* block : mail) {
        pool_free(block, 512);
      }
    }).join();
    if (round == 20) {
      reserved = memory_stats().bytes_reserved;
    }
  }
  EXPECT_EQ(memory_stats().bytes_reserved, reserved);
}

TEST(Allocator, StatisticsCountLargeBlocks) {
  REQUIRE_CACHING();
  const MemoryStats before = memory_stats();
  reset_memory_peak();
  void* block = pool_allocate(3 << 20);
  EXPECT_GE(memory_stats().bytes_in_use - before.bytes_in_use, 3 << 20);
  EXPECT_LT(memory_stats().bytes_in_use - before.bytes_in_use, (3 << 20) + (3 << 20) / 4);
  pool_free(block, 3 << 20);
  EXPECT_EQ(memory_stats().bytes_in_use, before.bytes_in_use);
  EXPECT_GE(memory_stats().bytes_in_use_peak - before.bytes_in_use, 3 << 20);
  reset_memory_peak();
  EXPECT_EQ(memory_stats().bytes_in_use_peak, memory_stats().bytes_in_use);
}

TEST(Allocator, CachedLargeBlocksGoBackToTheSystemWhenAsked) {
  REQUIRE_CACHING();
  pool_free(pool_allocate(9 << 20), 9 << 20);
  const std::int64_t reserved = memory_stats().bytes_reserved;
  release_cached_memory();
  EXPECT_LE(memory_stats().bytes_reserved, reserved - (9 << 20));
  step();
}

TEST(Allocator, ImpossibleSizesAreAnErrorThatSaysWhatToDo) {
  for (const std::size_t bytes : {std::size_t{1} << 60, ~std::size_t{0}, ~std::size_t{0} - 4096, ~std::size_t{0} / 2}) {
    try {
      pool_allocate(bytes);
      FAIL() << "no error for " << bytes;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("smaller batch"), std::string::npos) << error.what();
    }
  }
}

TEST(Allocator, ThreadsThatComeAndGoLeaveTheirBlocksBehind) {
  REQUIRE_CACHING();
  const auto visit = [] {
    std::thread([] {
      for (int i = 0; i < 100; ++i) {
        pool_free(pool_allocate(4000), 4000);
      }
    }).join();
  };
  visit();
  const std::int64_t calls = memory_stats().system_calls;
  for (int i = 0; i < 30; ++i) {
    visit();
  }
  EXPECT_EQ(memory_stats().system_calls, calls);
}

// A thread that took all of what others have left, and gave all of it back, would walk through a million blocks for
// each block that it wants: for minutes, until the program's time is up.
TEST(Allocator, WhatManyThreadsHaveLeftCostsLaterOnesNothing) {
  constexpr std::size_t kBytes = 64;
  constexpr std::size_t kLeft = 1'000'000;
  std::thread([] {
    std::vector<void*> blocks(kLeft);
    for (void*& block : blocks) {
      block = pool_allocate(kBytes);
    }
    for (void* block : blocks) {
      pool_free(block, kBytes);
    }
  }).join();
  std::thread([] {
    std::vector<void*> blocks;
    for (int round = 0; round < 300'000; ++round) {
      blocks.push_back(pool_allocate(kBytes));
      if (blocks.size() == 5'000) {
        for (void* block : blocks) {
          pool_free(block, kBytes);
        }
        blocks.clear();
      }
    }
    EXPECT_LT(blocks.size(), 5'000u);
    for (void* block : blocks) {
      pool_free(block, kBytes);
    }
  }).join();
}

TEST(Allocator, WhatTheMachineCanNeverHoldIsRefusedAtOnce) {
  ASSERT_GT(physical_memory(), 0);
  EXPECT_THROW(pool_allocate(static_cast<std::size_t>(physical_memory()) + (1 << 20)), Error);
}

}  // namespace
}  // namespace trireme

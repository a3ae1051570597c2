// Histories of a checkpoint directory: runs of several ranks that save steps and end without a word. The ranks' writers
// act one after the other, or in any interleaving of their calls.
#pragma once

#include <set>

#include "tests/checkpoint/state_fixture.h"
#include "tests/support/turns.h"

namespace trireme::checkpoint::test_state {

// One start of a program: `steps` are what it saves.
struct SavingRun {
  std::uint64_t id = 0;
  int keep = 2;
  std::vector<std::int64_t> steps;
};

// Rotation begins with the third save; a run that was started again replaces a step; one begins from before, and keeps
// fewer.
inline const std::vector<SavingRun> kHistory = {{1, 2, {1, 2, 3, 4}}, {2, 2, {4, 5}}, {3, 1, {3, 6, 7}}};
// Enough to rotate and to replace once; for what repeats a history for each of its calls.
inline const std::vector<SavingRun> kShortHistory = {{1, 2, {1, 2, 3}}, {2, 1, {3, 4}}};

// What a history has come to so far.
struct Told {
  std::int64_t acknowledged = -1;         // the last step of which save() of rank 0 has returned
  std::set<std::int64_t> in_flight = {};  // those begun since
  std::vector<std::string> errors = {};   // of all ranks

  bool allows(std::int64_t step) const { return step == acknowledged || in_flight.contains(step); }
};

// Sleeping passes the time at once, and the turn to another rank.
class TurnClock final : public Clock {
 public:
  explicit TurnClock(test::Turns* turns) : turns_(turns) {}
  TimePoint now() override { return TimePoint(Duration(elapsed_.load())); }
  void sleep(Duration duration) override {
    elapsed_ += duration.count();
    if (turns_ != nullptr) {
      turns_->pass();
    }
  }

 private:
  std::atomic<Duration::rep> elapsed_{0};
  test::Turns* turns_;
};

// One rank of one run. An error ends neither: the next step is tried (--on-save-error continue).
class RankOfRun {
 public:
  RankOfRun(FileSystem& files, Clock& clock, const SavingRun& run, int rank, int world_size, Told& told)
      : rank_(rank), world_size_(world_size), told_(told) {
    guarded([&] {
      WriterOptions given = options("/c", rank, world_size);
      given.run_id = run.id;
      given.keep = run.keep;
      writer_.emplace(files, clock, given);
    });
  }

  void save(std::int64_t step) {
    if (!writer_) {  // the program would not have begun
      return;
    }
    if (rank_ == 0) {
      told_.in_flight.insert(step);
    }
    guarded([&] {
      writer_->save(position(step), make_state(step, rank_, world_size_));
      if (rank_ == 0) {
        told_.acknowledged = step;
        told_.in_flight.clear();
      }
    });
  }

 private:
  template <class Body>
  void guarded(Body&& body) {
    try {
      body();
    } catch (const Error& error) {
      told_.errors.emplace_back(error.what());
    }
  }

  int rank_;
  int world_size_;
  Told& told_;
  std::optional<Writer> writer_;
};

// The committer saves last, so nobody waits.
inline void live_in_order(FileSystem& files, const SavingRun& run, int world_size, Told& told) {
  TurnClock clock(nullptr);
  std::vector<std::unique_ptr<RankOfRun>> ranks;
  for (int rank = 0; rank < world_size; ++rank) {
    ranks.push_back(std::make_unique<RankOfRun>(files, clock, run, rank, world_size, told));
  }
  for (const std::int64_t step : run.steps) {
    for (int rank = world_size - 1; rank >= 0; --rank) {
      ranks[static_cast<std::size_t>(rank)]->save(step);
    }
  }
}

// Ranks are threads that take turns at each call of `files`.
inline void live_interleaved(test::FaultFileSystem& files, const SavingRun& run, int world_size, Told& told,
                             std::uint64_t seed) {
  test::Turns turns(seed);
  TurnClock clock(&turns);
  files.before_call([&] { turns.pass(); });
  std::vector<std::function<void()>> bodies;
  for (int rank = 0; rank < world_size; ++rank) {
    bodies.emplace_back([&, rank] {
      RankOfRun mine(files, clock, run, rank, world_size, told);
      for (const std::int64_t step : run.steps) {
        mine.save(step);
      }
    });
  }
  turns.run(bodies);
  files.before_call({});
}

// What a run that starts now would find, its values checked; -1 for a fresh start.
inline std::int64_t recovered_step(FileSystem& files) {
  std::optional<Reader> reader = Reader::open_newest(files, "/c");
  if (!reader) {
    return -1;
  }
  const std::int64_t step = reader->position().step;
  const auto state = make_state(-1);
  reader->load(state);
  expect_equal(state, make_state(step));
  return step;
}

}  // namespace trireme::checkpoint::test_state

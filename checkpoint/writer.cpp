#include "trireme/checkpoint/writer.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "trireme/checkpoint/background.h"
#include "trireme/checkpoint/commit.h"
#include "trireme/checkpoint/directory_lock.h"
#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/reader.h"
#include "trireme/checkpoint/retention.h"
#include "trireme/checkpoint/snapshot.h"
#include "trireme/core/base/activity.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"

namespace trireme::checkpoint {
namespace {

// Adds the caller's time to a sum.
class Stopwatch {
 public:
  explicit Stopwatch(std::chrono::nanoseconds& sum) : sum_(sum) {}
  ~Stopwatch() { sum_ += std::chrono::steady_clock::now() - start_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  std::chrono::nanoseconds& sum_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

struct Writer::Impl {
  Impl(FileSystem& files, Clock& clock, WriterOptions given)
      : options(std::move(given)),
        context{
            files, clock, options.directory, options.run_id, options.rank, options.world_size, options.commit_timeout},
        copying(options.background),
        writing(options.background) {}

  void prepare_directory();
  void list_kept();
  bool looks_whole(const std::string& path) const;
  void wait_for_the_one_before();
  void release_tensors();
  std::string what_is_safe();
  void write(const sharding::TrainingPosition& position);
  void give_up(std::int64_t step, const std::string& reason);
  void drop_unfinished();
  void rotate();

  WriterOptions options;
  SaveContext context;
  Snapshot snapshot;
  std::unique_ptr<FileLock> lock;
  std::vector<Kept> kept;                // rank 0: what is in the directory; used by the background only
  std::vector<std::string> damaged;      // of those, found so
  std::uint64_t sequence = 0;            // of the newest save there
  std::vector<std::int64_t> unfinished;  // rank 0: steps whose save failed and may have left something
  std::atomic<std::int64_t> safe_step{-1};
  std::atomic<std::int64_t> failed_step{-1};
  std::atomic<std::int64_t> written_ns{0};
  WriteWay way;
  bool copied = true;  // the last snapshot: nobody reads the caller's tensors
  SaveStatistics statistics;
  Background copying;  // these two last: their threads use the members above
  Background writing;
};

void Writer::Impl::prepare_directory() {
  FileSystem& files = context.files;
  lock = lock_directory(files, context.clock, options.directory, options.run_id, options.lock_timeout);
  try {  // who made the directory may have died before its name was safe
    files.sync_directory(parent_path(options.directory));
  } catch (const Error& error) {  // not everybody may read the directory above
    log::warning("checkpoint directory {}: {}", options.directory, error.what());
  }
  const bool alone = options.world_size == 1;  // no other rank of this run can have begun a save yet
  clean_directory(files, options.directory, alone ? std::nullopt : std::optional(options.run_id));
  list_kept();
}

void Writer::Impl::list_kept() {
  const Survey found = survey(context.files, options.directory);
  // Without its number, an older checkpoint could later pass for newer than those that this run saves.
  require(found.unread.empty(), "checkpoint directory {}: {}. Try again, or move that checkpoint away",
          options.directory, found.unread.empty() ? "" : found.unread.front());
  kept.clear();
  for (const Candidate& candidate : found.readable) {
    kept.push_back({candidate.path, candidate.manifest.sequence, looks_whole(candidate.path)});
    sequence = std::max(sequence, candidate.manifest.sequence);
  }
}

// Sizes and headers are looked at; whole files only by the resume, which tells through set_damaged().
bool Writer::Impl::looks_whole(const std::string& path) const {
  if (std::find(damaged.begin(), damaged.end(), path) != damaged.end()) {
    return false;
  }
  try {
    Reader::open(context.files, path, Verify::when_loaded);
    return true;
  } catch (const Error& error) {
    log::warning("checkpoint {} does not count among the {} that stay: {}", path, options.keep, error.what());
    return false;
  }
}

void Writer::Impl::write(const sharding::TrainingPosition& position) {
  const Clock::TimePoint start = context.clock.now();
  try {
    store_shard(context, position.step, snapshot, way);
    if (context.rank == 0) {
      commit(context, position, ++sequence);  // a number serves once: what failed late may be there nevertheless
    }
  } catch (const std::exception& error) {
    failed_step = position.step;
    give_up(position.step, error.what());
    throw;
  }
  if (context.rank == 0) {
    const std::string path = join_path(options.directory, committed_name(position.step));
    std::erase_if(kept, [&](const Kept& other) { return other.name == path; });
    kept.push_back({path, sequence});
  }
  safe_step = position.step;
  written_ns = (context.clock.now() - start).count();
  if (context.rank == 0) {
    rotate();
  }
}

// The parts of this step stay, for another try may go on with those of other ranks; those of earlier steps only cost
// space.
void Writer::Impl::give_up(std::int64_t step, const std::string& reason) {
  if (context.rank != 0) {
    store_failure(context, step, reason);
    return;
  }
  std::erase(unfinished, step);
  try {
    drop_unfinished();
  } catch (const Error& error) {
    log::warning("an unfinished checkpoint stays: {}", error.what());
  }
  unfinished.push_back(step);
}

void Writer::Impl::drop_unfinished() {
  for (; !unfinished.empty(); unfinished.pop_back()) {
    const std::string path = staging_path(context, unfinished.back());
    if (context.files.status(path)) {
      delete_checkpoint(context.files, path, "");
    }
  }
}

// The new checkpoint is safe by now, so trouble with an old one is no failure of the save.
void Writer::Impl::rotate() {
  FileSystem& files = context.files;
  const std::string recycled = options.recycle ? recycled_path(context) : "";
  try {
    if (!unfinished.empty()) {  // one that failed late may stand among the others
      drop_unfinished();
      list_kept();
    }
    if (options.recycle) {
      files.make_directory(recycled);
    }
    const std::string aside = join_path(options.directory, replaced_name(safe_step));
    if (files.status(aside)) {
      delete_checkpoint(files, aside, recycled);
    }
    for (const std::string& path : plan_retention(kept, options.keep)) {
      if (files.status(path)) {
        delete_checkpoint(files, path, recycled);
      }
      std::erase_if(kept, [&](const Kept& other) { return other.name == path; });
    }
  } catch (const Error& error) {
    log::warning("an old checkpoint stays: {}", error.what());
  }
}

Writer::Writer(FileSystem& files, Clock& clock, WriterOptions options)
    : impl_(std::make_unique<Impl>(files, clock, std::move(options))) {
  const WriterOptions& given = impl_->options;
  require(!given.directory.empty(), "checkpoint: no directory given; set --checkpoint-dir");
  require(given.keep >= 1, "checkpoint: keep {} given, at least 1 expected", given.keep);
  require(given.rank >= 0 && given.rank < given.world_size, "checkpoint: rank {} of {} given", given.rank,
          given.world_size);
  make_directories(files, given.directory);
  if (given.rank == 0) {
    impl_->prepare_directory();
  }
}

Writer::~Writer() {
  impl_->context.leaving = true;
  impl_->writing.wait_idle();
  if (const std::optional<std::string> failure = impl_->writing.take_failure()) {
    log::error("the last checkpoint was not saved: {}", *failure);
  }
}

void Writer::set_damaged(std::vector<std::string> paths) {
  for (Kept& one : impl_->kept) {
    one.whole = one.whole && std::find(paths.begin(), paths.end(), one.name) == paths.end();
  }
  impl_->damaged = std::move(paths);
}

void Writer::save(const sharding::TrainingPosition& position, std::span<const sharding::StateTensor> tensors) {
  const PhaseScope saving(Phase::saving_checkpoint);
  Impl& impl = *impl_;
  impl.wait_for_the_one_before();
  poll();
  require(position.step >= 0, "checkpoint: step {} given, 0 or more expected", position.step);
  if (impl.safe_step == position.step) {
    return;
  }
  const Stopwatch stall(impl.statistics.stall_total);
  impl.snapshot.plan(tensors, position.step, impl.options.rank, impl.options.world_size);
  impl.snapshot.begin(tensors);
  impl.copied = false;
  const auto write = [&impl, position] { impl.write(position); };
  const auto copy = [&impl] { impl.snapshot.copy(); };
  if (impl.options.background) {  // the one that writes follows close behind the one that copies
    impl.writing.start(write);
    impl.copying.start(copy);
  } else {
    impl.copying.start(copy);
    impl.writing.start(write);
  }
  SaveStatistics& statistics = impl.statistics;
  ++statistics.saves;
  statistics.bytes = impl.snapshot.file_bytes();
  statistics.memory_bytes = impl.snapshot.memory_bytes();
  if (!impl.options.background) {
    wait_copied();
    poll();
  }
}

void Writer::Impl::wait_for_the_one_before() {
  if (writing.busy()) {
    const Stopwatch stall(statistics.stall_total);
    const Stopwatch waiting(statistics.waited_total);
    ++statistics.waits;
    writing.wait_idle();
  }
  release_tensors();
}

void Writer::Impl::release_tensors() {
  snapshot.wait_copied();
  copying.wait_idle();
  copied = true;
}

void Writer::wait_copied() {
  Impl& impl = *impl_;
  if (!impl.copied) {
    const PhaseScope saving(Phase::saving_checkpoint);
    const Stopwatch stall(impl.statistics.stall_total);
    impl.release_tensors();
  }
}

void Writer::poll() {
  if (const std::optional<std::string> failure = impl_->writing.take_failure()) {
    fail("saving the checkpoint of step {} failed on rank {}: {}. {}", impl_->failed_step.load(), impl_->options.rank,
         *failure, impl_->what_is_safe());
  }
}

// Rank 0 knows what it has committed; everybody else, and a run that has saved nothing yet, looks at the directory.
std::string Writer::Impl::what_is_safe() {
  if (options.rank == 0 && safe_step >= 0) {
    return fmt::format("The one of step {} is safe", safe_step.load());
  }
  try {
    for (const Candidate& candidate : survey(context.files, options.directory).readable) {
      if (candidate.manifest.position.step != failed_step) {
        return fmt::format("The one of step {} is safe", candidate.manifest.position.step);
      }
    }
  } catch (const Error&) {  // the disk is in trouble, as the failure says
    return "What is there could not be read now";
  }
  return "There is none yet";
}

void Writer::wait() {
  const PhaseScope saving(Phase::saving_checkpoint);
  {
    const Stopwatch stall(impl_->statistics.stall_total);
    impl_->writing.wait_idle();
    impl_->release_tensors();
  }
  poll();
}

std::int64_t Writer::last_safe_step() const { return impl_->safe_step; }

SaveStatistics Writer::statistics() const {
  SaveStatistics statistics = impl_->statistics;
  statistics.written = std::chrono::nanoseconds(impl_->written_ns.load());
  return statistics;
}

}  // namespace trireme::checkpoint

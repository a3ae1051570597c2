#include "trireme/training/checkpointing.h"

#include <cstdlib>
#include <cstring>
#include <random>

#include "trireme/cluster/worker_status.h"
#include "trireme/core/base/log.h"

namespace trireme::training {
namespace {

// Rank 0's text on every rank.
std::string broadcast_text(comm::Communicator& ranks, const std::string& text) {
  if (ranks.size() == 1) {
    return text;
  }
  const Array length = ranks.allocate({1}, DType::i64);
  *length.data<std::int64_t>() = static_cast<std::int64_t>(text.size());
  ranks.broadcast(length, 0, {.name = "length of the checkpoint's path"}).wait();
  const std::int64_t bytes = *length.data<std::int64_t>();
  if (bytes == 0) {
    return "";
  }
  const Array letters = ranks.allocate({bytes}, DType::u8);
  if (ranks.rank() == 0) {
    std::memcpy(letters.bytes_data(), text.data(), text.size());
  }
  ranks.broadcast(letters, 0, {.name = "the checkpoint's path"}).wait();
  return {reinterpret_cast<const char*>(letters.bytes_data()), static_cast<std::size_t>(bytes)};
}

bool on_any_rank(comm::Communicator& ranks, bool here) {
  if (ranks.size() == 1) {
    return here;
  }
  const Array flag = ranks.allocate({1}, DType::i64);
  *flag.data<std::int64_t>() = here ? 1 : 0;
  ranks.all_reduce(flag, comm::ReduceOp::max, {.name = "whether a checkpoint is damaged"}).wait();
  return *flag.data<std::int64_t>() != 0;
}

// What the call raised; empty if nothing.
template <class Call>
std::string error_of(Call&& call) {
  try {
    call();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::uint64_t agree_on_run_id(comm::Communicator& ranks) {
  const Array id = ranks.allocate({1}, DType::i64);
  std::random_device random;
  *id.data<std::int64_t>() = static_cast<std::int64_t>((std::uint64_t{random()} << 32 | random()) >> 1);
  ranks.broadcast(id, 0, {.name = "the run's number"}).wait();
  return static_cast<std::uint64_t>(*id.data<std::int64_t>());
}

}  // namespace

Checkpointing::Checkpointing(const CheckpointOptions& options, strategies::Strategy& strategy,
                             optim::Optimizer& optimizer)
    : options_(options),
      strategy_(strategy),
      optimizer_(optimizer),
      files_(std::getenv(cluster::kInjectVariable) != nullptr) {
  const bool from_path = options.resume != "auto" && options.resume != "none";
  require_usage(strategy.state_is_whole() || (!enabled() && !from_path),
                "checkpoints of strategy {} are not built in this version; leave --checkpoint-dir and --resume out",
                strategy.name());
  if (cluster::restart_count_from_environment() > 0 && enabled()) {
    options_.resume = "auto";
  }
}

Checkpointing::~Checkpointing() { optimizer_.set_before_update({}); }

std::string Checkpointing::choose_on_first_rank(std::span<const checkpoint::Damage> known) {
  using checkpoint::Reader;
  if (options_.resume == "none") {
    return "";
  }
  if (options_.resume != "auto") {
    return Reader::open_path(files_, options_.resume, checkpoint::Verify::when_loaded, known).path();
  }
  if (!enabled()) {
    return "";
  }
  const auto newest = Reader::open_newest(files_, options_.directory, checkpoint::Verify::when_loaded, known);
  if (!newest) {
    return "";
  }
  writer_->set_damaged(newest->damaged());
  return newest->path();
}

std::string Checkpointing::choose(std::span<const checkpoint::Damage> known) {
  comm::Communicator& ranks = strategy_.communicator();
  return broadcast_text(ranks, ranks.rank() == 0 ? choose_on_first_rank(known) : std::string());
}

std::optional<sharding::TrainingPosition> Checkpointing::resume(const sharding::TrainingPosition& wanted) {
  open_writer();
  std::optional<sharding::TrainingPosition> position;
  std::vector<checkpoint::Damage> known;
  std::string path;
  while (!position && !(path = choose(known)).empty()) {
    position = load(path, wanted, known);
  }
  if (position) {
    strategy_.state_written();
    optimizer_.set_steps(position->optimizer_steps);
    if (strategy_.communicator().rank() == 0) {
      log::info("going on after {} steps from {}", position->step, path);
    }
  }
  return position;
}

// Every byte is read once, by the rank that wants it. A checkpoint in which any rank meets damage is none for all.
std::optional<sharding::TrainingPosition> Checkpointing::load(const std::string& path,
                                                              const sharding::TrainingPosition& wanted,
                                                              std::vector<checkpoint::Damage>& known) {
  const std::vector<sharding::StateTensor> state = strategy_.state();
  std::optional<checkpoint::Reader> reader;
  const auto attempt = [&] {
    reader.reset();
    const std::string damage =
        error_of([&] { reader.emplace(checkpoint::Reader::open(files_, path, checkpoint::Verify::when_loaded)); });
    if (!reader) {
      return damage;
    }
    require_same_run(reader->position(), wanted, path);
    reader->require_fits(state);
    return error_of([&] { reader->load(state); });
  };
  std::string damage = attempt();
  if (!damage.empty()) {  // a disk or a network may fail once: better a second look than an older checkpoint
    damage = attempt();
  }
  comm::Communicator& ranks = strategy_.communicator();
  if (!on_any_rank(ranks, !damage.empty())) {
    return reader->position();
  }
  if (damage.empty()) {
    damage = path + ": another rank could not read its part; its log says why";
  } else if (ranks.rank() != 0) {
    log::warning("checkpoint skipped: {}", damage);
  }
  known.push_back({path, damage});
  return std::nullopt;
}

void Checkpointing::open_writer() {
  if (!enabled()) {
    return;
  }
  comm::Communicator& ranks = strategy_.communicator();
  writer_ = std::make_unique<checkpoint::Writer>(files_, clock_,
                                                 checkpoint::WriterOptions{.directory = options_.directory,
                                                                           .rank = ranks.rank(),
                                                                           .world_size = ranks.size(),
                                                                           .run_id = agree_on_run_id(ranks),
                                                                           .keep = static_cast<int>(options_.keep)});
  optimizer_.set_before_update([this] { writer_->wait_copied(); });
}

void require_same_run(const sharding::TrainingPosition& saved, const sharding::TrainingPosition& wanted,
                      const std::string& path) {
  const auto same = [&](const char* option, auto before, auto now) {
    require_usage(before == now,
                  "--resume: {} was saved with {} {}, {} given; use {} {}, or --resume none to begin anew", path,
                  option, before, now, option, before);
  };
  same("--lanes", saved.lanes, wanted.lanes);
  same("--accumulate", saved.accumulate, wanted.accumulate);
  same("--global-batch", saved.global_batch, wanted.global_batch);
  same("--seed", saved.seed, wanted.seed);
  for (const auto& [name, value] : wanted.extra) {
    const auto found = saved.extra.find(name);
    if (found != saved.extra.end()) {
      same(name.c_str(), found->second, value);
    }
  }
}

// Runs `call`; a failure of the file system is an error or a warning, as the options say.
template <class Call>
bool Checkpointing::guarded(Call&& call) {
  if (options_.stop_on_error) {
    call();
    return true;
  }
  try {
    call();
    return true;
  } catch (const comm::CommError&) {
    throw;
  } catch (const Error& error) {
    log::warning("checkpoint not saved, going on (--on-save-error continue): {}", error.what());
    return false;
  }
}

void Checkpointing::save(const sharding::TrainingPosition& position) {
  const auto save = [&] { writer_->save(position, strategy_.state()); };
  if (!guarded(save)) {  // that was the failure of the one before, which is no reason to leave this one out
    guarded(save);
  }
}

void Checkpointing::check() {
  if (writer_) {
    guarded([this] { writer_->poll(); });
  }
}

void Checkpointing::fill_disk() {
  files_.fill();
  if (!enabled()) {
    log::warning("a full disk is rehearsed, but without --checkpoint-dir nothing is written to it");
  }
}

checkpoint::SaveStatistics Checkpointing::statistics() const {
  return writer_ ? writer_->statistics() : checkpoint::SaveStatistics{};
}

std::int64_t Checkpointing::last_safe_step() const { return writer_ ? writer_->last_safe_step() : -1; }

bool Checkpointing::finish() {
  return !writer_ || guarded([this] { writer_->wait(); });
}

}  // namespace trireme::training

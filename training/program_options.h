// The options that every training program accepts, as plain values (docs/architecture.md; `--help` lists them).
// Reading them from a command line is option_parser.h; turning them into a world and a run is program.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace trireme::training {

// Defaults that differ between programs are set by the program before parsing.
struct ProgramOptions {
  // How ranks work together.
  std::string strategy = "mirrored";
  std::string backend = "auto";
  std::string reduce_order = "canonical";
  std::int64_t ranks = 1;  // with backend local: ranks as threads of this process
  std::int64_t lanes = 0;  // 0: as many as the largest world that the start allows
  std::int64_t accumulate = 1;
  double timeout_seconds = 60;  // deadline of every collective
  std::string interface = {};   // of the network, for hosts that have several
  std::string device = "auto";
  std::string precision = "f32";
  std::int64_t threads = 1;  // of each rank
  bool activation_checkpointing = false;

  // Of strategy fully_sharded.
  std::int64_t zero_stage = 3;
  std::string reshard_after_forward = "true";  // true, false, or a number of ranks
  std::int64_t shard_group = 0;                // 0: all ranks
  bool cpu_offload = false;
  std::string param_dtype = {};  // empty: see compute_dtype()
  std::string reduce_dtype = "f32";

  // Of strategy parameter_server.
  std::int64_t servers = 0;
  std::string consistency = "sync";
  std::int64_t staleness = 3;        // of ssp
  std::string tls_certificate = {};  // PEM files: TlsFiles of wire.h
  std::string tls_key = {};
  std::string tls_authority = {};
  std::string partitioner = {};  // empty: see ParameterServerOptions; else parse_partitioner()

  // What is trained on, and for how long.
  std::vector<std::string> data = {};
  std::optional<std::int64_t> steps = {};  // total since the first start
  std::optional<std::int64_t> epochs = {};
  std::int64_t global_batch = 12;
  std::uint64_t seed = 0;
  std::string order = "shuffled";
  std::chrono::seconds time_limit{0};  // 0: none

  // The optimizer.
  double lr = 1e-3;
  std::string lr_schedule = "constant";
  std::int64_t warmup_steps = 0;
  double weight_decay = 0;
  double clip_norm = 0;  // 0: off

  // What is kept.
  std::string checkpoint_dir = {};
  std::int64_t save_every = 0;  // steps; 0: only at the end and when asked to stop
  std::int64_t keep = 3;
  std::string resume = "auto";
  std::string on_save_error = "stop";
  std::string init = {};
  std::string export_file = {};

  // What is shown.
  std::string metrics = {};
  std::string progress = "auto";

  const std::string& compute_dtype() const { return param_dtype.empty() ? precision : param_dtype; }
  std::int64_t lanes_or(std::int64_t default_lanes) const { return lanes > 0 ? lanes : default_lanes; }
};

// Raises a usage Error for values that cannot be honoured whatever the world is: files that cannot be written, ranks
// without the local backend, a GPU that is not there. Run once before anything is started.
void check_options(const ProgramOptions& options);

// "true", "false" or a number of ranks. Raises a usage Error for anything else.
std::variant<bool, int> parse_reshard_after_forward(const std::string& text);

// "fixed:4", "min_size:65536", "max_size:1048576": the rule and its number of pieces or bytes. Nothing for an empty
// text. Raises a usage Error for anything else.
std::optional<std::pair<std::string, std::int64_t>> parse_partitioner(const std::string& text);

// Raises a usage Error unless the batch can be cut for this world: lanes >= ranks, global batch a multiple of
// lanes * accumulate.
void check_batch_split(const ProgramOptions& options, std::int64_t world_size, std::int64_t default_lanes);

// "90", "90s", "15m", "2h30m", "01:30:00" -> seconds. Raises a usage Error for anything else.
std::chrono::seconds parse_duration(const std::string& text);

}  // namespace trireme::training

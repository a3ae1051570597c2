#include "trireme/training/option_parser.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <limits>

#include "trireme/core/base/error.h"
#include "trireme/training/help_formatter-inl.h"
#include "trireme/training/later_options.h"
#include "trireme/training/option_values-inl.h"
#include "trireme/training/word_distance.h"

namespace trireme::training {

struct OptionParser::Impl {
  Impl(std::string_view program, std::string_view purpose, ProgramOptions& values)
      : app(std::string(purpose), std::string(program)), common(values) {
    app.formatter(std::make_shared<HelpFormatter>());
    app.allow_config_extras(false);
    app.set_help_flag();  // comes back at the end of the list
  }

  // Behind the program's own options, which --help shows first.
  void add_common() {
    add_data();
    add_optimizer();
    add_ranks();
    add_sharding();
    add_servers();
    add_certificates();
    add_checkpoints();
    add_output();
    app.set_config("--config", "", "read options from FILE: one `name = value` a line, the same words as here")
        ->type_name("FILE")
        ->group("General");
    app.set_help_flag("-h,--help", "show this and exit")->group("General");
    app.set_version_flag("--version", "trireme 0.1.0", "show the version and exit")->group("General");
    for (const LaterOption& option : later_options()) {
      add_later(option);
    }
  }

  CLI::Option* whole(const char* group, const char* name, std::int64_t& target, std::int64_t least, const char* help) {
    return scalar(app.add_option(name, target, help))->group(group)->type_name("N")->check(at_least(least));
  }
  CLI::Option* whole(const char* group, const char* name, std::optional<std::int64_t>& target, const char* help) {
    const std::string shown = target ? std::to_string(*target) : "";
    return app.add_option(name, target, help)
        ->take_last()
        ->default_str(shown)
        ->group(group)
        ->type_name("N")
        ->check(at_least(std::int64_t{0}));
  }
  CLI::Option* real(const char* group, const char* name, double& target, const char* help) {
    return scalar(app.add_option(name, target, help))->group(group)->type_name("X")->check(real_at_least(0));
  }
  CLI::Option* word(const char* group, const char* name, std::string& target, std::vector<std::string> words,
                    const char* help) {
    return choice(scalar(app.add_option(name, target, help))->group(group), words);
  }
  CLI::Option* text(const char* group, const char* name, std::string& target, const char* type, const char* help) {
    return scalar(app.add_option(name, target, help))->group(group)->type_name(type);
  }

  void add_data() {
    const char* group = "Data and length";
    app.add_option("--data", common.data, "files or directories; without it the program brings its own")
        ->group(group)
        ->type_name("PATH")
        ->expected(1, std::numeric_limits<int>::max() / 2)
        ->take_all();
    CLI::Option* steps = whole(group, "--steps", common.steps, "steps in all, those before a resume included");
    whole(group, "--epochs", common.epochs, "passes over the data, instead of --steps")->excludes(steps);
    whole(group, "--global-batch", common.global_batch, 1, "samples of one step, over all ranks");
    whole(group, "--accumulate", common.accumulate, 1, "micro-batches into which each lane's share is cut");
    scalar(app.add_option("--seed", common.seed, "initial values, order of the data, dropout"))
        ->group(group)
        ->type_name("S")
        ->check(at_least(std::uint64_t{0}));
    word(group, "--order", common.order, {"shuffled", "sequential"}, "order of the samples");
    app.add_option_function<std::string>(
           "--time-limit", [this](const std::string& given) { common.time_limit = parse_duration(given); },
           "stop after so long (90s, 15m, 2h30m): save and exit 75 with --checkpoint-dir, else end normally")
        ->take_last()
        ->group(group)
        ->type_name("DURATION");
  }

  void add_optimizer() {
    const char* group = "Optimizer";
    real(group, "--lr", common.lr, "learning rate");
    word(group, "--lr-schedule", common.lr_schedule, {"constant", "cosine"}, "after the warm-up");
    whole(group, "--warmup-steps", common.warmup_steps, 0, "steps of linear growth from 0 to --lr");
    real(group, "--weight-decay", common.weight_decay, "decoupled, on tensors of two or more dims");
    real(group, "--clip-norm", common.clip_norm, "largest global norm of the gradient; 0: off");
  }

  void add_ranks() {
    const char* group = "Ranks and machine";
    word(group, "--strategy", common.strategy, {"mirrored", "fully_sharded", "parameter_server"},
         "when ranks communicate");
    word(group, "--backend", common.backend, {"auto", "local", "shm", "gloo", "mpi", "hierarchical", "nccl"},
         "what carries the bytes; auto: shared memory on one host, over several hosts that and Gloo or MPI");
    whole(group, "--ranks", common.ranks, 1, "with --backend local: ranks as threads of this process");
    whole(group, "--lanes", common.lanes, 0,
          "logical workers: results have the same bits for any number of ranks and one number of lanes; 0: as many as "
          "ranks");
    word(group, "--reduce-order", common.reduce_order, {"canonical", "fast"},
         "canonical: the same bits on every world size and backend; fast: gradients added as the backend likes");
    word(group, "--device", common.device, {"auto", "cpu", "cuda"}, "where arrays live");
    word(group, "--precision", common.precision, {"f32", "bf16"}, "of parameters and arithmetic");
    whole(group, "--threads", common.threads, 1, "threads of each rank; the bits do not depend on it");
    app.add_flag("--activation-checkpointing", common.activation_checkpointing,
                 "blocks keep their input only and run again in backward: less memory, more time, the same bits")
        ->group(group);
    real(group, "--timeout", common.timeout_seconds, "deadline of the start and of every collective, seconds");
    text(group, "--interface", common.interface, "NAME",
         "network interface whose address other hosts use (lo, eth0, ...); without it the system chooses");
  }

  void add_sharding() {
    const char* group = "Sharding (--strategy fully_sharded)";
    const auto belongs = [this](CLI::Option* option) { sharding_options.push_back(option); };
    belongs(app.add_option("--zero-stage", common.zero_stage,
                           "what is spread over ranks: 1 optimizer state, 2 gradients too, 3 parameters too")
                ->take_last()
                ->default_str("3")
                ->group(group)
                ->type_name("1|2|3")
                ->check(at_least(1)));
    belongs(
        text(group, "--reshard-after-forward", common.reshard_after_forward, "true|false|N",
             "stage 3 without shared memory: between its forward and backward a block's parameters go, stay, or are "
             "spread over N ranks"));
    belongs(whole(group, "--shard-group", common.shard_group, 0,
                  "ranks among which rows are spread, copied across groups; 0: all"));
    word(group, "--param-dtype", common.param_dtype, {"f32", "bf16"},
         "of what forward and backward read; the optimizer's values are f32; without it as --precision");
    belongs(word(group, "--reduce-dtype", common.reduce_dtype, {"f32", "bf16"},
                 "to which each lane's gradient is rounded before gradients are added, in f32"));
    CLI::Option* offload = app.add_flag("--cpu-offload", common.cpu_offload,
                                        "the optimizer's values and state lie in the host's memory, apart from the "
                                        "device's");
    belongs(offload->group(group));
  }

  void add_servers() {
    const char* group = "Parameter servers (--strategy parameter_server)";
    server_options.push_back(
        whole(group, "--servers", common.servers, 0,
              "how many of the processes that mpirun or srun has started are servers, the last ones; `trireme run "
              "--servers` tells by itself; with --backend local: threads beside --ranks"));
    server_options.push_back(
        word(group, "--consistency", common.consistency, {"sync", "ssp", "async"},
             "sync: mirrored's bits; ssp: no worker is more than --staleness steps ahead; async: no bound"));
    server_options.push_back(whole(group, "--staleness", common.staleness, 0, "of --consistency ssp, in steps"));
    server_options.push_back(
        text(group, "--partitioner", common.partitioner, "fixed:N|min_size:BYTES|max_size:BYTES",
             "into how many pieces variables are cut; without it of at least 256 KiB, at most one a server"));
  }

  void add_certificates() {
    const char* group = "Parameter servers (--strategy parameter_server)";
    const auto file = [&](const char* name, std::string& target, const char* help) {
      server_options.push_back(text(group, name, target, "FILE", help));
    };
    file("--tls-certificate", common.tls_certificate, "PEM; with it and the other two gRPC is encrypted");
    file("--tls-key", common.tls_key, "PEM; the certificate's private key");
    file("--tls-authority", common.tls_authority, "PEM; who has signed the certificates of all workers and servers");
  }

  void check_sharding() const {
    for (const CLI::Option* option : server_options) {
      require_usage(option->count() == 0 || common.strategy == "parameter_server",
                    "{} given with --strategy {}: it belongs to --strategy parameter_server; use that, or leave it out",
                    option->get_name(), common.strategy);
    }
    require_usage(app.count("--staleness") == 0 || common.consistency == "ssp",
                  "--staleness given with --consistency {}: it belongs to --consistency ssp; use that, or leave it out",
                  common.consistency);
    for (const CLI::Option* option : sharding_options) {
      const bool usual = option->count() > 0 && option->results().back() == "f32";
      require_usage(option->count() == 0 || usual || common.strategy == "fully_sharded",
                    "{} given with --strategy {}: it belongs to --strategy fully_sharded; use that, or leave it out",
                    option->get_name(), common.strategy);
    }
  }

  void add_checkpoints() {
    const char* group = "Checkpoints and files";
    text(group, "--checkpoint-dir", common.checkpoint_dir, "DIR", "where checkpoints are written and found");
    whole(group, "--save-every", common.save_every, 0,
          "steps between checkpoints; 0: only at the end or when told to stop");
    whole(group, "--keep", common.keep, 1, "how many checkpoints are kept");
    text(group, "--resume", common.resume, "auto|none|PATH",
         "auto: the newest complete checkpoint of --checkpoint-dir, if any");
    word(group, "--on-save-error", common.on_save_error, {"stop", "continue"}, "when a checkpoint cannot be written");
    text(group, "--init", common.init, "PATH",
         "begin with the parameters of this safetensors file, directory or checkpoint");
    text(group, "--export", common.export_file, "FILE", "write the whole model at the end, as safetensors");
  }

  void add_output() {
    const char* group = "Output";
    text(group, "--metrics", common.metrics, "FILE", "one JSON object a line and step");
    word(group, "--progress", common.progress, {"auto", "bar", "log", "off"},
         "auto: a bar on a terminal, else log lines");
  }

  // Parsed so that the message can say what is missing, and kept out of --help: it lists what works.
  void add_later(const LaterOption& later) {
    CLI::Option* option =
        later.is_flag ? app.add_flag_function(later.name, [](std::int64_t) {})
                      : app.add_option_function<std::vector<std::string>>(later.name, [](const auto&) {})->expected(1);
    option->group("");
    later_given.emplace_back(option, &later);
  }

  void check_later() const {
    for (const auto& [option, later] : later_given) {
      const bool harmless =
          option->count() > 0 && !later->is_flag &&
          std::find(later->harmless.begin(), later->harmless.end(), option->results().back()) != later->harmless.end();
      if (option->count() > 0 && !harmless) {
        fail_usage("{}: not built in this version ({}); leave it out", later->name, later->needs);
      }
    }
  }

  CLI::App app;
  ProgramOptions& common;
  std::vector<const CLI::Option*> sharding_options;
  std::vector<const CLI::Option*> server_options;
  std::vector<std::pair<CLI::Option*, const LaterOption*>> later_given;
};

OptionParser::OptionParser(std::string_view program, std::string_view purpose, ProgramOptions& common)
    : impl_(std::make_unique<Impl>(program, purpose, common)) {}
OptionParser::~OptionParser() = default;

void OptionParser::add(std::string_view name, std::int64_t& target, std::string_view help, std::int64_t least) {
  impl_->whole("Model and program", std::string(name).c_str(), target, least, std::string(help).c_str());
}
void OptionParser::add(std::string_view name, double& target, std::string_view help) {
  impl_->real("Model and program", std::string(name).c_str(), target, std::string(help).c_str());
}
void OptionParser::add(std::string_view name, std::string& target, std::string_view help,
                       std::vector<std::string> choices) {
  CLI::Option* option =
      impl_->text("Model and program", std::string(name).c_str(), target, "TEXT", std::string(help).c_str());
  if (!choices.empty()) {
    choice(option, choices);
  }
}
void OptionParser::add_flag(std::string_view name, bool& target, std::string_view help) {
  impl_->app.add_flag(std::string(name), target, std::string(help))->group("Model and program");
}
void OptionParser::set_examples(std::string_view text) { impl_->app.footer(std::string(text)); }

bool OptionParser::parse(int argc, const char* const* argv) {
  CLI::App& app = impl_->app;
  impl_->add_common();
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return false;
  } catch (const CLI::CallForVersion& version) {
    std::puts(version.what());
    return false;
  } catch (const CLI::ExtrasError&) {
    // Raised for the command line and for a --config file; in both the first unknown word is what matters.
    std::vector<std::string> extras = app.remaining();
    const std::string unknown = extras.empty() ? std::string("an unknown word") : extras.front();
    std::vector<std::string> known;
    for (const CLI::Option* option : app.get_options([](CLI::Option* o) { return !o->get_group().empty(); })) {
      known.push_back(option->get_name());
    }
    fail_usage("unknown option '{}'{}; see {} --help", unknown, did_you_mean(unknown, known), app.get_name());
  } catch (const CLI::ConfigError& error) {
    fail_usage("--config {}: {} (an unknown word?); see {} --help", app.get_config_ptr()->as<std::string>(),
               error.what(), app.get_name());
  } catch (const CLI::ParseError& error) {
    fail_usage("{}; see {} --help", error.what(), app.get_name());
  }
  // A program's default length gives way to the one that was asked for.
  if (app.count("--epochs") > 0) {
    impl_->common.steps.reset();
  } else if (app.count("--steps") > 0) {
    impl_->common.epochs.reset();
  }
  impl_->check_later();
  impl_->check_sharding();
  check_options(impl_->common);
  return true;
}

}  // namespace trireme::training

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <sstream>

#include "tests/support/temp_dir.h"
#include "trireme/core/base/error.h"
#include "trireme/training/later_options.h"
#include "trireme/training/option_parser.h"
#include "trireme/training/word_distance.h"

namespace trireme::training {
namespace {

struct Parsed {
  ProgramOptions options;
  std::int64_t layers = 4;
  std::string model = "mlp";
  bool go_on = true;
};

Parsed parse(std::vector<const char*> words, ProgramOptions defaults = {}) {
  Parsed parsed;
  parsed.options = std::move(defaults);
  OptionParser parser("train_test", "Trains nothing.", parsed.options);
  parser.add("--layers", parsed.layers, "blocks");
  parser.add("--model", parsed.model, "kind of model", {"mlp", "resnet"});
  words.insert(words.begin(), "train_test");
  parsed.go_on = parser.parse(static_cast<int>(words.size()), words.data());
  return parsed;
}

// The message of the usage error that the words give.
std::string complaint(std::vector<const char*> words) {
  try {
    parse(std::move(words));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(Options, DefaultsAreThoseOfTheProgram) {
  const Parsed parsed = parse({}, {.global_batch = 64, .lr = 0.25});
  EXPECT_EQ(parsed.options.global_batch, 64);
  EXPECT_EQ(parsed.options.lr, 0.25);
  EXPECT_FALSE(parsed.options.steps.has_value());
  EXPECT_EQ(parsed.layers, 4);
}

TEST(Options, EveryCommonWordOfTheContractIsRead) {
  const Parsed parsed = parse({"--strategy",
                               "mirrored",
                               "--backend",
                               "local",
                               "--ranks",
                               "3",
                               "--device",
                               "cpu",
                               "--precision",
                               "f32",
                               "--threads",
                               "2",
                               "--activation-checkpointing",
                               "--reduce-order",
                               "fast",
                               "--data",
                               "a",
                               "b",
                               "--steps",
                               "7",
                               "--global-batch",
                               "24",
                               "--lanes",
                               "12",
                               "--accumulate",
                               "2",
                               "--seed",
                               "18446744073709551615",
                               "--order",
                               "sequential",
                               "--lr",
                               "3e-4",
                               "--lr-schedule",
                               "cosine",
                               "--warmup-steps",
                               "5",
                               "--weight-decay",
                               "0.1",
                               "--clip-norm",
                               "0",
                               "--checkpoint-dir",
                               "no-such-dir",
                               "--save-every",
                               "3",
                               "--keep",
                               "2",
                               "--resume",
                               "none",
                               "--on-save-error",
                               "continue",
                               "--init",
                               "i",
                               "--export",
                               "e.safetensors",
                               "--metrics",
                               "m.jsonl",
                               "--progress",
                               "off",
                               "--timeout",
                               "1.5",
                               "--time-limit",
                               "2m",
                               "--layers",
                               "6",
                               "--model",
                               "resnet",
                               "--buddy",
                               "auto",
                               "--param-dtype",
                               "f32"});
  const ProgramOptions& o = parsed.options;
  EXPECT_EQ(o.backend, "local");
  EXPECT_EQ(o.ranks, 3);
  EXPECT_EQ(o.threads, 2);
  EXPECT_TRUE(o.activation_checkpointing);
  EXPECT_EQ(o.reduce_order, "fast");
  EXPECT_EQ(o.data, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(o.steps, 7);
  EXPECT_EQ(o.global_batch, 24);
  EXPECT_EQ(o.lanes, 12);
  EXPECT_EQ(o.accumulate, 2);
  EXPECT_EQ(o.seed, 18446744073709551615ull);
  EXPECT_EQ(o.order, "sequential");
  EXPECT_EQ(o.lr, 3e-4);
  EXPECT_EQ(o.lr_schedule, "cosine");
  EXPECT_EQ(o.warmup_steps, 5);
  EXPECT_EQ(o.weight_decay, 0.1);
  EXPECT_EQ(o.clip_norm, 0);
  EXPECT_EQ(o.save_every, 3);
  EXPECT_EQ(o.keep, 2);
  EXPECT_EQ(o.resume, "none");
  EXPECT_EQ(o.on_save_error, "continue");
  EXPECT_EQ(o.init, "i");
  EXPECT_EQ(o.export_file, "e.safetensors");
  EXPECT_EQ(o.timeout_seconds, 1.5);
  EXPECT_EQ(o.time_limit, std::chrono::seconds(120));
  EXPECT_EQ(parsed.layers, 6);
  EXPECT_EQ(parsed.model, "resnet");
}

TEST(Options, TheLastOfTwoCounts) { EXPECT_EQ(parse({"--steps", "3", "--steps=9"}).options.steps, 9); }

TEST(Options, StepsMayBeZero) { EXPECT_EQ(parse({"--steps", "0"}).options.steps, 0); }

TEST(Options, AnUnknownWordIsNamedWithTheNearestKnownOne) {
  EXPECT_EQ(complaint({"--layer", "3"}), "unknown option '--layer', did you mean --layers?; see train_test --help");
  EXPECT_THAT(complaint({"--xyzzy"}), testing::StartsWith("unknown option '--xyzzy'; see"));
  EXPECT_THAT(complaint({"word"}), testing::StartsWith("unknown option 'word'"));
}

TEST(Options, ABadValueIsNamedWithWhatWasExpected) {
  EXPECT_THAT(complaint({"--steps", "many"}), testing::HasSubstr("--steps: 'many' given, a whole number expected"));
  EXPECT_THAT(complaint({"--layers", "0"}), testing::HasSubstr("--layers: 0 given, at least 1 expected"));
  EXPECT_THAT(complaint({"--lr", "nan"}), testing::HasSubstr("--lr"));
  EXPECT_THAT(complaint({"--lr", "-1"}), testing::HasSubstr("at least 0 expected"));
  EXPECT_THAT(complaint({"--order", "random"}), testing::HasSubstr("'random' given, shuffled|sequential expected"));
  EXPECT_THAT(complaint({"--model", "cnn"}), testing::HasSubstr("'cnn' given, mlp|resnet expected"));
  EXPECT_THAT(complaint({"--steps"}), testing::HasSubstr("--steps"));
  EXPECT_THAT(complaint({"--steps", "99999999999999999999"}), testing::HasSubstr("--steps"));
  EXPECT_THAT(complaint({"--seed", "-1"}), testing::HasSubstr("--seed"));
  EXPECT_THAT(complaint({"--steps", "3", "--epochs", "2"}), testing::HasSubstr("--epochs"));
}

TEST(Options, WhatThisVersionDoesNotHaveIsAnErrorAndNeverSilence) {
  EXPECT_THAT(complaint({"--strategy", "parameter_server"}),
              testing::HasSubstr("no servers were started; use `trireme run"));
  EXPECT_THAT(complaint({"--backend", "nccl"}), testing::HasSubstr("not built in this version; use --backend auto"));
  EXPECT_THAT(complaint({"--device", "cuda"}), testing::HasSubstr("use --device cpu"));
  for (const LaterOption& later : later_options()) {
    const std::string message = later.is_flag ? complaint({later.name.c_str()}) : complaint({later.name.c_str(), "2"});
    EXPECT_THAT(message, testing::StartsWith(later.name + ": not built in this version"));
  }
}

TEST(Options, NumbersOfThreadsThatNoMachineHasAreAnError) {
  EXPECT_THAT(complaint({"--threads", "100000"}), testing::HasSubstr("at most 1024 expected"));
  EXPECT_THAT(complaint({"--backend", "local", "--ranks", "100000"}), testing::HasSubstr("at most 1024 expected"));
}

TEST(Options, RanksNeedTheLocalBackend) {
  EXPECT_THAT(complaint({"--ranks", "2"}), testing::HasSubstr("trireme run --nproc-per-node 2"));
}

TEST(Options, FilesThatCannotBeWrittenAreNoticedAtTheStart) {
  const test::TempDir dir;
  const std::string file = dir / "file";
  std::ofstream(file) << "x";
  EXPECT_THAT(complaint({"--checkpoint-dir", file.c_str()}), testing::HasSubstr("is a file, a directory expected"));
  EXPECT_THAT(complaint({"--metrics", dir.path().c_str()}), testing::HasSubstr("is a directory"));
  const std::string below = dir / "absent/metrics.jsonl";
  EXPECT_THAT(complaint({"--metrics", below.c_str()}), testing::HasSubstr("does not exist"));
  EXPECT_THAT(complaint({"--export", below.c_str()}), testing::HasSubstr("does not exist"));
  EXPECT_THAT(complaint({"--save-every", "3"}), testing::HasSubstr("without --checkpoint-dir"));
}

TEST(Options, AConfigFileHasTheSameWordsAndTheCommandLineWins) {
  const test::TempDir dir;
  const std::string file = dir / "run.conf";
  std::ofstream(file) << "# a run\nsteps = 5\nlayers = 2\nlr = 0.5\ndata = one two\norder=sequential\n"
                      << "activation-checkpointing = true\n";
  const Parsed parsed = parse({"--config", file.c_str(), "--steps", "9"});
  EXPECT_EQ(parsed.options.steps, 9);
  EXPECT_EQ(parsed.layers, 2);
  EXPECT_EQ(parsed.options.lr, 0.5);
  EXPECT_EQ(parsed.options.data, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(parsed.options.order, "sequential");
  EXPECT_TRUE(parsed.options.activation_checkpointing);
}

TEST(Options, AConfigFileWithAnUnknownWordOrWithoutExistenceIsAnError) {
  const test::TempDir dir;
  const std::string file = dir / "run.conf";
  std::ofstream(file) << "stepz = 5\n";
  EXPECT_THAT(complaint({"--config", file.c_str()}), testing::HasSubstr("stepz"));
  EXPECT_THAT(complaint({"--config", (dir / "absent").c_str()}), testing::HasSubstr("absent"));
}

TEST(Options, HelpNamesEveryOptionThatWorksOnceWithItsDefault) {
  testing::internal::CaptureStdout();
  const bool go_on = parse({"--help"}).go_on;
  const std::string help = testing::internal::GetCapturedStdout();
  EXPECT_FALSE(go_on);
  for (const char* name : {"--strategy",       "--backend",      "--device",
                           "--precision",      "--threads",      "--reduce-order",
                           "--data",           "--steps",        "--epochs",
                           "--global-batch",   "--lanes",        "--seed",
                           "--order",          "--lr",           "--lr-schedule",
                           "--warmup-steps",   "--weight-decay", "--clip-norm",
                           "--checkpoint-dir", "--save-every",   "--keep",
                           "--resume",         "--init",         "--export",
                           "--metrics",        "--progress",     "--timeout",
                           "--ranks",          "--accumulate",   "--on-save-error",
                           "--time-limit",     "--config",       "--layers",
                           "--zero-stage",     "--shard-group",  "--reshard-after-forward"}) {
    const std::string at_line_start = std::string("  ") + name + " ";
    const std::size_t first = help.find(at_line_start);
    EXPECT_NE(first, std::string::npos) << name;
    EXPECT_EQ(help.find(at_line_start, first + 1), std::string::npos) << name << " is listed twice";
  }
  EXPECT_THAT(help, testing::HasSubstr("--order shuffled|sequential (shuffled)"));
  EXPECT_THAT(help, testing::HasSubstr("--layers N (4)"));
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 100u) << line;
  }
  EXPECT_EQ(help.find("--buddy"), std::string::npos);
}

TEST(Options, OfShardingAreChecked) {
  EXPECT_THAT(complaint({"--zero-stage", "2"}), testing::HasSubstr("it belongs to --strategy fully_sharded"));
  EXPECT_THAT(complaint({"--cpu-offload"}), testing::HasSubstr("it belongs to --strategy fully_sharded"));
  EXPECT_THAT(complaint({"--strategy", "fully_sharded", "--zero-stage", "4"}), testing::HasSubstr("1, 2 or 3"));
  EXPECT_THAT(complaint({"--strategy", "fully_sharded", "--zero-stage", "0"}), testing::HasSubstr("--zero-stage"));
  EXPECT_THAT(complaint({"--strategy", "fully_sharded", "--reshard-after-forward", "maybe"}),
              testing::HasSubstr("true, false or a number of ranks expected"));
  EXPECT_THAT(complaint({"--reduce-dtype", "bf16"}), testing::HasSubstr("it belongs to --strategy fully_sharded"));
  EXPECT_THAT(complaint({"--strategy", "fully_sharded", "--reduce-dtype", "f16"}), testing::HasSubstr("f32|bf16"));
  EXPECT_EQ(std::get<bool>(parse_reshard_after_forward("false")), false);
  EXPECT_EQ(std::get<int>(parse_reshard_after_forward("2")), 2);
}

TEST(BatchSplit, ShapesThatDoNotDivideSayWhatWould) {
  const auto message = [](ProgramOptions options, int world) {
    try {
      check_batch_split(options, world, world);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message({.lanes = 12, .global_batch = 12}, 4), "");
  EXPECT_EQ(message({.global_batch = 12}, 3), "");
  EXPECT_EQ(message({.lanes = 12, .accumulate = 2, .global_batch = 30}, 4),
            "--global-batch 30: a multiple of --lanes 12 x --accumulate 2 expected; use --global-batch 48");
  EXPECT_THAT(message({.lanes = 2, .global_batch = 12}, 3),
              testing::HasSubstr("fewer lanes than ranks (3); use --lanes 3"));
}

TEST(Duration, FormsPeopleWrite) {
  EXPECT_EQ(parse_duration("90").count(), 90);
  EXPECT_EQ(parse_duration("90s").count(), 90);
  EXPECT_EQ(parse_duration("15m").count(), 900);
  EXPECT_EQ(parse_duration("2h30m").count(), 9000);
  EXPECT_EQ(parse_duration("1d").count(), 86400);
  EXPECT_EQ(parse_duration("01:30:05").count(), 5405);
  for (const char* bad : {"", "0", "m", "1x", "-5", "1:", "1h m", "99999999999999999999"}) {
    EXPECT_THROW(parse_duration(bad), Error) << bad;
  }
}

TEST(DidYouMean, OnlyNearWordsAreOffered) {
  const std::vector<std::string> known = {"--layers", "--heads", "--lanes"};
  EXPECT_EQ(did_you_mean("--head=4", known), ", did you mean --heads?");
  EXPECT_EQ(did_you_mean("--lanes", known), ", did you mean --lanes?");
  EXPECT_EQ(did_you_mean("--checkpoint", known), "");
}

}  // namespace
}  // namespace trireme::training

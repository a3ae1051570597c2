// Speed of saving and loading a state of a given size, beside what the disk itself gives in the same run.
//
//   bench_checkpoint [--dir DIR] [--mib N] [--repeat N] [--cold]
//
// The raw probes move the same bytes in 8 MiB pieces: write into a new file + fsync, write over an existing file +
// fsync, and read. Save is the time from the call until the checkpoint is durable; stall is the part for which training
// waits. All alternate, and medians are printed. Reads come from the page cache unless --cold (which needs root, and on
// a virtual machine also slows the writes, because it gives memory back to the host).
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <functional>

#include "benchmarks/measure-inl.h"
#include "trireme/checkpoint/model_file.h"
#include "trireme/checkpoint/reader.h"
#include "trireme/checkpoint/writer.h"
#include "trireme/core/base/error.h"

namespace {

using namespace trireme;
using bench::median;
using bench::seconds_of;

constexpr std::size_t kPieceBytes = std::size_t{8} << 20;
constexpr std::int64_t kColumns = 1024;

// False if this user may not.
bool drop_caches() {
  ::sync();
  const int file = ::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
  if (file < 0) {
    return false;
  }
  const bool done = ::write(file, "3", 1) == 1;
  ::close(file);
  return done;
}

std::vector<sharding::StateTensor> make_state(std::int64_t mib) {
  std::vector<sharding::StateTensor> state;
  for (std::int64_t left = mib, i = 0; left > 0; ++i) {
    const std::int64_t piece = std::min<std::int64_t>(left, 16);
    const Array rows = Array::full({piece * 256, kColumns}, static_cast<double>(i));  // f32: 1 MiB = 256 rows
    state.push_back({fmt::format("layer.{}.weight", i), rows.shape(), 0, rows});
    left -= piece;
  }
  return state;
}

void raw_write(FileSystem& files, const std::string& path, const std::vector<sharding::StateTensor>& state,
               OpenMode mode) {
  const auto file = files.open(path, mode);
  std::uint64_t at = 0;
  for (const sharding::StateTensor& tensor : state) {
    const std::span<const std::byte> bytes(tensor.rows.bytes_data(), tensor.rows.bytes());
    for (std::size_t from = 0; from < bytes.size(); from += kPieceBytes) {
      const auto piece = bytes.subspan(from, std::min(kPieceBytes, bytes.size() - from));
      file->write(at, piece);
      at += piece.size();
    }
  }
  file->sync();
}

void raw_read(FileSystem& files, const std::string& path, const std::vector<sharding::StateTensor>& state) {
  const auto file = files.open(path, OpenMode::read);
  std::uint64_t at = 0;
  for (const sharding::StateTensor& tensor : state) {
    file->read_exactly(at, {tensor.rows.bytes_data(), tensor.rows.bytes()});
    at += tensor.rows.bytes();
  }
}

struct Measurement {
  std::string name;
  std::vector<double> seconds;
};

void report(const std::vector<Measurement>& rows, const std::vector<std::size_t>& against, double bytes) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto [least, most] = std::minmax_element(rows[i].seconds.begin(), rows[i].seconds.end());
    fmt::print("{:<42} {:7.3f} GB/s  ({:.3f} .. {:.3f})", rows[i].name, bytes / median(rows[i].seconds) / 1e9,
               bytes / *most / 1e9, bytes / *least / 1e9);
    if (against[i] != i) {
      fmt::print("   {:.2f} of {}", median(rows[against[i]].seconds) / median(rows[i].seconds), rows[against[i]].name);
    }
    fmt::print("\n");
  }
}

void run(const std::string& directory, std::int64_t mib, int repeat, bool cold) {
  PosixFileSystem files;
  SteadyClock clock;
  make_directories(files, directory);
  const std::string raw = join_path(directory, "raw.bin");
  const std::string model = join_path(directory, "model.safetensors");
  const std::string checkpoints = join_path(directory, "checkpoints");
  const std::vector<sharding::StateTensor> state = make_state(mib);
  checkpoint::Writer writer(files, clock, {.directory = checkpoints, .keep = 1});
  checkpoint::Writer anew(files, clock, {.directory = directory + "/anew", .keep = 1, .recycle = false});
  std::vector<Measurement> rows = {{"raw write + fsync, new file", {}},
                                   {"raw write + fsync, over a file", {}},
                                   {"save, new file", {}},
                                   {"save, recycled file", {}},
                                   {"its part in the background", {}},
                                   {"its part that training waits for", {}},
                                   {"export of a whole model", {}},
                                   {"raw read", {}},
                                   {"open and verify", {}},
                                   {"open, verify and load", {}},
                                   {"load of a whole model", {}}};
  std::int64_t step = 0;
  const auto save = [&](checkpoint::Writer& to) {
    sharding::TrainingPosition position;
    position.step = ++step;
    to.save(position, state);
    to.wait();
  };
  bool warm = false;
  const auto add = [&](std::size_t row, const std::function<void()>& work) {
    if (row >= 7 && cold) {
      cold = drop_caches();
    }
    ::sync();
    const double seconds = seconds_of(work);
    if (warm) {
      rows[row].seconds.push_back(seconds);
    }
  };
  // The first round touches memory and disk blocks that nobody has used yet, and does not count.
  for (int round = 0; round <= repeat; ++round, warm = true) {
    if (files.status(raw)) {
      files.remove_file(raw);
    }
    add(0, [&] { raw_write(files, raw, state, OpenMode::create); });
    add(1, [&] { raw_write(files, raw, state, OpenMode::update); });
    add(2, [&] { save(anew); });
    if (round ==
        0) {  // the first checkpoint stays while the second is written: only the third finds a file to overwrite
      save(writer);
      save(writer);
    }
    add(3, [&] { save(writer); });
    if (warm) {
      const checkpoint::SaveStatistics last = writer.statistics();
      rows[4].seconds.push_back(std::chrono::duration<double>(last.written).count());
      rows[5].seconds.push_back(std::chrono::duration<double>(last.stall).count());
    }
    add(6, [&] { checkpoint::save_model(files, model, state); });
    add(7, [&] { raw_read(files, raw, state); });
    add(8, [&] { checkpoint::Reader::open_newest(files, checkpoints); });
    add(9, [&] { checkpoint::Reader::open_newest(files, checkpoints)->load(state); });
    add(10, [&] { checkpoint::load_model(files, model, state); });
  }
  fmt::print("{} MiB in {} tensors, {} rounds, {} reads, {}\n", mib, state.size(), repeat, cold ? "cold" : "cached",
             directory);
  report(rows, {0, 1, 0, 1, 1, 5, 0, 7, 7, 7, 7}, static_cast<double>(mib) * 1024 * 1024);
  files.remove_file(raw);
  files.remove_file(model);
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory = "bench_checkpoint.tmp";
  std::int64_t mib = 512;
  int repeat = 5;
  bool cold = false;
  CLI::App app("Speed of checkpoints, beside raw writing and reading in the same run.");
  app.add_option("--dir", directory, "where to write; what is made there stays empty of large files")
      ->capture_default_str();
  app.add_option("--mib", mib, "size of the state")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--repeat", repeat, "rounds; medians are printed")->check(CLI::Range(2, 1000))->capture_default_str();
  app.add_flag("--cold", cold, "drop the page cache before each read");
  CLI11_PARSE(app, argc, argv);
  try {
    run(directory, mib, repeat, cold);
  } catch (const Error& error) {
    fmt::print(stderr, "bench_checkpoint: {}\n", error.what());
    return 1;
  }
  return 0;
}

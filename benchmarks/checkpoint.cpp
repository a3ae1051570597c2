// Speed of saving and loading a state of a given size, beside what the disk itself gives in the same run.
//
//   bench_checkpoint [--dir DIR] [--mib N] [--repeat N] [--cold] [--json]
//
// The raw probes move the same bytes in 8 MiB pieces (32 MiB past the page cache): write into a new file + fsync, over
// an existing one + fsync, the same past the page cache, and read. A save's time is from the call until the checkpoint
// is durable; its stall is what training waits for: parameters and optimizer state are copied while the next step runs.
// All alternate, and medians are printed. Reads find their files in the page cache, the raw ones and ours, or with
// --cold on the disk (needs root; on a virtual machine it also slows writes through the cache, because dropped memory
// goes back to the host).
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
#include "trireme/core/base/random.h"

namespace {

using namespace trireme;
using bench::median;
using bench::seconds_of;

constexpr std::size_t kPieceBytes = std::size_t{8} << 20;
constexpr std::size_t kDirectPieceBytes = std::size_t{32} << 20;
constexpr std::int64_t kColumns = 1024;
// Two checkpoints that stay, one file of each kind, and each way of writing tried: then a writer is in its stride.
constexpr int kWarmUpSaves = 4;

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
    const std::string name = fmt::format("model.layer.{}.weight", i);
    const Array rows = Array::empty({piece * 256, kColumns}, DType::f32);  // 1 MiB = 256 rows
    RandomStream(7, name).fill_normal(0, rows.span<float>());
    state.push_back({.name = name, .global_shape = rows.shape(), .rows = rows, .steady = true});
    left -= piece;
  }
  return state;
}

struct Measurement {
  std::string name;
  const char* against;  // the probe that it is compared with
  std::vector<double> seconds;
};

class Bench {
 public:
  Bench(std::string directory, std::int64_t mib, bool cold)
      : directory_(std::move(directory)), mib_(mib), cold_(cold), state_(make_state(mib)) {
    make_directories(files_, directory_);
    writer_.emplace(files_, clock_, checkpoint::WriterOptions{.directory = directory_ + "/checkpoints", .keep = 1});
    anew_.emplace(files_, clock_,
                  checkpoint::WriterOptions{.directory = directory_ + "/anew", .keep = 1, .recycle = false});
  }

  void run(int repeat) {
    for (int i = 0; i < kWarmUpSaves; ++i) {
      save(*writer_);
      save(*anew_);
    }
    raw_write(OpenMode::create, false);
    checkpoint::save_model(files_, model_, state_);
    for (int round = 0; round < repeat; ++round) {
      writes();
      reads();
    }
    files_.remove_file(raw_);
    files_.remove_file(model_);
  }

  void print(bool json) const {
    if (!json) {
      fmt::print("{} MiB in {} tensors, {} rounds, reads from the {}, {}\n", mib_, state_.size(),
                 rows_[0].seconds.size(), cold_ ? "disk" : "page cache", directory_);
    }
    for (const Measurement& row : rows_) {
      json ? print_json(row) : print_row(row);
    }
    const checkpoint::SaveStatistics statistics = writer_->statistics();
    if (!json) {
      fmt::print("the writer keeps {:.1f} MiB of memory; {} saves, {} waited for the one before\n",
                 static_cast<double>(statistics.memory_bytes) / (1 << 20), statistics.saves, statistics.waits);
    }
  }

 private:
  double bytes() const { return static_cast<double>(mib_) * 1024 * 1024; }
  const Measurement& row(std::string_view name) const { return *std::ranges::find(rows_, name, &Measurement::name); }

  void add(const std::string& name, const char* against, double seconds) {
    auto found = std::ranges::find(rows_, name, &Measurement::name);
    if (found == rows_.end()) {
      rows_.push_back({name, against, {}});
      found = std::prev(rows_.end());
    }
    found->seconds.push_back(seconds);
  }
  void time(const std::string& name, const char* against, const std::function<void()>& work) {
    ::sync();
    add(name, against, seconds_of(work));
  }

  void save(checkpoint::Writer& to) {
    sharding::TrainingPosition position;
    position.step = ++step_;
    to.save(position, state_);
    to.wait_copied();
    to.wait();
  }

  void writes() {
    files_.remove_file(raw_);
    time("raw write + fsync, new file", "", [&] { raw_write(OpenMode::create, false); });
    time("raw write + fsync, over a file", "", [&] { raw_write(OpenMode::update, false); });
    time("raw write + fsync, over a file, direct", "", [&] { raw_write(OpenMode::update, true); });
    time("save, new file", "raw write + fsync, new file", [&] { save(*anew_); });
    time("save, recycled file", "raw write + fsync, over a file", [&] { save(*writer_); });
    add("save, recycled file: stall", "raw write + fsync, over a file", stall_of_a_save());
    time("export of a whole model", "raw write + fsync, new file",
         [&] { checkpoint::save_model(files_, model_, state_); });
  }

  // As training meets it: the update comes when the copy is done, the next save when the file is.
  double stall_of_a_save() {
    const auto stall = [&] { return std::chrono::duration<double>(writer_->statistics().stall_total).count(); };
    const double before = stall();
    sharding::TrainingPosition position;
    position.step = ++step_;
    writer_->save(position, state_);
    const double stalled = stall() - before;
    writer_->wait();
    return stalled;
  }

  // Past the page cache from a block of its own, because that wants aligned addresses; else from the state.
  void raw_write(OpenMode mode, bool direct) {
    const auto file = files_.open(raw_, mode);
    if (direct && file->set_direct(true)) {
      for (std::uint64_t at = 0; at < file_bytes(); at += kDirectPieceBytes) {
        file->write(at, aligned().first(std::min<std::uint64_t>(kDirectPieceBytes, file_bytes() - at)));
      }
    } else {
      for_each_piece([&](std::uint64_t at, std::span<std::byte> piece) { file->write(at, piece); });
    }
    file->sync();
  }

  void reads() {
    const std::string shard = newest().path() + "/shard-00001-model-00001-of-00001.safetensors";
    time_read("raw read", "", raw_, [&] { raw_read(raw_, false); });
    time_read("raw read, direct", "", raw_, [&] { raw_read(raw_, true); });
    time_read("load: open, verify and read", "raw read", shard, [&] { newest().load(state_); });
    time_read("open and verify", "raw read", shard,
              [&] { checkpoint::Reader::open(files_, newest().path(), checkpoint::Verify::everything); });
    time_read("load of a whole model", "raw read", model_, [&] { checkpoint::load_model(files_, model_, state_); });
  }

  checkpoint::Reader newest() {
    return *checkpoint::Reader::open_newest(files_, directory_ + "/checkpoints", checkpoint::Verify::when_loaded);
  }

  void time_read(const std::string& name, const char* against, const std::string& path,
                 const std::function<void()>& work) {
    if (!cold_) {
      raw_read(path, false);
    } else {
      require_usage(drop_caches(), "--cold: only root may drop the page cache; leave it out or run as root");
    }
    time(name, against, work);
  }

  void raw_read(const std::string& path, bool direct) {
    const auto file = files_.open(path, OpenMode::read);
    if (direct && file->set_direct(true)) {
      for (std::uint64_t at = 0; at < file_bytes(); at += kDirectPieceBytes) {
        file->read(at, aligned().first(std::min<std::uint64_t>(kDirectPieceBytes, file_bytes() - at)));
      }
    } else {
      for_each_piece([&](std::uint64_t at, std::span<std::byte> piece) { file->read(at, piece); });
    }
  }

  std::uint64_t file_bytes() const { return static_cast<std::uint64_t>(mib_) << 20; }
  std::span<std::byte> aligned() const {
    const std::size_t above = reinterpret_cast<std::uintptr_t>(block_.bytes_data()) % kDirectAlignment;
    return {block_.bytes_data() + (kDirectAlignment - above), kDirectPieceBytes};
  }
  // The state's memory, in the order of a raw file.
  void for_each_piece(const std::function<void(std::uint64_t, std::span<std::byte>)>& use) const {
    std::uint64_t at = 0;
    for (const sharding::StateTensor& tensor : state_) {
      const std::span<std::byte> bytes(tensor.rows.bytes_data(), tensor.rows.bytes());
      for (std::size_t from = 0; from < bytes.size(); from += kPieceBytes) {
        const auto piece = bytes.subspan(from, std::min(kPieceBytes, bytes.size() - from));
        use(at, piece);
        at += piece.size();
      }
    }
  }

  void print_row(const Measurement& row) const {
    const auto [least, most] = std::minmax_element(row.seconds.begin(), row.seconds.end());
    const double middle = median(row.seconds);
    fmt::print("{:<40} {:8.3f} GB/s  ({:.3f} .. {:.3f})  {:.3f} s", row.name, bytes() / middle / 1e9,
               bytes() / *most / 1e9, bytes() / *least / 1e9, middle);
    if (*row.against != '\0') {
      fmt::print("   {:.2f} x {}", median(this->row(row.against).seconds) / middle, row.against);
    }
    fmt::print("\n");
  }
  void print_json(const Measurement& row) const {
    fmt::print("{{\"name\":\"{}\",\"bytes\":{},\"seconds\":{}}}\n", row.name, static_cast<std::uint64_t>(bytes()),
               median(row.seconds));
  }

  PosixFileSystem files_;
  SteadyClock clock_;
  std::string directory_;
  std::string raw_ = directory_ + "/raw.bin";
  std::string model_ = directory_ + "/model.safetensors";
  std::int64_t mib_;
  bool cold_;
  std::vector<sharding::StateTensor> state_;
  const Array block_ = Array::empty({static_cast<std::int64_t>(kDirectPieceBytes + kDirectAlignment)}, DType::u8);
  std::optional<checkpoint::Writer> writer_;
  std::optional<checkpoint::Writer> anew_;
  std::int64_t step_ = 0;
  std::vector<Measurement> rows_;
};

}  // namespace

int main(int argc, char** argv) {
  std::string directory = "bench_checkpoint.tmp";
  std::int64_t mib = 2048;
  int repeat = 5;
  bool cold = false;
  bool json = false;
  CLI::App app("Speed of checkpoints, beside raw writing and reading in the same run.");
  app.add_option("--dir", directory, "where to write; six times the state's size is needed there")
      ->capture_default_str();
  app.add_option("--mib", mib, "size of the state")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--repeat", repeat, "rounds; medians are printed")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_flag("--cold", cold, "drop the page cache before each read");
  app.add_flag("--json", json, "JSON lines in place of the table");
  CLI11_PARSE(app, argc, argv);
  try {
    Bench bench(directory, mib, cold);
    bench.run(repeat);
    bench.print(json);
  } catch (const Error& error) {
    fmt::print(stderr, "bench_checkpoint: {}\n", error.what());
    return error.kind() == ErrorKind::usage ? 2 : 1;
  }
  return 0;
}

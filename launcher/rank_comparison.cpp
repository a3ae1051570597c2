#include "trireme/launcher/rank_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>

#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"

namespace trireme::launcher {
namespace {

constexpr int kExchanges = 16;  // of which the fastest counts

std::int64_t wall_clock() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Every rank's text, on every rank.
std::vector<std::string> gather_texts(comm::Communicator& ranks, const std::string& own) {
  const auto bytes = static_cast<std::int64_t>(own.size());
  const Array lengths = Array::empty({ranks.size()}, DType::i64);
  ranks.all_gather(Array::from(std::vector<std::int64_t>{bytes}, {1}), lengths, {.name = "lengths of facts"}).wait();
  std::vector<std::int64_t> offsets = {0};
  for (const std::int64_t length : lengths.span<std::int64_t>()) {
    offsets.push_back(offsets.back() + length);
  }
  const Array mine = Array::empty({bytes}, DType::u8);
  std::copy(own.begin(), own.end(), reinterpret_cast<char*>(mine.bytes_data()));
  const Array all = Array::empty({offsets.back()}, DType::u8);
  ranks.all_gather_v(mine, all, offsets, {.name = "facts"}).wait();
  std::vector<std::string> texts;
  for (std::size_t rank = 0; rank + 1 < offsets.size(); ++rank) {
    texts.emplace_back(reinterpret_cast<const char*>(all.bytes_data()) + offsets[rank],
                       static_cast<std::size_t>(offsets[rank + 1] - offsets[rank]));
  }
  return texts;
}

// One line a field; an advice is a line that begins with "!" (blocking) or "-".
std::string to_text(const RankFacts& facts) {
  std::string text =
      fmt::format("{}\n{}\n{}\n{}\n", facts.host, facts.build, facts.instruction_set, facts.cores_usable);
  for (const Advice& advice : facts.own) {
    text += fmt::format("{}{}\n", advice.blocking ? '!' : '-', advice.text);
  }
  return text;
}

RankFacts from_text(int rank, const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  require(lines.size() >= 4, "trireme doctor: rank {} runs another version of the program; install the same everywhere",
          rank);
  RankFacts facts{.rank = rank,
                  .host = lines[0],
                  .build = lines[1],
                  .instruction_set = lines[2],
                  .cores_usable = std::atoi(lines[3].c_str()),
                  .own = {}};
  for (std::size_t i = 4; i < lines.size(); ++i) {
    facts.own.push_back({lines[i].front() == '!', lines[i].substr(1)});
  }
  return facts;
}

// Rank 0 asks rank `peer` for its time, again and again: the fastest answer is the surest.
void measure_clock(comm::Communicator& ranks, int peer, RankFacts& facts) {
  const Array time = Array::zeros({1}, DType::i64);
  std::int64_t& value = *time.data<std::int64_t>();
  double fastest = INFINITY;
  for (int i = 0; i < kExchanges; ++i) {
    if (ranks.rank() == peer) {
      ranks.recv(time, 0).wait();
      value = wall_clock();
      ranks.send(time, 0).wait();
      continue;
    }
    const std::int64_t begin = wall_clock();
    ranks.send(time, peer).wait();
    ranks.recv(time, peer).wait();
    const std::int64_t end = wall_clock();
    const double there_and_back = static_cast<double>(end - begin) * 1e-9;
    if (there_and_back < fastest) {
      fastest = there_and_back;
      facts.clock_ahead_seconds = static_cast<double>(value - begin - (end - begin) / 2) * 1e-9;
      facts.clock_error_seconds = there_and_back / 2;
    }
  }
}

void check_equal(const std::vector<RankFacts>& ranks, std::string RankFacts::*field, const char* what, bool blocking,
                 const char* advice, Advices& out) {
  const auto other =
      std::find_if(ranks.begin(), ranks.end(), [&](const RankFacts& one) { return one.*field != ranks[0].*field; });
  if (other != ranks.end()) {
    out.push_back({blocking, fmt::format("the ranks differ in {}: {} on rank {} ({}), {} on rank {} ({}); {}", what,
                                         ranks[0].*field, ranks[0].rank, ranks[0].host, (*other).*field, other->rank,
                                         other->host, advice)});
  }
}

void check_clocks(const std::vector<RankFacts>& ranks, Advices& out) {
  constexpr double kOff = 0.1;
  constexpr double kFarOff = 1;
  for (const RankFacts& one : ranks) {
    const double off = std::abs(one.clock_ahead_seconds) - one.clock_error_seconds;
    if (off > kOff) {
      out.push_back({off > kFarOff,
                     fmt::format("the clock of rank {} ({}) is {:.2f} s {} that of rank {} ({}); logs and "
                                 "file times mislead, and leases fail: run chrony or ntpd on all hosts",
                                 one.rank, one.host, std::abs(one.clock_ahead_seconds),
                                 one.clock_ahead_seconds > 0 ? "ahead of" : "behind", ranks[0].rank, ranks[0].host)});
      return;  // one is enough to know what to do
    }
  }
}

void check_cores(const std::vector<RankFacts>& ranks, Advices& out) {
  std::map<std::string, int> ranks_of_host;
  for (const RankFacts& one : ranks) {
    if (++ranks_of_host[one.host] == one.cores_usable + 1) {
      out.push_back(
          {false, fmt::format("{} has more ranks than the {} cores that one may use: they take turns, and each "
                              "collective waits for all; start one rank a core",
                              one.host, one.cores_usable)});
    }
  }
}

}  // namespace

std::vector<RankFacts> exchange_facts(comm::Communicator& ranks, const RankFacts& own) {
  std::vector<RankFacts> all;
  for (int rank = 0; const std::string& text : gather_texts(ranks, to_text(own))) {
    all.push_back(from_text(rank, text));
    ++rank;
  }
  for (int peer = 1; peer < ranks.size(); ++peer) {
    if (ranks.rank() == 0 || ranks.rank() == peer) {
      measure_clock(ranks, peer, all[static_cast<std::size_t>(peer)]);
    }
    ranks.barrier({.name = "clock measured"}).wait();
  }
  return all;
}

Advices compare_ranks(const std::vector<RankFacts>& ranks) {
  Advices advice;
  check_equal(ranks, &RankFacts::build, "their build", true, "install the same program on all hosts", advice);
  check_equal(ranks, &RankFacts::instruction_set, "the kernels' instruction set", false,
              "training works, but its bits depend on where ranks run: use hosts of one kind for equal bits", advice);
  check_clocks(ranks, advice);
  check_cores(ranks, advice);
  return advice;
}

std::string build_of_this_program() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  Xxh3 hash;
  std::vector<char> block(1 << 20);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0) {
    hash.update(std::string_view(block.data(), static_cast<std::size_t>(file.gcount())));
  }
  return fmt::format("{} {}", TRIREME_VERSION, hash_text(hash.digest()));
}

}  // namespace trireme::launcher

#include "trireme/comm/environment/host_table.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <map>
#include <sstream>

#include "trireme/core/base/error.h"
#include "trireme/core/base/instruction_set.h"

namespace trireme::comm {
namespace {

using std::chrono::milliseconds;

constexpr const char* kTableKey = "hosts/all";
constexpr std::string_view kFailed = "!";
std::string key_of(int rank) { return fmt::format("hosts/rank/{}", rank); }
std::string seen_key_of(int rank) { return fmt::format("hosts/seen/{}", rank); }

std::string system_host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

std::string process_namespace() {
  char target[64] = {};
  return readlink("/proc/self/ns/pid", target, sizeof target - 1) > 0 ? target : "unknown";
}

// Names come from the system and from people: nothing in them may break a line or a field.
std::string plain(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c <= ' '; }, '_');
  return text.substr(0, 255);
}

// Rank 0's part: everyone's line, or "!" and what went wrong.
std::string collect(int size, Store& store, milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::string table;
  std::vector<int> missing;
  for (int rank = 0; rank < size; ++rank) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    std::optional<std::string> line = store.try_get(key_of(rank));
    if (!line && left.count() > 0) {
      try {
        line = store.get(key_of(rank), left);
      } catch (const Error&) {
        line = store.try_get(key_of(rank));
      }
    }
    if (line) {
      table += *line + "\n";
    } else {
      missing.push_back(rank);
    }
  }
  const std::size_t shown = std::min<std::size_t>(missing.size(), 16);
  return missing.empty() ? table
                         : fmt::format(
                               "{}start: rank{} {}{} of {} did not arrive within {} ms; did the launcher start "
                               "them, and have they ended?",
                               kFailed, missing.size() == 1 ? "" : "s",
                               fmt::join(missing.begin(), missing.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                               missing.size() > shown ? ", ..." : "", size, timeout.count());
}

}  // namespace

HostTable::HostTable(std::vector<HostFacts> ranks) : ranks_(std::move(ranks)) {
  std::map<std::pair<std::string, std::string>, int> numbers;
  for (const HostFacts& facts : ranks_) {
    const auto [entry, is_new] = numbers.try_emplace({facts.name, facts.sharing}, hosts_);
    hosts_ += is_new ? 1 : 0;
    host_of_.push_back(entry->second);
  }
}

std::vector<std::vector<int>> HostTable::ranks_of_host() const {
  std::vector<std::vector<int>> ranks(static_cast<std::size_t>(hosts_));
  for (int rank = 0; rank < size(); ++rank) {
    ranks[static_cast<std::size_t>(host_of(rank))].push_back(rank);
  }
  return ranks;
}

bool HostTable::all_have_gloo() const {
  return std::all_of(ranks_.begin(), ranks_.end(), [](const HostFacts& facts) { return facts.gloo; });
}

bool HostTable::all_have_mpi() const {
  return std::all_of(ranks_.begin(), ranks_.end(), [](const HostFacts& facts) { return facts.mpi; });
}

std::string HostTable::different_instructions() const {
  std::map<std::string, std::string> first;  // instruction set -> who uses it
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    first.try_emplace(ranks_[rank].instructions, fmt::format("rank {} on {}", rank, ranks_[rank].name));
  }
  if (first.size() < 2) {
    return "";
  }
  std::string list;
  for (const auto& [instructions, who] : first) {
    list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", instructions, who);
  }
  return fmt::format(
      "ranks use different vector instructions: {}; results have the same bits only for this placement of ranks", list);
}

HostFacts facts_of_this_process(const std::string& host_name, bool gloo, bool mpi) {
  return {plain(host_name.empty() ? system_host_name() : host_name),
          plain(fmt::format("{}/{}/{}", boot_id(), process_namespace(), getuid())), plain(kernel_instruction_set()),
          gloo, mpi};
}

std::string encode(const HostFacts& facts) {
  return fmt::format("{} {} {} {}{}", facts.name, facts.sharing, facts.instructions, facts.gloo ? 'g' : '-',
                     facts.mpi ? 'm' : '-');
}

HostFacts decode_facts(std::string_view text) {
  std::istringstream words{std::string(text)};
  HostFacts facts;
  std::string networks;
  std::string rest;
  words >> facts.name >> facts.sharing >> facts.instructions >> networks;
  require(networks.size() == 2 && !(words >> rest),
          "start: \"{}\" given as a rank's host, four words expected; do all ranks run the same version?",
          text.substr(0, 80));
  facts.gloo = networks[0] == 'g';
  facts.mpi = networks[1] == 'm';
  return facts;
}

HostTable exchange_hosts(int rank, int size, const HostFacts& facts, Store& store, milliseconds timeout) {
  store.set(key_of(rank), encode(facts));
  std::string table;
  if (rank == 0) {
    table = collect(size, store, timeout);
    store.set(kTableKey, table);
    if (table.starts_with(kFailed)) {
      // The server, which ends with this rank, answers in turn: when it has answered twice more, it has told the
      // others.
      store.try_get(kTableKey);
      store.try_get(kTableKey);
    }
  } else {
    table = store.get(kTableKey, timeout + milliseconds(500));  // rank 0 began a little later, and knows more
  }
  require(!table.starts_with(kFailed), "{}", table.substr(kFailed.size()));
  // Nobody goes on, perhaps to an error and away, before all have the table: the server ends with rank 0.
  store.set(seen_key_of(rank), "1");
  for (int peer = 1; rank == 0 && peer < size; ++peer) {
    store.get(seen_key_of(peer), timeout);
  }
  std::vector<HostFacts> ranks;
  for (std::size_t begin = 0; begin < table.size();) {
    const std::size_t end = std::min(table.find('\n', begin), table.size());
    ranks.push_back(decode_facts(std::string_view(table).substr(begin, end - begin)));
    begin = end + 1;
  }
  require(static_cast<int>(ranks.size()) == size, "start: the store names {} ranks, {} expected; is it another job's?",
          ranks.size(), size);
  return HostTable(std::move(ranks));
}

}  // namespace trireme::comm

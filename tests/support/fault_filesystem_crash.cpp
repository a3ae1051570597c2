// FaultFileSystem's view from outside: the worlds that a crash could leave, and what is in them.
#include <algorithm>
#include <random>
#include <stdexcept>

#include "tests/support/fault_filesystem.h"
#include "trireme/core/base/hash.h"

namespace trireme::test {
namespace {

// How a change came through.
constexpr int kLost = 0;
constexpr int kWhole = 1;
constexpr int kFirstPart = 2;   // of a write: its first half; of a rename between directories: only the new name
constexpr int kSecondPart = 3;  // of a write: its second half; of such a rename: only that the old name is gone

// Of `data`, one half in place and the rest as the file was.
template <class Change>
Change torn(const Change& change, int way) {
  Change half = change;
  const std::size_t middle = change.data.size() / 2;
  if (way == kFirstPart) {
    half.data.resize(middle);
  } else {
    half.data.erase(half.data.begin(), half.data.begin() + static_cast<std::ptrdiff_t>(middle));
    half.offset += middle;
  }
  return half;
}

}  // namespace

std::size_t FaultFileSystem::pending() const {
  const std::scoped_lock lock(mutex_);
  return pending_.size();
}

std::vector<std::byte>& FaultFileSystem::content(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  const Id id = find(path);
  if (id < 0) {
    throw std::runtime_error("no such file: " + path);
  }
  return node(id).content;
}

std::set<std::string> FaultFileSystem::all_paths() const {
  const std::scoped_lock lock(mutex_);
  std::set<std::string> paths;
  const std::function<void(Id, const std::string&)> walk = [&](Id id, const std::string& prefix) {
    for (const auto& [name, target] : node(id).names) {
      paths.insert(prefix + "/" + name);
      walk(target, prefix + "/" + name);
    }
  };
  walk(0, "");
  return paths;
}

std::uint64_t FaultFileSystem::fingerprint() const {
  const std::scoped_lock lock(mutex_);
  Xxh3 hash;
  const std::function<void(Id)> walk = [&](Id id) {
    const std::array<std::uint64_t, 2> sizes = {node(id).names.size(), node(id).content.size()};
    hash.update(std::as_bytes(std::span(sizes)));
    hash.update(node(id).content);
    for (const auto& [name, target] : node(id).names) {
      hash.update(std::as_bytes(std::span(name.c_str(), name.size() + 1)));
      walk(target);
    }
  };
  walk(0);
  return hash.digest();
}

void FaultFileSystem::link(const std::string& path, const std::string& another) {
  const std::scoped_lock lock(mutex_);
  std::string name;
  const Id parent = find_parent(another, name);
  change_names({{parent, name, find(path)}});
}

int FaultFileSystem::ways(const Change& change) {
  if (change.file >= 0) {
    return change.size < 0 && change.data.size() > 1 ? 4 : 2;
  }
  return change.names.size() == 2 && change.names[0].directory != change.names[1].directory ? 4 : 2;
}

void FaultFileSystem::survive(const Change& change, int way) {
  if (change.file >= 0) {
    apply(way == kWhole ? change : torn(change, way), node(change.file).content);
    return;
  }
  for (std::size_t i = 0; i < change.names.size(); ++i) {  // of a rename the first is the old name's end
    if (way == kWhole || (way == kSecondPart) == (i == 0)) {
      apply(change.names[i], node(change.names[i].directory).names);
    }
  }
}

std::unique_ptr<FaultFileSystem> FaultFileSystem::image(const std::vector<int>& kept) const {
  auto world = std::make_unique<FaultFileSystem>();
  world->nodes_ = nodes_;
  for (Node& one : world->nodes_) {
    one.content = one.durable;
    one.names = one.durable_names;
  }
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (kept[i] != kLost) {
      world->survive(pending_[i], kept[i]);
    }
  }
  for (Node& one : world->nodes_) {
    one.durable = one.content;
    one.durable_names = one.names;
  }
  return world;
}

std::set<std::vector<int>> FaultFileSystem::chosen(const CrashPlan& plan) const {
  const std::size_t n = pending_.size();
  std::set<std::vector<int>> choices = {std::vector<int>(n, kLost), std::vector<int>(n, kWhole)};
  for (std::size_t i = 0; i < n; ++i) {
    for (int way = kWhole; way < ways(pending_[i]); ++way) {
      std::vector<int> prefix(n, kLost);
      std::fill_n(prefix.begin(), i, kWhole);
      prefix[i] = way;
      choices.insert(prefix);
      std::vector<int> one(n, kLost);
      one[i] = way;
      choices.insert(one);
      std::vector<int> others(n, kWhole);
      others[i] = way == kWhole ? kLost : way;
      choices.insert(others);
    }
  }
  std::mt19937_64 generator(plan.seed);
  for (int r = 0; r < plan.random; ++r) {
    std::vector<int> choice(n);
    for (std::size_t i = 0; i < n; ++i) {
      choice[i] = static_cast<int>(generator() % static_cast<std::uint64_t>(ways(pending_[i])));
    }
    choices.insert(std::move(choice));
  }
  return choices;
}

std::int64_t FaultFileSystem::crash_images(const CrashPlan& plan,
                                           const std::function<void(FaultFileSystem&)>& use) const {
  const std::scoped_lock lock(mutex_);
  std::uint64_t all = 1;
  for (const Change& change : pending_) {
    all = std::min<std::uint64_t>(all * static_cast<std::uint64_t>(ways(change)), std::uint64_t{1} << 40);
  }
  if (all > plan.exhaustive) {
    const std::set<std::vector<int>> choices = chosen(plan);
    for (const std::vector<int>& choice : choices) {
      use(*image(choice));
    }
    return static_cast<std::int64_t>(choices.size());
  }
  std::vector<int> choice(pending_.size(), kLost);
  for (std::uint64_t world = 0; world < all; ++world) {
    use(*image(choice));
    for (std::size_t i = 0; i < choice.size(); ++i) {  // counts on, with as many digits as there are ways
      choice[i] = (choice[i] + 1) % ways(pending_[i]);
      if (choice[i] != kLost) {
        break;
      }
    }
  }
  return static_cast<std::int64_t>(all);
}

}  // namespace trireme::test

// FaultFileSystem's view from outside: the worlds that a crash could leave, and what is in them.
#include <algorithm>
#include <random>
#include <stdexcept>

#include "tests/support/fault_filesystem.h"

namespace trireme::test {

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
  return nodes_[static_cast<std::size_t>(id)].content;
}

std::set<std::string> FaultFileSystem::all_paths() const {
  const std::scoped_lock lock(mutex_);
  std::set<std::string> paths;
  const std::function<void(Id, const std::string&)> walk = [&](Id id, const std::string& prefix) {
    for (const auto& [name, target] : nodes_[static_cast<std::size_t>(id)].names) {
      paths.insert(prefix + "/" + name);
      walk(target, prefix + "/" + name);
    }
  };
  walk(0, "");
  return paths;
}

// kept[i]: 0 lost, 1 kept, 2 kept but torn (writes only).
std::unique_ptr<FaultFileSystem> FaultFileSystem::image(const std::vector<int>& kept) const {
  auto world = std::make_unique<FaultFileSystem>();
  world->nodes_ = nodes_;
  for (Node& node : world->nodes_) {
    node.content = node.durable;
    node.names = node.durable_names;
  }
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const Change& change = pending_[i];
    if (kept[i] == 0) {
      continue;
    }
    if (change.file >= 0) {
      apply(change, world->nodes_[static_cast<std::size_t>(change.file)].content, kept[i] == 2);
    }
    for (const NameChange& name : change.names) {
      auto& names = world->nodes_[static_cast<std::size_t>(name.directory)].names;
      if (name.target < 0) {
        names.erase(name.name);
      } else {
        names[name.name] = name.target;
      }
    }
  }
  for (Node& node : world->nodes_) {
    node.durable = node.content;
    node.durable_names = node.names;
  }
  return world;
}

std::vector<std::unique_ptr<FaultFileSystem>> FaultFileSystem::crash_images(int random, std::uint64_t seed) const {
  const std::scoped_lock lock(mutex_);
  const std::size_t n = pending_.size();
  std::set<std::vector<int>> choices;
  for (std::size_t i = 0; i <= n; ++i) {
    std::vector<int> prefix(n, 0);
    std::fill_n(prefix.begin(), i, 1);
    choices.insert(prefix);
    if (i > 0) {
      prefix[i - 1] = 2;
      choices.insert(prefix);
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<int> one(n, 0);
    one[i] = 1;
    choices.insert(one);
    std::vector<int> others(n, 1);
    others[i] = 0;
    choices.insert(others);
  }
  std::mt19937_64 generator(seed);
  for (int r = 0; r < random && n > 0; ++r) {
    std::vector<int> choice(n);
    for (int& kept : choice) {
      kept = static_cast<int>(generator() % 3);
    }
    choices.insert(std::move(choice));
  }
  std::vector<std::unique_ptr<FaultFileSystem>> worlds;
  for (const std::vector<int>& choice : choices) {
    worlds.push_back(image(choice));
  }
  return worlds;
}

}  // namespace trireme::test

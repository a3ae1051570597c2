#include "trireme/comm/hierarchical/hierarchical_communicator.h"

#include <algorithm>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/hierarchical/hierarchical.h"
#include "trireme/comm/hierarchical/stages.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/split_plan.h"

namespace trireme::comm::hierarchical {
namespace {

constexpr std::size_t kRow = 64;

std::string backend_of(const Communicator& inside, const Communicator& whole) {
  return fmt::format("{}+{}", inside.backend(), whole.backend());
}

// The members of a split, by host, as ranks among themselves.
std::vector<std::vector<int>> hosts_of_members(const Hosts& hosts, const std::vector<int>& members) {
  std::vector<std::vector<int>> out(static_cast<std::size_t>(hosts.count()));
  for (std::size_t member = 0; member < members.size(); ++member) {
    const int host = hosts.host_of[static_cast<std::size_t>(members[member])];
    out[static_cast<std::size_t>(host)].push_back(static_cast<int>(member));
  }
  std::erase_if(out, [](const std::vector<int>& ranks) { return ranks.empty(); });
  return out;
}

}  // namespace

Chain::Chain(HierarchicalCommunicator* owner_, Operation&& operation_)
    : owner(owner_), operation(std::move(operation_)), tag(tag_of(operation)), output(operation.output.flatten()) {}

HierarchicalCommunicator::HierarchicalCommunicator(Hosts hosts, std::shared_ptr<Communicator> inside,
                                                   std::shared_ptr<Communicator> whole)
    : Communicator(whole->rank(), whole->size()),
      levels_(std::move(hosts), std::move(inside), std::move(whole)),
      backend_(backend_of(*levels_.first, *levels_.whole)),
      row_(kRow) {
  set_default_timeout(levels_.whole->default_timeout());
  listen_to_stalls();
  join();
}

// Who has passed the barrier may abort at once, while others are still in it. They have all parts by then: theirs is a
// communicator too, and its first operation says what has happened.
void HierarchicalCommunicator::join() {
  const Operation operation{.kind = OpKind::barrier, .timeout = default_timeout()};
  try {
    levels_.whole->barrier({.name = "join"}).wait();
  } catch (const CommError& error) {
    fail(failure_of(error, operation, Level::whole));
  }
}

std::shared_ptr<WorkState> HierarchicalCommunicator::start(Operation&& operation) {
  if (is_message(operation.kind)) {
    auto message = std::allocate_shared<Message>(PoolAllocator<Message>(), this, std::move(operation));
    start_message(*message);
    return message;
  }
  auto chain = std::allocate_shared<Chain>(PoolAllocator<Chain>(), this, std::move(operation));
  on_behalf_of(chain->operation, [&] {
    if (chain->operation.layout != nullptr && levels_.only() == nullptr) {
      prepare_reduction(levels_, layouts_, *chain);
    }
    queue(chain);
    advance();
  });
  return chain;
}

void HierarchicalCommunicator::start_message(Message& message) {
  const Operation& operation = message.operation;
  on_behalf_of(operation, [&] {
    const Level level = level_of_peer(operation.peer);
    const OpOptions options{.name = operation.name.view(), .timeout = operation.timeout};
    message.work = on_parts(operation, level, [&] {
      if (level == Level::whole) {
        return start_same(*levels_.whole, operation, options);
      }
      Operation inside = operation;
      inside.peer = levels_.hosts.local_of[static_cast<std::size_t>(operation.peer)];
      return start_same(*levels_.first, inside, options);
    });
    advance();
  });
}

HierarchicalCommunicator::Level HierarchicalCommunicator::level_of_peer(int peer) const {
  return levels_.hosts.host_of[static_cast<std::size_t>(peer)] == levels_.host() ? Level::inside : Level::whole;
}

std::uint64_t HierarchicalCommunicator::bytes_moved() const {
  std::uint64_t bytes = 0;
  for (const Communicator* part : levels_.all()) {
    bytes += part == nullptr ? 0 : part->bytes_moved();
  }
  return bytes;
}

std::shared_ptr<Communicator> HierarchicalCommunicator::split(int colour, int key) {
  const std::vector<int> members = members_of_split(*this, colour, key);
  Operation operation{.kind = OpKind::barrier, .name = OpName("split"), .timeout = default_timeout()};
  const auto split_part = [&](Communicator& part, Level level) {
    part.set_default_timeout(default_timeout());
    return on_behalf_of(operation, [&] { return on_parts(operation, level, [&] { return part.split(colour, key); }); });
  };
  // All ranks take part in both, those without a new communicator too.
  std::shared_ptr<Communicator> inside = split_part(*levels_.first, Level::inside);
  std::shared_ptr<Communicator> whole = split_part(*levels_.whole, Level::whole);
  if (members.empty()) {
    return nullptr;
  }
  return std::make_shared<HierarchicalCommunicator>(Hosts::make(hosts_of_members(levels_.hosts, members)),
                                                    std::move(inside), std::move(whole));
}

}  // namespace trireme::comm::hierarchical

namespace trireme::comm {

std::shared_ptr<Communicator> connect_hierarchical(std::vector<std::vector<int>> ranks_of_host,
                                                   std::shared_ptr<Communicator> inside,
                                                   std::shared_ptr<Communicator> whole) {
  hierarchical::Hosts hosts = hierarchical::Hosts::make(std::move(ranks_of_host));
  require(hosts.size() == whole->size(), "hierarchical communicator: hosts of {} ranks given for {} ranks",
          hosts.size(), whole->size());
  const auto rank = static_cast<std::size_t>(whole->rank());
  require(hosts.local_size(hosts.host_of[rank]) == inside->size() && hosts.local_of[rank] == inside->rank(),
          "hierarchical communicator: rank {} is rank {} of {} in the communicator inside its host, {} of {} expected",
          rank, inside->rank(), inside->size(), hosts.local_of[rank], hosts.local_size(hosts.host_of[rank]));
  return std::make_shared<hierarchical::HierarchicalCommunicator>(std::move(hosts), std::move(inside),
                                                                  std::move(whole));
}

}  // namespace trireme::comm

#include "trireme/comm/environment/meet_over.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <sstream>

#include "trireme/comm/environment/interfaces.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"

namespace trireme::comm {
namespace {

constexpr std::size_t kTextBytes = 1024;  // a text travels as an array of so many bytes, zeros behind it

void write_text(const Array& array, const std::string& text) {
  require(text.size() < kTextBytes, "start: \"{}...\" has {} characters, fewer than {} expected", text.substr(0, 40),
          text.size(), kTextBytes);
  std::memset(array.bytes_data(), 0, kTextBytes);
  std::memcpy(array.bytes_data(), text.data(), text.size());
}

std::string read_text(const std::byte* bytes) {
  const char* text = reinterpret_cast<const char*>(bytes);
  return {text, strnlen(text, kTextBytes)};
}

std::string draw_token() {
  std::random_device random;
  const auto word = [&] { return hash_text(std::uint64_t{random()} << 32 | random()); };
  return word() + word();
}

}  // namespace

std::shared_ptr<Meeting> meet_over(Communicator& ranks, const std::string& token, const std::string& interface,
                                   std::chrono::milliseconds timeout) {
  std::unique_ptr<TcpStoreServer> server;
  const Array where = Array::zeros({static_cast<std::int64_t>(kTextBytes)}, DType::u8);
  if (ranks.rank() == 0) {
    const std::string secret = token.empty() ? draw_token() : token;
    const std::string address = interface.empty() ? "" : address_of_interface(interface, true);
    server = std::make_unique<TcpStoreServer>(address, 0, secret);
    write_text(where, fmt::format("{} {} {}", address.empty() ? outward_address() : address, server->port(), secret));
  }
  ranks.broadcast(where, 0, {.name = "where rank 0 can be met", .timeout = timeout}).wait();
  std::istringstream words(read_text(where.bytes_data()));
  MeetingPoint point{.ports = {0}, .several_hosts = true};
  words >> point.address >> point.ports[0] >> std::ws;
  std::getline(words, point.token);
  require(!words.fail(), "start: rank 0 has told no place to meet; do all ranks run the same version?");
  return std::make_shared<Meeting>(ranks.rank(), ranks.size(), point, std::move(server), timeout);
}

HostTable exchange_hosts(Communicator& ranks, const HostFacts& facts) {
  const auto bytes = static_cast<std::int64_t>(kTextBytes);
  const Array own = Array::zeros({bytes}, DType::u8);
  const Array all = Array::zeros({bytes * ranks.size()}, DType::u8);
  write_text(own, encode(facts));
  ranks.all_gather(own, all, {.name = "hosts of the ranks"}).wait();
  std::vector<HostFacts> table;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    table.push_back(decode_facts(read_text(all.bytes_data() + static_cast<std::size_t>(rank) * kTextBytes)));
  }
  return HostTable(std::move(table));
}

}  // namespace trireme::comm

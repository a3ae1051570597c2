// Workers and servers as forked processes that meet over one kind of endpoint.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "tests/support/processes.h"
#include "tests/support/sanitizers.h"
#include "trireme/comm/store/file_store.h"
#include "trireme/strategies/parameter_server/wire/wire.h"

namespace trireme::test {

using strategies::parameter_server::Endpoint;
using strategies::parameter_server::Node;
using strategies::parameter_server::Parcel;
using strategies::parameter_server::Role;
using strategies::parameter_server::WireOptions;

struct Kind {
  std::string name;
  std::string carrier;
  bool tls = false;
};

// Those that this build has.
std::vector<Kind> all_kinds();
inline std::string name_of_kind(const testing::TestParamInfo<Kind>& info) { return info.param.name; }

inline Node server(int index) { return {Role::server, index}; }
inline Node worker(int index) { return {Role::worker, index}; }

// What one process has: its options, made for its kind, and what it does with them.
struct Job {
  int servers = 1;
  int workers = 1;
  std::size_t window = std::size_t{64} << 20;
  int killed = -1;  // servers count first
  bool open = true;
};
struct Place {
  Node self;
  WireOptions options;
  std::shared_ptr<comm::Store> store;
  std::unique_ptr<Endpoint> wire;  // null: Job::open is false
};
// Process i is server i, or worker i - servers.
void run_nodes(const Kind& kind, const Job& job, const std::function<void(Place&)>& body);

// Certificates that openssl has made, once for the program: an authority "a" that has signed "node" for 127.0.0.1, and
// another authority "b" with a certificate of its own, "stranger".
strategies::parameter_server::TlsFiles certificate_of(const std::string& name, const std::string& authority);

inline Endpoint::TimePoint in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time * kPatience;
}
inline constexpr std::chrono::milliseconds kLong(20000);

// Values that tell every byte's place.
Array pattern(const Shape& shape, DType dtype, int seed);
testing::AssertionResult same_bytes(const Array& a, const Array& b);
// The next parcel; fails the test if something else comes, or nothing.
Endpoint::Event next_parcel(Endpoint& wire, std::chrono::milliseconds patience = kLong);
Endpoint::Event next_loss(Endpoint& wire, std::chrono::milliseconds patience = kLong);

}  // namespace trireme::test

#include "tests/strategies/parameter_server/wire/nodes.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "tests/support/command.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

// Made in the test's own process, before it forks, and gone with it.
const TempDir& certificates() {
  static const TempDir folder;
  static const bool made = [] {
    const auto openssl = [](const std::vector<std::string>& words) {
      std::vector<std::string> command = {"openssl"};
      command.insert(command.end(), words.begin(), words.end());
      const CommandResult result = run_command(command);
      EXPECT_EQ(result.exit_code, 0) << result.err;
    };
    std::ofstream(folder / "names") << "subjectAltName=IP:127.0.0.1,DNS:node\n";
    const std::vector<std::string> new_key = {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"};
    const auto with_key = [&](std::vector<std::string> words) {
      words.insert(words.end(), new_key.begin(), new_key.end());
      return words;
    };
    for (const auto& [authority, name] : {std::pair("a", "node"), std::pair("b", "stranger")}) {
      const std::string ca = folder / authority;
      const std::string own = folder / name;
      openssl(with_key({"req", "-x509", "-days", "2", "-subj", std::string("/CN=") + authority, "-keyout", ca + ".key",
                        "-out", ca + ".pem"}));
      openssl(with_key({"req", "-subj", std::string("/CN=") + name, "-keyout", own + ".key", "-out", own + ".csr"}));
      openssl({"x509", "-req", "-in", own + ".csr", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-CAcreateserial",
               "-days", "2", "-extfile", folder / "names", "-out", own + ".pem"});
    }
    return true;
  }();
  EXPECT_TRUE(made);
  return folder;
}

}  // namespace

std::vector<Kind> all_kinds() {
  std::vector<Kind> kinds = {{"shm", "shm"}};
  if (strategies::parameter_server::has_grpc()) {
    kinds.push_back({"grpc", "grpc"});
    kinds.push_back({"grpc_tls", "grpc", true});
  }
  return kinds;
}

strategies::parameter_server::TlsFiles certificate_of(const std::string& name, const std::string& authority) {
  const TempDir& folder = certificates();
  return {.certificate = folder / (name + ".pem"),
          .key = folder / (name + ".key"),
          .authority = folder / (authority + ".pem")};
}

void run_nodes(const Kind& kind, const Job& job, const std::function<void(Place&)>& body) {
  const auto tls = kind.tls ? certificate_of("node", "a") : strategies::parameter_server::TlsFiles{};
  const auto run = [&](int index, const std::string& directory) {
    Place place;
    place.self = index < job.servers ? server(index) : worker(index - job.servers);
    place.store = std::make_shared<comm::FileStore>(directory + "/store");
    place.options = {.self = place.self,
                     .workers = job.workers,
                     .servers = job.servers,
                     .store = place.store,
                     .token = "secret",
                     .carrier = kind.carrier,
                     .interface = "lo",
                     .tls = tls,
                     .window = job.window};
    if (job.open) {
      place.wire = open_wire(place.options);
    }
    body(place);
  };
  run_forked(job.servers + job.workers, run, {.killed = job.killed}, "node");
}

Array pattern(const Shape& shape, DType dtype, int seed) {
  Array array = Array::empty(shape, dtype);
  std::uint64_t state = static_cast<std::uint64_t>(seed) * 0x9e3779b97f4a7c15u + 1;
  for (std::size_t at = 0; at < array.bytes(); at += sizeof state) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(array.bytes_data() + at, &state, std::min(sizeof state, array.bytes() - at));
  }
  return array;
}

testing::AssertionResult same_bytes(const Array& a, const Array& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) {
    return testing::AssertionFailure() << describe(a) << " and " << describe(b);
  }
  if (a.bytes() > 0 && std::memcmp(a.bytes_data(), b.bytes_data(), a.bytes()) != 0) {
    return testing::AssertionFailure() << "different bytes in " << describe(a);
  }
  return testing::AssertionSuccess();
}

Endpoint::Event next_parcel(Endpoint& wire, std::chrono::milliseconds patience) {
  Endpoint::Event event = wire.receive(in(patience));
  EXPECT_EQ(event.kind, Endpoint::Event::Kind::parcel) << event.why;
  return event;
}

Endpoint::Event next_loss(Endpoint& wire, std::chrono::milliseconds patience) {
  Endpoint::Event event = wire.receive(in(patience));
  EXPECT_EQ(event.kind, Endpoint::Event::Kind::lost) << event.parcel.header;
  return event;
}

}  // namespace trireme::test

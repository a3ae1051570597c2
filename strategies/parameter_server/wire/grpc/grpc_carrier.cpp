#include "trireme/strategies/parameter_server/wire/grpc/grpc_carrier.h"

#include <grpc/support/log.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <fstream>
#include <mutex>
#include <sstream>

#include "trireme/comm/environment/interfaces.h"
#include "trireme/core/base/log.h"
#include "trireme/strategies/parameter_server/wire/grpc/stream-inl.h"

namespace trireme::strategies::parameter_server {

bool has_grpc() { return true; }

namespace wire {
namespace {

using std::chrono::steady_clock;

constexpr const char* kMethod = "/trireme.ParameterServer/Wire";
constexpr const char* kBroken = "the connection ended without a farewell: the process has died or was cut off";
constexpr std::chrono::seconds kEndGrace(5);
// A peer that is silent so long and does not answer a ping within the second time is lost: its host or the network is
// gone. A process that dies is known at once, for its system says so.
constexpr int kPingAfterMs = 5000;
constexpr int kPingPatienceMs = 5000;
constexpr int kAheadBytes = 8 << 20;

std::string read_pem(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  require_usage(file && text.str().find("-----BEGIN ") != std::string::npos,
                "wire: TLS: {} cannot be read or is no PEM file", path);
  return text.str();
}

// gRPC writes to stderr otherwise.
void log_quietly(gpr_log_func_args* line) { log::debug("gRPC: {}", line->message); }

void set_up_logging() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (std::getenv("GRPC_VERBOSITY") == nullptr) {
      gpr_set_log_function(log_quietly);
    }
  });
}

class CalledStream final : public Stream<grpc::ServerGenericBidiReactor> {
 public:
  CalledStream(grpc::CallbackServerContext& context, std::shared_ptr<LiveStreams> live)
      : Stream(std::move(live)), context_(context) {}
  void start(std::shared_ptr<LinkHandler> handler) {
    begin(std::move(handler));
    read();
  }
  void OnDone() override { done(kBroken, false); }

 private:
  void cancel() override {
    const std::lock_guard lock(mutex_);
    if (!over_) {  // else the context is gone
      context_.TryCancel();
    }
  }
  void start_close() override { Finish(grpc::Status::OK); }
  void farewell_sent() override {
    ended_ = true;
    close();
  }

  grpc::CallbackServerContext& context_;
};

class CallingStream final : public Stream<grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>> {
 public:
  CallingStream(const std::shared_ptr<grpc::Channel>& channel, std::shared_ptr<LiveStreams> live)
      : Stream(std::move(live)), stub_(channel) {}
  void start(std::shared_ptr<LinkHandler> handler) {
    begin(std::move(handler));
    stub_.PrepareBidiStreamingCall(&context_, kMethod, {}, this);
    AddHold();  // for the writes of other threads
    read();
    StartCall();
  }
  void OnDone(const grpc::Status& status) override {
    const std::string& words = status.error_message();
    done(words.empty() ? kBroken : heard_ ? fmt::format("{} ({})", kBroken, words) : "gRPC: " + words, true);
  }

 private:
  void cancel() override { context_.TryCancel(); }
  void start_close() override { RemoveHold(); }
  void farewell_sent() override { StartWritesDone(); }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
};

class Service final : public grpc::CallbackGenericService {
 public:
  Service(Accept accept, std::shared_ptr<LiveStreams> live) : accept_(std::move(accept)), live_(std::move(live)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    if (context->method() != kMethod) {
      return CallbackGenericService::CreateReactor(context);
    }
    const auto stream = std::make_shared<CalledStream>(*context, live_);
    stream->start(accept_(stream));
    return stream.get();  // LiveStreams keeps it until OnDone()
  }

 private:
  const Accept accept_;
  const std::shared_ptr<LiveStreams> live_;
};

class GrpcCarrier final : public Carrier {
 public:
  explicit GrpcCarrier(const WireOptions& options) : interface_(options.interface), tls_(options.tls) {
    set_up_logging();
    if (tls_.given()) {
      certificate_ = read_pem(tls_.certificate);
      key_ = read_pem(tls_.key);
      authority_ = read_pem(tls_.authority);
    }
  }

  ~GrpcCarrier() override {
    if (!live_->end_all(steady_clock::now() + kEndGrace)) {
      log::error("wire: gRPC has not ended its streams after {} s", kEndGrace.count());
    }
    live_->bury(true);
    if (server_ != nullptr) {
      server_->Shutdown(std::chrono::system_clock::now());
    }
  }

  void listen(Address& address, Accept accept) override {
    const std::string host =
        interface_.empty() ? comm::outward_address() : comm::address_of_interface(interface_, true);
    const bool v6 = host.find(':') != std::string::npos;
    const std::string place = v6 ? fmt::format("[{}]", host) : host;
    service_ = std::make_unique<Service>(std::move(accept), live_);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(place + ":0", server_credentials(), &port);
    builder.RegisterCallbackGenericService(service_.get());
    builder.SetMaxReceiveMessageSize(static_cast<int>(kMaxMessageBytes));
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kPingAfterMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingPatienceMs);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kPingAfterMs / 2);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kAheadBytes);
    server_ = builder.BuildAndStart();
    require(server_ != nullptr && port > 0, "wire: gRPC cannot listen on {}; is it an address of this host?", host);
    address.grpc = fmt::format("{}:{}", place, port);
    address.tls = tls_.given();
  }

  std::shared_ptr<Link> dial(const Address& address, std::shared_ptr<LinkHandler> handler) override {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(static_cast<int>(kMaxMessageBytes));
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);          // between hosts of one job there is none
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingAfterMs);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingPatienceMs);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kAheadBytes);
    if (!tls_.name.empty()) {
      arguments.SetSslTargetNameOverride(tls_.name);
    }
    live_->bury(false);
    const auto channel = grpc::CreateCustomChannel(address.grpc, channel_credentials(), arguments);
    const auto stream = std::make_shared<CallingStream>(channel, live_);
    stream->start(std::move(handler));
    return stream;
  }

 private:
  std::shared_ptr<grpc::ServerCredentials> server_credentials() const {
    if (!tls_.given()) {
      return grpc::InsecureServerCredentials();
    }
    grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = authority_;
    options.pem_key_cert_pairs.push_back({key_, certificate_});
    return grpc::SslServerCredentials(options);
  }
  std::shared_ptr<grpc::ChannelCredentials> channel_credentials() const {
    return tls_.given() ? grpc::SslCredentials({authority_, key_, certificate_}) : grpc::InsecureChannelCredentials();
  }

  const std::string interface_;
  const TlsFiles tls_;
  std::string certificate_;
  std::string key_;
  std::string authority_;
  const std::shared_ptr<LiveStreams> live_ = std::make_shared<LiveStreams>();
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

std::unique_ptr<Carrier> make_grpc_carrier(const WireOptions& options) {
  return std::make_unique<GrpcCarrier>(options);
}

}  // namespace wire
}  // namespace trireme::strategies::parameter_server

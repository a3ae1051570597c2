// A gRPC stream and nothing else: what bench_wire measures ours against. Messages of 1 MiB over one piece of memory,
// whose receiver drops them unread.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace trireme::bench {

inline constexpr std::size_t kMessageBytes = std::size_t{1} << 20;

inline grpc::ByteBuffer bare_message() {
  static std::vector<char> memory(kMessageBytes, 'x');
  const grpc::Slice slice(memory.data(), memory.size(), grpc::Slice::STATIC_SLICE);
  return {&slice, 1};
}

// Takes in so many bytes, then sends as many back, again and again.
class BareServer final : public grpc::CallbackGenericService {
 public:
  explicit BareServer(std::size_t bytes) : messages_(static_cast<int>(bytes / kMessageBytes)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterCallbackGenericService(this);
    builder.SetMaxReceiveMessageSize(-1);
    server_ = builder.BuildAndStart();
  }
  ~BareServer() override { server_->Shutdown(std::chrono::system_clock::now()); }
  int port() const { return port_; }

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new Reactor(messages_);
  }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Reactor(int messages) : messages_(messages) { StartRead(&in_); }
    void OnReadDone(bool ok) override {
      if (!ok) {
        Finish(grpc::Status::OK);
      } else if (++done_ < messages_) {
        StartRead(&in_);
      } else {
        done_ = 0;
        StartWrite(&out_);
      }
    }
    void OnWriteDone(bool ok) override {
      if (!ok || ++done_ == messages_) {
        done_ = 0;
        StartRead(&in_);
      } else {
        StartWrite(&out_);
      }
    }
    void OnDone() override { delete this; }

   private:
    const int messages_;
    int done_ = 0;
    grpc::ByteBuffer in_;
    const grpc::ByteBuffer out_ = bare_message();
  };

  const int messages_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class BareClient final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  BareClient(int port, std::size_t bytes)
      : messages_(static_cast<int>(bytes / kMessageBytes)),
        stub_(grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(),
                                        arguments())) {
    stub_.PrepareBidiStreamingCall(&context_, "/bare/stream", {}, this);
    AddHold();
    StartCall();
  }
  ~BareClient() override {
    std::unique_lock lock(mutex_);
    context_.TryCancel();
    RemoveHold();
    changed_.wait(lock, [&] { return over_; });
  }

  // All bytes there and back.
  void push_pull() {
    written_ = read_ = 0;
    StartWrite(&out_);
    StartRead(&in_);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return read_ == messages_ || over_; });
  }

  void OnWriteDone(bool ok) override {
    if (ok && ++written_ < messages_) {
      StartWrite(&out_);
    }
  }
  void OnReadDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (ok && ++read_ < messages_) {
      StartRead(&in_);
    }
    changed_.notify_all();
  }
  void OnDone(const grpc::Status&) override {
    const std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }

 private:
  static grpc::ChannelArguments arguments() {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    return arguments;
  }

  const int messages_;
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer in_;
  const grpc::ByteBuffer out_ = bare_message();
  std::mutex mutex_;
  std::condition_variable changed_;
  int written_ = 0;
  int read_ = 0;
  bool over_ = false;
};

}  // namespace trireme::bench

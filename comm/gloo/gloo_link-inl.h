// Link over Gloo.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "trireme/comm/gloo/alarm-inl.h"
#include "trireme/comm/gloo/postman-inl.h"

namespace trireme::comm::gloo_backend {

class GlooLink final : public Link {
 public:
  // Blocks until all ranks that use this prefix are connected.
  GlooLink(int rank, int size, std::shared_ptr<gloo::transport::Device> device, std::shared_ptr<Store> store,
           std::string prefix, Deadline deadline);

  std::string_view backend() const override { return "gloo"; }
  int rank() const override { return mesh_->rank; }
  int size() const override { return mesh_->size; }
  Ticket send(int peer, std::uint32_t tag, std::span<const std::byte> bytes) override;
  Ticket receive(int peer, std::uint32_t tag, std::span<std::byte> bytes) override;
  bool wait(Ticket ticket, Deadline deadline) override;
  void interrupt() override { alarm_.interrupt(); }
  void open(LetterReader& reader) override;
  void close() override;
  void post(int peer, std::span<const std::byte> letter) override { postman_.post(peer, letter); }
  std::size_t fast_from() const override { return 32 << 10; }  // Gloo's ring takes four latencies, an opening one
  bool all_reduce(std::byte* data, std::int64_t count, DType dtype, ReduceOp op, Deadline deadline) override;
  std::unique_ptr<Link> split(const std::vector<int>& members, std::uint64_t generation, Deadline deadline) override;

 private:
  struct Transfer {
    Buffer buffer;
    int peer = -1;
    bool receives = false;
  };
  Ticket take(int peer, bool receives);
  Transfer& transfer(Ticket ticket);

  std::shared_ptr<gloo::transport::Device> device_;
  std::shared_ptr<Store> store_;
  const std::string prefix_;
  std::shared_ptr<Mesh> mesh_;
  std::mutex mutex_;
  std::deque<Transfer> transfers_;
  std::vector<Ticket> free_;
  Alarm alarm_;
  Postman postman_;
};

}  // namespace trireme::comm::gloo_backend

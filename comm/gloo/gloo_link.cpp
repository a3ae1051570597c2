#include <gloo/allreduce.h>
#include <gloo/transport/unbound_buffer.h>

#include <algorithm>

#include "trireme/comm/gloo/gloo_link-inl.h"
#include "trireme/comm/reduce_slots.h"

namespace trireme::comm::gloo_backend {

GlooLink::GlooLink(int rank, int size, std::shared_ptr<gloo::transport::Device> device, std::shared_ptr<Store> store,
                   std::string prefix, Deadline deadline)
    : device_(std::move(device)),
      store_(std::move(store)),
      prefix_(std::move(prefix)),
      mesh_(std::make_shared<Mesh>(rank, size, device_, *store_, prefix_, deadline)),
      alarm_(*mesh_),
      postman_(*mesh_) {}

Link::Ticket GlooLink::take(int peer, bool receives) {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    free_.push_back(static_cast<Ticket>(transfers_.size()));
    transfers_.push_back({mesh_->whole_memory(), peer, receives});
  }
  const Ticket ticket = free_.back();
  free_.pop_back();
  transfers_[ticket].peer = peer;
  transfers_[ticket].receives = receives;
  return ticket;
}

GlooLink::Transfer& GlooLink::transfer(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  return transfers_[ticket];
}

Link::Ticket GlooLink::send(int peer, std::uint32_t tag, std::span<const std::byte> bytes) {
  const Ticket ticket = take(peer, false);
  try {
    transfer(ticket).buffer->send(peer, kTransferSlots + tag, place_of(bytes.data()), bytes.size());
  } catch (...) {
    rethrow(peer);
  }
  return ticket;
}

Link::Ticket GlooLink::receive(int peer, std::uint32_t tag, std::span<std::byte> bytes) {
  const Ticket ticket = take(peer, true);
  try {
    transfer(ticket).buffer->recv(peer, kTransferSlots + tag, place_of(bytes.data()), bytes.size());
  } catch (...) {
    rethrow(peer);
  }
  return ticket;
}

bool GlooLink::wait(Ticket ticket, Deadline deadline) {
  Transfer& waited = transfer(ticket);
  try {
    if (!Alarm::Waiting(alarm_, *waited.buffer, waited.peer, waited.receives, deadline).wait()) {
      return false;
    }
  } catch (...) {
    rethrow(waited.peer);
  }
  const std::lock_guard lock(mutex_);
  free_.push_back(ticket);
  return true;
}

void GlooLink::open(LetterReader& reader) {
  postman_.open(reader);
  alarm_.watch([this, &reader](int peer, const std::string& why) {
    postman_.forget(peer);
    reader.on_lost(peer, why);
  });
}

void GlooLink::close() {
  alarm_.stop_watching();
  postman_.close();
}

namespace {

template <class T>
void ring(const std::shared_ptr<gloo::Context>& mesh, std::byte* data, std::int64_t count, DType dtype, ReduceOp op,
          std::chrono::milliseconds timeout) {
  gloo::AllreduceOptions options(mesh);
  options.setOutput(reinterpret_cast<T*>(data), static_cast<std::size_t>(count));
  options.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
  options.setTimeout(timeout);
  options.setReduceFunction([dtype, op](void* out, const void* a, const void* b, std::size_t elements) {
    static constexpr Addition kBoth{0, 1};
    const std::byte* const sources[] = {static_cast<const std::byte*>(a), static_cast<const std::byte*>(b)};
    std::byte* const output = static_cast<std::byte*>(out);
    reduce_slots({dtype, op, {&kBoth, 1}, sources, {&output, 1}}, static_cast<std::int64_t>(elements));
  });
  gloo::allreduce(options);
}

}  // namespace

bool GlooLink::all_reduce(std::byte* data, std::int64_t count, DType dtype, ReduceOp op, Deadline deadline) {
  if (size() == 1 || count == 0) {
    return true;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  const auto timeout = std::max(std::chrono::milliseconds(1), left);
  alarm_.enter_engine();
  try {
    switch (size_of(dtype)) {
      case 1:
        ring<std::uint8_t>(mesh_, data, count, dtype, op, timeout);
        break;
      case 2:
        ring<std::uint16_t>(mesh_, data, count, dtype, op, timeout);
        break;
      case 4:
        ring<std::uint32_t>(mesh_, data, count, dtype, op, timeout);
        break;
      default:
        ring<std::uint64_t>(mesh_, data, count, dtype, op, timeout);
    }
  } catch (...) {
    alarm_.leave_engine();
    rethrow(-1);
  }
  alarm_.leave_engine();
  return true;
}

std::unique_ptr<Link> GlooLink::split(const std::vector<int>& members, std::uint64_t generation, Deadline deadline) {
  const auto place = std::find(members.begin(), members.end(), rank()) - members.begin();
  return std::make_unique<GlooLink>(static_cast<int>(place), static_cast<int>(members.size()), device_, store_,
                                    fmt::format("{}/{}.{}", prefix_, generation, members[0]), deadline);
}

}  // namespace trireme::comm::gloo_backend
